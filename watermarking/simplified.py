"""Traditional Chinese characters as simplified ones, by OpenCC's tables."""

from functools import cache

import opencc
import pyarrow as pa
import pyarrow.compute as pc

_HAN = r"[\x{4e00}-\x{9fff}]"


def simplified(text: pa.Array) -> pa.Array:
    """string[n]; cells without traditional characters are as they were."""
    found = pc.match_substring_regex(text, _HAN).fill_null(False)
    if not found.true_count:
        return text
    lines = pc.replace_substring(text.filter(found), "\n", " ").to_pylist()
    return pc.replace_with_mask(text, found, pa.array(simplified_text("\n".join(lines)).split("\n"), pa.string()))


def simplified_text(text: str) -> str:
    """One text."""
    return text if text.isascii() else str(_converter().convert(text))


@cache
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")
