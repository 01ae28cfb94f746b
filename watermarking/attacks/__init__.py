"""What a leaker may do to a copy before it is found: for tests, benchmarks and the forecast.

`strategies`: how a coalition chooses a symbol where its copies differ. `symbols`: the same attacks on the symbols
alone, thousands of trials a second. `rows`: on tables, as a leaker would do them. All randomness is the caller's.
"""

from watermarking.attacks.rows import (
    add_strangers,
    block_rows,
    change_cells,
    drop_columns,
    flip_symbols,
    head_rows,
    mix_cells,
    mix_rows,
    remove_canaries,
    renumber_key,
    rewrite,
    sample_rows,
)
from watermarking.attacks.strategies import STRATEGIES, answer
from watermarking.attacks.symbols import Leak, changed, leak_of, mixed_by_cell, mixed_by_row, rewritten, without_sites

__all__ = [
    "STRATEGIES",
    "Leak",
    "add_strangers",
    "answer",
    "block_rows",
    "change_cells",
    "changed",
    "drop_columns",
    "flip_symbols",
    "head_rows",
    "leak_of",
    "mix_cells",
    "mix_rows",
    "mixed_by_cell",
    "mixed_by_row",
    "remove_canaries",
    "renumber_key",
    "rewrite",
    "rewritten",
    "sample_rows",
    "without_sites",
]
