"""A bank's customers, made up: Chinese names, ids, phones, e-mails, cards, addresses, amounts and times.

It shares no code with leaktrace: what leaktrace knows about such data must not have come from here, nor the other
way round. Lists, shares and their sources are in `bank_lists`.

    python -m examples.bank_table 20000 customers.parquet --seed 7
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from examples import bank_lists as lists

Ints = npt.NDArray[np.int64]
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999
_ID_CHECKS = tuple("10X98765432")
_FIRST_BIRTH, _LAST_BIRTH = np.datetime64("1940-01-01", "D"), np.datetime64("2006-12-31", "D")
_FIRST_OPENING, _LAST_OPENING = np.datetime64("2001-01-02", "D"), np.datetime64("2024-12-31", "D")
_DIVISIONS = np.array([place[5] for place in lists.PLACES], dtype=np.int64)
_REGIONS = np.array([tuple(lists.BUILDING_COUNTS).index(place[0]) for place in lists.PLACES])
_ADULT = np.timedelta64(18 * 366, "D")


def generate(rows: int, seed: int, part: int = 0) -> pa.Table:
    """A table of `rows` customers; the same seed gives the same table.

    Tables of different `part` (0 to 8) share no customer_no: for tables too long to be made at once.

    customer_no, national_id, phone and card_no are distinct within a table; id numbers and cards have valid check
    digits. `email` is null for some. A million rows take about 5 CPU seconds.
    """
    rng = np.random.default_rng(seed)
    numbers = part * 10**9 + _distinct(rng, rows, 10**9)
    id_place, birth, national_id = _national_ids(rng, rows)
    place = np.where(rng.random(rows) < lists.HOME_SHARE, id_place, rng.integers(0, len(_DIVISIONS), rows))
    name, pinyin = _names(rng, rows)
    segment = _draw(rng, lists.SEGMENT_SHARES, rows)
    return pa.table(
        {
            "customer_no": _digits(numbers, 10),
            "name": name,
            "national_id": national_id,
            "phone": _phones(rng, rows),
            "email": _emails(rng, pinyin),
            "card_no": _cards(rng, rows),
            "address": _addresses(rng, place),
            "balance": _decimals(_balances(rng, segment)),
            "credit_limit": pa.array(_limits(rng, segment)),
            "opened_at": pa.array(_openings(rng, birth), pa.timestamp("s")),
            "branch": _take([f"{p[3] or p[1]}{p[4]}支行" for p in lists.PLACES], place),
            "segment": _take(lists.SEGMENTS, segment),
        }
    )


def write(table: pa.Table, path: Path) -> None:
    """Write .parquet, or .csv with every text cell quoted as needed."""
    if path.suffix == ".csv":
        pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="needed"))
    else:
        pq.write_table(table, path, row_group_size=65_536)


# --- People -------------------------------------------------------------------------------------------------------


def _names(rng: np.random.Generator, rows: int) -> tuple[pa.Array, pa.Array]:
    """Name in characters, and in Pinyin without tones; surnames follow Zipf's law in the order of the list."""
    shares = 1.0 / (np.arange(len(lists.SURNAMES)) + 2.0)
    surname = _draw(rng, shares, rows)
    first, second = rng.integers(0, len(lists.GIVEN), (2, rows))
    single = pa.array(rng.random(rows) < 0.15)

    def spelled(which: int) -> pa.Array:
        given = [pair[which] for pair in lists.GIVEN]
        after = pc.if_else(single, "", _take(given, second))
        return _join(_take([pair[which] for pair in lists.SURNAMES], surname), _take(given, first), after)

    return spelled(0), spelled(1)


