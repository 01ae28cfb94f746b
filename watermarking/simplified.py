"""Traditional Chinese characters as simplified ones, and the way back, which is not one to one; by OpenCC's tables."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from itertools import islice, product

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
    return text if text.isascii() else str(_converter("t2s").convert(text))


def traditional_names(names: pa.Array, most: int) -> list[pa.Array]:
    """What short texts in simplified characters may be in traditional ones: at most `most` of each, string[n] each.

    A character that both have stays in the first, and becomes each that it stands for in others.
    """
    coded = names.dictionary_encode()
    ways = [list(islice(map("".join, product(*map(_ways, name))), most)) for name in coded.dictionary.to_pylist()]
    found = [pa.array([way[n] if n < len(way) else None for way in ways], pa.string()) for n in range(most)]
    return [cells.take(coded.indices) for cells in found if cells.null_count < len(cells)]


def traditional_text(text: pa.Array) -> list[pa.Array]:
    """What texts in simplified characters most likely are in traditional ones; string[n] each.

    Once with the characters that both have as they are, once as Taiwan writes them.
    """
    found = pc.match_substring_regex(text, _HAN).fill_null(False)
    if not found.true_count:
        return []
    joined = "\n".join(pc.replace_substring(text.filter(found), "\n", " ").to_pylist())
    firsts = {ord(one): ways[0] for one, ways in _traditional().items()}
    forms = (joined.translate(firsts), joined.translate(firsts).replace("台", "臺"), _converter("s2tw").convert(joined))
    return [pc.replace_with_mask(text, found, pa.array(form.split("\n"), pa.string())) for form in dict.fromkeys(forms)]


def _ways(character: str) -> str:
    return _traditional().get(character, character)


@cache
def _traditional() -> Mapping[str, str]:
    """The traditional characters that each simplified one stands for, itself first where Big5 has it too."""
    characters = [chr(code) for code in range(0x4E00, 0xA000)]
    found = defaultdict(list)
    for one, plain in zip(characters, _converter("t2s").convert("\n".join(characters)).split("\n"), strict=True):
        if one != plain and _in_big5(one):
            found[plain].append(one)
    return {plain: ("" if not _in_big5(plain) else plain) + "".join(ways) for plain, ways in found.items()}


def _in_big5(character: str) -> bool:
    try:
        return bool(character.encode("big5"))
    except UnicodeEncodeError:
        return False


@cache
def _converter(table: str) -> opencc.OpenCC:
    return opencc.OpenCC(table)
