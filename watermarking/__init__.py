"""Pure functions on Arrow and numpy: how exports are marked and how leaked rows are traced.

No files, no clock, no global randomness; the edges live in `pipeline`.
"""