def _national_ids(rng: np.random.Generator, rows: int) -> tuple[Ints, Any, pa.Array]:
    """Place index, birth date (datetime64[D]) and the 18 characters; the check character is GB 11643's."""
    days = int((_LAST_BIRTH - _FIRST_BIRTH).astype(np.int64)) + 1
    drawn = _distinct(rng, rows, len(_DIVISIONS) * days * 1000)
    place, rest = np.divmod(drawn, days * 1000)
    day, sequence = np.divmod(rest, 1000)
    birth = _FIRST_BIRTH + day.astype("timedelta64[D]")
    month = birth.astype("datetime64[M]")
    year_month = month.astype(np.int64)
    ymd = (1970 + year_month // 12) * 10_000 + (year_month % 12 + 1) * 100 + (birth - month).astype(np.int64) + 1
    body = (_DIVISIONS[place] * 10**8 + ymd) * 1000 + sequence
    weighted = sum(weight * digit for weight, digit in zip(reversed(_ID_WEIGHTS), _digits_of(body, 17), strict=True))
    return place, birth, _join(_digits(body, 17), _take(_ID_CHECKS, np.asarray(weighted) % 11))


def _phones(rng: np.random.Generator, rows: int) -> pa.Array:
    prefix, number = np.divmod(_distinct(rng, rows, len(lists.PHONE_PREFIXES) * 10**8), 10**8)
    return _digits(np.array(lists.PHONE_PREFIXES)[prefix] * 10**8 + number, 11)


def _cards(rng: np.random.Generator, rows: int) -> pa.Array:
    """19 digits with Luhn's check digit."""
    body = lists.CARD_PREFIX * 10**12 + _distinct(rng, rows, 10**12)
    total = np.zeros(rows, dtype=np.int64)
    for place, digit in enumerate(_digits_of(body, 18)):
        doubled = digit * 2 if place % 2 == 0 else digit
        total += doubled - 9 * (doubled > 9)
    return _join(_digits(body, 18), _digits(-total % 10, 1))


def _emails(rng: np.random.Generator, pinyin: pa.Array) -> pa.Array:
    """Local parts from names or numbers; some begin with a capital letter, some customers have none."""
    rows = len(pinyin)
    named = _join(
        pinyin, _take(("", "_", "."), _draw(rng, (0.8, 0.1, 0.1), rows)), _digits(rng.integers(1, 9999, rows))
    )
    capital = pc.if_else(pa.array(rng.random(rows) < lists.CAPITAL_SHARE), pc.utf8_capitalize(named), named)
    number = _digits(rng.integers(10**7, 10**10, rows))
    local = pc.if_else(pa.array(rng.random(rows) < lists.NUMERIC_EMAIL_SHARE), number, capital)
    address = _join(local, _take(lists.DOMAINS, _draw(rng, lists.DOMAIN_SHARES, rows)), between="@")
    return pc.if_else(pa.array(rng.random(rows) < lists.NO_EMAIL_SHARE), pa.scalar(None, pa.string()), address)


# --- Addresses ----------------------------------------------------------------------------------------------------


def _addresses(rng: np.random.Generator, place: Ints) -> pa.Array:
    """浙江省杭州市西湖区建设路12号翠湖花园5幢2单元302室, in the spellings and shares of `bank_lists`."""
    rows = len(place)
    long = pa.array(_draw(rng, lists.PROVINCE_COUNTS, rows) == 0)
    province = pc.if_else(long, _of_place(1, place), _of_place(2, place))
    district = _join(province, _of_place(3, place), _of_place(4, place))
    number = _join(_digits(rng.integers(1, 400, rows)), _take(("号",), np.zeros(rows, dtype=np.int64)))
    road = _join(district, _pick(rng, lists.ROADS, rows), number, _pick(rng, lists.ESTATES, rows))
    village = _join(district, _pick(rng, lists.VILLAGES, rows), number)
    flat = _join(road, _building(rng, place), _door(rng, rows))
    narrow = pc.if_else(pa.array(rng.random(rows) < lists.VILLAGE_SHARE), village, flat)
    return _widened(narrow, rng.random(rows) < lists.FULL_WIDTH_SHARE)


def _building(rng: np.random.Generator, place: Ints) -> pa.Array:
    """5号楼, 5栋 or 5幢, as usual in the region."""
    counts = np.array(list(lists.BUILDING_COUNTS.values()), dtype=np.float64)
    limits = np.cumsum(counts / counts.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    word = (rng.random(len(place))[:, None] >= limits[_REGIONS[place]]).sum(axis=1)
    return _join(_digits(rng.integers(1, 41, len(place))), _take(lists.BUILDING_WORDS, word))


def _door(rng: np.random.Generator, rows: int) -> pa.Array:
    """2单元302室 and its other spellings; the unit is missing where the building has one entrance."""
    unit = _join(_digits(rng.integers(1, 6, rows)), _take(lists.UNIT_WORDS, _draw(rng, lists.UNIT_WORD_COUNTS, rows)))
    has_unit = pa.array(_draw(rng, lists.UNIT_COUNTS, rows) == 0)
    room = _digits(rng.integers(1, 33, rows) * 100 + rng.integers(1, 5, rows))
    word = _take(lists.ROOM_WORDS, _draw(rng, lists.ROOM_WORD_COUNTS, rows))
    return _join(pc.if_else(has_unit, unit, ""), room, word)


def _widened(cells: pa.Array, chosen: npt.NDArray[np.bool_]) -> pa.Array:
    wide = cells.filter(pa.array(chosen))
    for digit in range(10):
        wide = pc.replace_substring(wide, str(digit), chr(0xFF10 + digit))
    return pc.replace_with_mask(cells, pa.array(chosen), wide)


def _of_place(field: int, place: Ints) -> pa.Array:
    return _take([str(entry[field]) for entry in lists.PLACES], place)


# --- Amounts and times --------------------------------------------------------------------------------------------


def _balances(rng: np.random.Generator, segment: Ints) -> Ints:
    """Cents; log-normal, richer by segment."""
    middle = np.array([8.6, 11.2, 13.4, 15.6])[segment]
    return np.asarray(np.exp(rng.normal(middle, 1.1)) * 100, dtype=np.int64)


def _limits(rng: np.random.Generator, segment: Ints) -> Ints:
    """Whole thousands of yuan."""
    return rng.integers(1, np.array([31, 81, 201, 1001])[segment]) * 1000


def _openings(rng: np.random.Generator, birth: Any) -> Any:
    """Not before the customer came of age; between 8 and 21 h."""
    earliest = np.maximum(birth + _ADULT, _FIRST_OPENING)
    span = (_LAST_OPENING - earliest).astype(np.int64)
    day = earliest + (rng.random(len(birth)) * np.maximum(span, 1)).astype("timedelta64[D]")
    return day.astype("datetime64[s]") + rng.integers(8 * 3600, 21 * 3600, len(birth)).astype("timedelta64[s]")


def _decimals(cents: Ints) -> pa.Array:
    """decimal128(18, 2) from whole cents, without a detour by floating point."""
    words = np.column_stack([cents, cents >> 63])  # low and high word, little-endian
    return pa.Decimal128Array.from_buffers(pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(words.tobytes())])


# --- Small tools --------------------------------------------------------------------------------------------------


def _distinct(rng: np.random.Generator, count: int, below: int) -> Ints:
    """`count` different numbers from 0 to `below` - 1, in random order."""
    if below < 2 * count:
        raise ValueError(f"{count} different numbers below {below} are too many; ask for fewer rows")
    found = np.unique(rng.integers(0, below, count + count // 50 + 16))
    while len(found) < count:
        found = np.unique(np.concatenate([found, rng.integers(0, below, count)]))
    return rng.permutation(found)[:count]


def _draw(rng: np.random.Generator, shares: Any, rows: int) -> Ints:
    """Indices with the given shares, which need not add up to one."""
    weights = np.asarray(shares, dtype=np.float64)
    limits = np.cumsum(weights / weights.sum())[:-1]
    return np.searchsorted(limits, rng.random(rows), side="right")


def _pick(rng: np.random.Generator, words: Sequence[str], rows: int) -> pa.Array:
    return _take(words, rng.integers(0, len(words), rows))


def _take(words: Sequence[str], index: Ints) -> pa.Array:
    return pa.array(words, pa.string()).take(pa.array(index))


def _join(*parts: pa.Array, between: str = "") -> pa.Array:
    return pc.binary_join_element_wise(*parts, between)


def _digits(numbers: Ints, width: int = 0) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")


def _digits_of(numbers: Ints, count: int) -> list[Ints]:
    """The digits, last first."""
    found = []
    for _ in range(count):
        numbers, digit = np.divmod(numbers, 10)
        found.append(digit)
    return found


def main() -> None:
    """Write a table: rows, file (.parquet or .csv), seed."""
    parser = argparse.ArgumentParser(description="Write a made-up table of a bank's customers.")
    parser.add_argument("rows", type=int)
    parser.add_argument("file", type=Path, help=".parquet or .csv")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    write(generate(arguments.rows, arguments.seed), arguments.file)


if __name__ == "__main__":
    main()
