"""Fictitious people that only one copy holds: plausible, coherent, absent from the data.

`generate` makes a table of canaries in the exact shape of the data; `positions` spreads them over it.
"""

from watermarking.canaries.generate import Canaries, generate
from watermarking.canaries.placement import positions
from watermarking.canaries.profile import Profile

__all__ = ["Canaries", "Profile", "generate", "positions"]
