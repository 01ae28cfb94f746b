"""Canaries in the exact shape of a dataset.

Fields about a person come from `people`, spelled as the column spells them; every other column takes, for each
canary anew, the value of a random real row, so no real person's combination is copied. The key is a fresh value
of the column's own pattern.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column, Contract
from schemas.errors import InputError
from watermarking.canaries.people import people
from watermarking.canaries.vocabulary import RESERVED_DOMAINS
from watermarking.normalise import normalise, spelled

Taken = Callable[[str, pa.Array], npt.NDArray[np.bool_]]
_PERSONAL = "person_name given_name surname national_id phone email address postcode birth_date card account".split()
_MUST_BE_NEW = ("national_id", "phone", "email", "card", "account")
_ROUNDS = 20
_GENDER = {"male": "female", "m": "f", "男": "女", "man": "woman"}


@dataclass(frozen=True)
class Canaries:
    """Canaries: a table of the data's schema, and for each the bounds of its fields (kind -> probability)."""

    table: pa.Table
    bounds: tuple[Mapping[str, float], ...]


def generate(contract: Contract, profile: pa.Table, count: int, rng: np.random.Generator, taken: Taken) -> Canaries:
    """`count` canaries that look like the rows of `profile` and are not in the data.

    profile: some thousand real rows. taken(kind, normalised values) says which values the data holds. The
    bounds are divided by the share of people that were accepted (those rejected were in the data). Raises
    InputError when no new values can be found.
    """
    if count == 0:
        return Canaries(profile.schema.empty_table(), ())
    kinds = {column.kind for column in contract.columns}
    must = [kind for kind in _MUST_BE_NEW if kind in kinds]
    kept, drawn, locale = [], 0, locale_of(contract, profile)
    bounds: dict[str, float] = {}
    for _ in range(_ROUNDS):
        batch = count + count // 50 + 4  # a few are in the data: one round is nearly always enough
        found = people(batch, locale, domains_of(contract), rng)
        fresh = np.ones(batch, dtype=bool)
        for kind in must:
            fresh &= ~taken(kind, normalise(kind, found.fields[kind]))
        table = pa.table({**found.fields, "female": pa.array(found.female)}).filter(pa.array(fresh))
        kept.append(table)
        drawn, bounds = drawn + batch, dict(found.bounds)
        if sum(part.num_rows for part in kept) >= count:
            break
    accepted = pa.concat_tables(kept).combine_chunks()
    if accepted.num_rows < count:
        raise InputError("no canary could be made that is not in the data already; lower leaktraceCanaryDensity")
    rate = accepted.num_rows / drawn
    persons = accepted.slice(0, count)
    columns = [_column(column, profile, persons, count, rng, taken) for column in _ordered(contract, profile)]
    shown = {kind: min(1.0, q / rate) for kind, q in bounds.items()}
    return Canaries(pa.Table.from_arrays(columns, schema=profile.schema), (shown,) * count)


def locale_of(contract: Contract, profile: pa.Table) -> str:
    """zh_CN where names or addresses hold Han characters, en_GB where postcodes are British, else en_US."""
    for column in contract.columns:
        if column.kind in ("person_name", "surname", "address"):
            text = spelled(profile[column.name].combine_chunks())
            if (pc.mean(pc.match_substring_regex(text, r"\p{Han}").cast(pa.int8())).as_py() or 0) > 0.5:
                return "zh_CN"
    for column in contract.columns:
        if column.kind == "postcode":
            text = spelled(profile[column.name].combine_chunks())
            british = pc.match_substring_regex(text, r"(?i)^[a-z]{1,2}[0-9][0-9a-z]? ?[0-9][a-z]{2}$")
            if (pc.mean(british.cast(pa.int8())).as_py() or 0) > 0.5:
                return "en_GB"
    return "en_US"


def domains_of(contract: Contract) -> tuple[str, ...]:
    """Where canaries' mail goes: domains reserved by RFC 2606, which nobody can own."""
    return RESERVED_DOMAINS


def _ordered(contract: Contract, profile: pa.Table) -> list[Column]:
    return [contract.column(name) for name in profile.column_names]


def _column(
    column: Column, profile: pa.Table, persons: pa.Table, count: int, rng: np.random.Generator, taken: Taken
) -> pa.Array:
    real = profile[column.name].combine_chunks()
    if column.key:
        return _keys(column, real, count, rng, taken)
    if column.kind in _PERSONAL:
        made = _styled(column.kind, persons[column.kind].combine_chunks(), spelled(real), rng)
    elif column.kind == "category" and (words := _gender_words(spelled(real))):
        made = pc.if_else(persons["female"].combine_chunks(), words[1], words[0])
    else:
        return real.take(pa.array(rng.integers(0, len(real), count)))
    nulls = rng.random(count) < real.null_count / max(len(real), 1)
    made = pc.if_else(pa.array(nulls & (not column.required)), pa.scalar(None, pa.string()), made)
    return made.cast(real.type)


