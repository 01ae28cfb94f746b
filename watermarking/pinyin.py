"""Chinese names in pinyin: which names are, and which names in characters one may stand for.

The registry holds keyed tokens of names as they are written in the table. Whoever has the index key can try every name
in characters that is spelled so, and see whether a record's is among them: exports and registries need nothing for it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from anyascii import anyascii

from watermarking.lexicon import SURNAMES_PINYIN, SURNAMES_ZH, SURNAMES_ZH_LONG
from watermarking.simplified import simplified_text

I64 = npt.NDArray[np.int64]
_FIRST, _LAST = 0x4E00, 0x9FFF  # the characters that are tried
_COMMON = 0xC6  # lead byte up to which Big5 has the common characters
_LONGEST = 4  # characters of a name
_V = ("v", "u", "yu")  # Lü is also spelled Lv, Lu, Lyu
_VOWEL = re.compile("[aeiouv]")  # 嗯 is read "ng"
_INITIAL = "(?:[bpmfdtnlgkhjqxrzcsyw]|[zcs]h)?"
_FINAL = "(?:[iuv]?an[g]?|i?en[g]?|in[g]?|i?ong|un|[iuv]?[ae]|[iu]?o|u?ai|i?ao|u?ei|ou|iu|u[ie]|er|[iuv])"
_SYLLABLE = f"(?:{_INITIAL}{_FINAL})"
Choices = tuple[str, ...]  # of each place of a name, the characters that may stand there


def in_pinyin(names: pa.Array) -> pa.Array:
    """Whether normalised names are Chinese ones in Latin letters, by a usual surname and syllables; bool[n]."""
    surname = "|".join(_surnames())
    given = f"{_SYLLABLE}(?: ?{_SYLLABLE})?"
    return pc.match_substring_regex(_toneless(names), f"^(?:(?:{surname}) ?{given}|{given} (?:{surname}))$").fill_null(
        False
    )


def _toneless(names: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(pc.utf8_normalize(names, "NFD"), r"\p{Mn}", "")


def likely_names(name: str) -> list[Choices]:
    """The names in characters that a normalised name in pinyin most likely stands for.

    Of usual characters, simplified or traditional, with a usual surname; read with the surname first and last.
    """
    return [choices for syllables in _readings(name) if all(choices := _usual(syllables))]


def rare_names(name: str) -> list[Choices]:
    """Those with any surname and one rare character, the surname's or another; not all of `likely_names`."""
    out = []
    for syllables in _readings(name):
        compound = len(syllables) == _LONGEST
        usual = _usual(syllables) if compound else tuple(_usual_characters()[one] for one in syllables)
        for place, syllable in enumerate(syllables):
            choices = (*usual[:place], _characters()[syllable], *usual[place + 1 :])
            if all(choices):
                out.append(choices)
    return out


def count(choices: Choices) -> int:
    """How many names these are."""
    return int(np.prod([len(place) for place in choices], dtype=np.int64))


def written_out(choices: Choices) -> pa.Array:
    """Each of them; string[count]."""
    places = [np.frombuffer(place.encode(), dtype=np.uint8).reshape(-1, 3) for place in choices]  # UTF-8
    grids = np.meshgrid(*(np.arange(len(place)) for place in places), indexing="ij")
    data = np.concatenate([place[grid.ravel()] for place, grid in zip(places, grids, strict=True)], axis=1)
    ends = np.arange(len(data) + 1, dtype=np.int32) * data.shape[1]
    return pa.StringArray.from_buffers(len(data), pa.py_buffer(ends), pa.py_buffer(data))


def _readings(name: str) -> Iterator[tuple[str, ...]]:
    """The syllables of a name in pinyin, in every way that makes 2 to 4 characters, surname first."""
    words = _toneless(pa.array([name]))[0].as_py().split(" ")
    orders = [words] if len(words) == 1 else [words, [words[-1], *words[:-1]]]
    for order in orders:
        for parts in product(*(tuple(_syllables(word)) for word in order)):
            syllables = tuple(syllable for part in parts for syllable in part)
            if 2 <= len(syllables) <= _LONGEST:
                yield syllables


def _syllables(word: str) -> Iterator[tuple[str, ...]]:
    """Every way to take a word apart into syllables, at most 4."""
    ways: dict[int, list[tuple[str, ...]]] = defaultdict(list, {0: [()]})
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 6), end):
            if word[start:end] in _characters():
                ways[end] += [(*way, word[start:end]) for way in ways[start] if len(way) < _LONGEST]
    yield from ways[len(word)]


def _usual(syllables: tuple[str, ...]) -> Choices:
    """Usual characters for each syllable, the first a usual surname; four syllables begin with a compound one."""
    its = [_usual_characters().get(syllable, "") for syllable in syllables]
    if len(syllables) < _LONGEST:
        return (_usual_surnames(syllables[0]), *its[1:])
    compound = [name for name in SURNAMES_ZH_LONG.split("|") if name[0] in its[0] and name[1] in its[1]]
    first, second = ("".join(c for c in its[n] if simplified_text(c) in {name[n] for name in compound}) for n in (0, 1))
    return (first, second, *its[2:])


@cache
def _characters() -> Mapping[str, str]:
    """The characters with each reading, without tones."""
    from pypinyin import Style, pinyin  # takes a second, which traces without pinyin need not pay

    found = defaultdict(list)
    for character in map(chr, range(_FIRST, _LAST + 1)):
        read = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore", v_to_u=False)
        for syllable in dict.fromkeys(filter(_VOWEL.search, read[0] if read else ())):
            for letter in _V if "v" in syllable else ("",):
                found[syllable.replace("v", letter)].append(character)
    return {syllable: "".join(dict.fromkeys(characters)) for syllable, characters in found.items()}


@cache
def _usual_surnames(syllable: str) -> str:
    return "".join(c for c in _usual_characters().get(syllable, "") if simplified_text(c) in SURNAMES_ZH)


@cache
def _usual_characters() -> Mapping[str, str]:
    return {syllable: "".join(filter(_is_usual, characters)) for syllable, characters in _characters().items()}


def _is_usual(character: str) -> bool:
    """Whether the national standard of 1980 (GB 2312) has it, or Big5 among the common ones."""
    for encoding, last in (("gb2312", 0xFF), ("big5", _COMMON)):
        try:
            if character.encode(encoding)[0] <= last:
                return True
        except UnicodeEncodeError:
            continue
    return False


@cache
def _surnames() -> tuple[str, ...]:
    """In pinyin, longest first; Lü is spelled in several ways."""
    usual = {anyascii(name).lower() for name in (*SURNAMES_ZH, *SURNAMES_ZH_LONG.split("|"))}
    return tuple(sorted({*usual, *SURNAMES_PINYIN, "lv", "lyu"}, key=lambda name: (-len(name), name)))