def _styled(kind: str, made: pa.Array, real: pa.Array, rng: np.random.Generator) -> pa.Array:
    """The made values in the column's style: its letter case, and for dates its spelling."""
    real = real.drop_null()
    if not len(real):
        return made
    if kind == "birth_date":
        return _dates_like(made, real)
    letters = real.filter(pc.match_substring_regex(real, "[A-Za-z]"))
    if kind in ("national_id", "card", "account", "phone") or not len(letters):
        return made
    if pc.all(pc.equal(letters, pc.utf8_lower(letters))).as_py():
        return pc.utf8_lower(made)
    if pc.all(pc.equal(letters, pc.utf8_upper(letters))).as_py():
        return pc.utf8_upper(made)
    if kind == "email":
        first = pc.utf8_slice_codeunits(letters, 0, 1)
        share = pc.mean(
            pc.and_(pc.match_substring_regex(letters, "^[A-Z]"), pc.invert(pc.equal(first, ""))).cast(pa.int8())
        )
        upper = pa.array(rng.random(len(made)) < (share.as_py() or 0.0))
        return pc.if_else(upper, pc.utf8_capitalize(made), made)
    return made


def _dates_like(made: pa.Array, real: pa.Array) -> pa.Array:
    first = real[0].as_py()
    if "/" in first:
        return pc.replace_substring(made, "-", "/")
    if "年" in first:
        return pc.replace_substring_regex(made, r"(\d+)-(\d+)-(\d+)", r"\1年\2月\3日")
    return made if "-" in first else pc.replace_substring(made, "-", "")


def _gender_words(real: pa.Array) -> tuple[str, str] | None:
    """(male, female) as a column says it, when that is what the column is."""
    present = {str(value).strip() for value in pc.unique(real).to_pylist() if value}
    for male, female in _GENDER.items():
        chosen = [next((v for v in present if v.lower() == word), None) for word in (male, female)]
        if all(chosen) and len(present) <= 8:
            return str(chosen[0]), str(chosen[1])
    return None


def _keys(column: Column, real: pa.Array, count: int, rng: np.random.Generator, taken: Taken) -> pa.Array:
    """Fresh keys: whole numbers between and a little beyond the real ones, or the column's digits drawn anew."""
    text = spelled(real).drop_null()
    split = pc.extract_regex(text, r"^(?P<head>.*?)(?P<digits>\d{1,18})$")
    digits = pc.struct_field(split, "digits")
    if digits.null_count or not len(text):
        return _random_texts(column, text, count, rng, taken).cast(real.type)
    numbers = digits.cast(pa.int64()).to_numpy()
    low, high = int(numbers.min()), int(numbers.max())
    room = high + max(count * 4, (high - low) // 50 + 1)
    heads = pc.struct_field(split, "head")
    width = int(pc.min(pc.binary_length(digits)).as_py())
    padded = pc.any(pc.match_substring_regex(digits, "^0")).as_py() or width == pc.max(pc.binary_length(digits)).as_py()
    made: list[str] = []
    for _ in range(_ROUNDS * 5):
        drawn = np.unique(rng.integers(low, room + 1, 2 * count))
        head = heads.take(pa.array(rng.integers(0, len(heads), len(drawn)))).to_pylist()
        texts = [f"{h}{n:0{width if padded else 1}d}" for h, n in zip(head, rng.permutation(drawn), strict=True)]
        new = ~taken(column.kind, normalise(column.kind, pa.array(texts)))
        made += [one for one, ok in zip(texts, new, strict=True) if ok and one not in made]
        if len(made) >= count:
            return pa.array(made[:count]).cast(real.type)
    raise InputError(f"no new values could be made for the key column '{column.name}'; lower leaktraceCanaryDensity")


def _random_texts(column: Column, text: pa.Array, count: int, rng: np.random.Generator, taken: Taken) -> pa.Array:
    """Keys without a number at their end: letters and digits of real keys drawn anew, place by place."""
    pool = text.to_pylist() or ["K000000"]
    made: list[str] = []
    for _ in range(_ROUNDS * 5):
        for _ in range(count - len(made)):
            model = pool[int(rng.integers(0, len(pool)))]
            made.append("".join(_like(character, rng) for character in model))
        made = list(dict.fromkeys(made))
        new = ~taken(column.kind, normalise(column.kind, pa.array(made)))
        made = [one for one, ok in zip(made, new, strict=True) if ok]
        if len(made) >= count:
            return pa.array(made[:count])
    raise InputError(f"no new values could be made for the key column '{column.name}'; lower leaktraceCanaryDensity")


def _like(character: str, rng: np.random.Generator) -> str:
    if character.isdigit():
        return str(rng.integers(0, 10))
    if character.isascii() and character.isalpha():
        base = "A" if character.isupper() else "a"
        return chr(ord(base) + int(rng.integers(0, 26)))
    return character
