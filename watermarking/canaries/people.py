"""One coherent set of fictitious people: birth date, sex and region agree across their fields."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column
from watermarking.canaries import numbers
from watermarking.canaries.deck import I64, Deck
from watermarking.canaries.draws import Draws
from watermarking.canaries.names import bound_of, join_name
from watermarking.canaries.profile import Profile
from watermarking.normalise import normalise

PERSONAL = frozenset(
    "person_name given_name surname national_id phone email address postcode birth_date card account".split()
)
_YEARS = (-2, -1, 0)  # how the skeleton's year of birth is moved: older, so that nobody opens an account as a child
_UNKNOWN = "19800101"


class People:
    """Fields of `count` people, made when a column asks for them; `bounds` grows with them (kind -> probability).

    births: YYYYMMDD of each.
    """

    def __init__(self, real: Profile, count: int, rng: np.random.Generator) -> None:
        """Draws the skeletons."""
        self._real, self._count, self._rng, self._draws = real, count, rng, Draws(rng)
        self.bounds: dict[str, float] = {}
        self.deck = Deck(real.attributes, count, rng)
        self._skeletons = self._roots()
        self._root = self.deck.root(("birth", "area", "sex", real.sexes[1] or ""), self._skeletons)
        self.female = real.sexes[0][self._root]
        self.births = self._moved_births()
        self._names = self._drawn_names() if real.names else ([""] * count, [""] * count, [0] * count)

    def column(self, column: Column) -> pa.Array:
        """The cells of one column of these people, string[count]."""
        if column.name == self._real.sexes[1]:
            cells = self._real.cells(column.name)
            return pa.array([cells[row] for row in self._root], pa.string())
        if not len(self._real.filled(column.name)):
            return pa.nulls(self._count, pa.string())
        if column.references:
            donors, _ = self.deck.draw(column.name, np.arange(self._real.table.num_rows))
            return pa.array([self._real.cells(column.name)[row] for row in donors], pa.string())
        return pa.array(getattr(self, f"_{column.kind}")(column), pa.string())

    # -- the skeleton --------------------------------------------------------------------------------------

    def _roots(self) -> I64:
        """Rows whose birth, area and sex can be read, as far as the table has them."""
        known = np.ones(self._real.table.num_rows, dtype=bool)
        if any(self._real.births):
            known &= np.array([day is not None for day in self._real.births])
        if self._real.resident.null_count < len(self._real.resident):
            known &= self._real.resident.is_valid().to_numpy(zero_copy_only=False)
        return np.flatnonzero(known) if known.any() else np.arange(len(known))

    def _moved_births(self) -> list[str]:
        """YYYYMMDD: the skeleton's year, moved, and the day of the year of another row; bounds of both."""
        births = [self._real.births[row] or _UNKNOWN for row in self._skeletons]
        years = np.array([int(day[:4]) for day in births])
        low, high = int(years.min()), int(years.max())
        days = [day[4:] for day in births]
        owners = self._rng.choice(len(days), self._count)
        moved = self._rng.choice(_YEARS, self._count)
        place = np.searchsorted(self._skeletons, self._root)
        day_share = Counter("0228" if day == "0229" else day for day in days).most_common(1)[0][1] / len(days)
        areas = pc.utf8_slice_codeunits(self._real.resident, 0, 6).dictionary_encode().indices.fill_null(-1).to_numpy()
        where = (areas[self._skeletons] + 1) * 2 + self._real.sexes[0][self._skeletons]
        stepped = np.concatenate([np.clip(years + step, low, high) for step in _YEARS])
        joint = np.unique(stepped * (2 * len(areas) + 2) + np.tile(where, len(_YEARS)), return_counts=True)[1]
        self.bounds["birth_date"] = day_share * int(np.bincount(stepped).max()) / len(stepped)
        self._id_bound = day_share * int(joint.max()) / len(stepped) / numbers.SEQUENCES
        made = []
        for year, day in zip(np.clip(years[place] + moved, low, high), owners, strict=True):
            leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
            made.append(f"{year:04d}" + ("0228" if days[day] == "0229" and not leap else days[day]))
        return made

    def _drawn_names(self) -> tuple[list[str], list[str], list[int]]:
        """Surnames, given names and the rows that the given names (and forms) come from."""
        names = self._real.names
        rows = np.array([row for row, (last, first, _) in enumerate(names) if last or first], dtype=np.int64)
        lasts = self._rng.choice(rows, self._count)
        firsts = self._rng.choice(rows, self._count)
        of_sex = [rows[self._real.sexes[0][rows] == sex] for sex in (False, True)]
        if all(len(some) > 1 for some in of_sex):
            for sex, some in enumerate(of_sex):
                mine = np.flatnonzero(self.female == bool(sex))
                firsts[mine] = self._rng.choice(some, len(mine))
        self.bounds["person_name"] = bound_of(names, rows, self._real.sexes[0])
        return [names[row][0] for row in lasts], [names[row][1] for row in firsts], firsts.tolist()

    # -- names and dates -----------------------------------------------------------------------------------

    def _person_name(self, column: Column) -> list[str]:
        lasts, firsts, rows = self._names
        return [join_name(s, g, self._real.names[row][2]) for s, g, row in zip(lasts, firsts, rows, strict=True)]

    def _surname(self, column: Column) -> list[str]:
        return self._names[0]

    def _given_name(self, column: Column) -> list[str]:
        """The given name's column of the row that gave the name."""
        cells = self._real.cells(column.name)
        return [cells[row] or first for first, row in zip(self._names[1], self._names[2], strict=True)]

    def _birth_date(self, column: Column) -> list[str]:
        """In the spelling of real cells; the id, where there is one, says the same date."""
        cells, rows = self._real.cells(column.name), self._real.filled(column.name)
        like = (cells[row] or "" for row in self._rng.choice(rows, self._count))
        return [_dated(one, day) for one, day in zip(like, self.births, strict=True)]

    # -- numbers -------------------------------------------------------------------------------------------

    def _national_id(self, column: Column) -> list[str]:
        rows = self._real.filled(column.name)
        cells = self._real.cells(column.name)
        like = [cells[row] or "" for row in self._rng.choice(rows, self._count)]
        if self._real.resident.null_count < len(self._real.resident):
            areas = pc.utf8_slice_codeunits(self._real.resident, 0, 6).to_pylist()
            self.bounds["national_id"] = self._id_bound
            share = Counter(areas[row] for row in self._skeletons).most_common(1)[0][1] / len(self._skeletons)
            self.bounds["national_id_masked"] = share / numbers.SEQUENCES
            made = numbers.resident_ids([areas[row] for row in self._root], self.births, self.female, self._rng)
            return [one.lower() if spelling.endswith("x") else one for one, spelling in zip(made, like, strict=True)]
        if self._real.locale == "en_GB":
            self.bounds["national_id"] = 1 / numbers.NINO_FORMS
            return [numbers.national_insurance(one, self._draws) for one in like]
        if all(len(numbers.digits_of(one)) == 9 for one in like):
            self.bounds["national_id"] = 1 / numbers.SSN_FORMS
            return [numbers.social_security(one, self._draws) for one in like]
        self.bounds["national_id"] = 10.0 ** -min(min(len(numbers.digits_of(one)) for one in like), 6)
        return [numbers.phone(one, "", (), self._draws) for one in like]

    def _phone(self, column: Column) -> list[str]:
        rows, locale = self._real.filled(column.name), self._real.locale
        ranges = self._real.contract.canary_phones
        donors, depends = self.deck.draw(column.name, rows)
        cells = self._real.cells(column.name)
        made = [numbers.phone(cells[row] or "", locale, ranges, self._draws) for row in donors]
        forms = normalise("phone", self._real.table[column.name].combine_chunks()).take(pa.array(rows)).to_pylist()
        drawn, kept = {"zh_CN": (8, 3), "en_GB": (3, 0), "en_US": (2, 3)}[locale]
        if ranges:
            drawn = numbers.national("", locale) - max(map(len, ranges))
            kept = 0
        shares = Counter((form or "")[-10:][:kept] if locale == "en_US" else (form or "")[:kept] for form in forms)
        share = 1.0 if depends or not kept else shares.most_common(1)[0][1] / len(forms)
        self.bounds["phone"] = share * 10.0**-drawn
        self.bounds["phone_masked"] = share * 10.0 ** -min(drawn, 4)
        return made

    def _card(self, column: Column) -> list[str]:
        rows, cells = self._real.filled(column.name), self._real.cells(column.name)
        donors = self._rng.choice(rows, self._count)
        digits = [numbers.digits_of(cells[row] or "") for row in rows]
        shown = {its[:6] for its in digits}
        own = (
            self._real.contract.canary_cards or [p for p in numbers.TEST_CARDS if p in shown] or numbers.TEST_CARDS[:1]
        )
        prefixes = [own[n] for n in self._rng.integers(0, len(own), self._count)]
        free = max(min(map(len, digits)) - max(map(len, own)) - 1, 0)
        self.bounds["card"], self.bounds["card_masked"] = 10.0**-free, 10.0 ** -min(free, 3)
        return [numbers.card(cells[row] or "", p, self._draws) for row, p in zip(donors, prefixes, strict=True)]

    def _account(self, column: Column) -> list[str]:
        cells, donors = self._real.cells(column.name), self._rng.choice(self._real.filled(column.name), self._count)
        made = [numbers.account(cells[row] or "", self._draws) for row in donors]
        fewest = min(numbers.account_digits(cells[row] or "") for row in self._real.filled(column.name))
        self.bounds["account"] = 10.0**-fewest
        return made

    def _email(self, column: Column) -> list[str]:
        boxes = self._real.mailboxes(column.name)
        self.bounds["email"] = boxes.bound()
        donors = self._rng.choice(boxes.rows, self._count)
        return [
            boxes.make(int(row), last, first, self._draws)
            for row, last, first in zip(donors, self._names[0], self._names[1], strict=True)
        ]

    # -- places --------------------------------------------------------------------------------------------

    def _address(self, column: Column) -> list[str]:
        """The locality goes with the id's region; road, estate and numbers come from rows of the same region."""
        rows = self._real.filled(column.name)
        donors, _ = self.deck.draw("locality", rows)
        parts, mixer = self._real.localities, self._real.roads
        made = []
        for row, rest in zip(donors, mixer.texts(donors, self._rng), strict=True):
            locality, _, front = parts[row]
            made.append(locality + rest if front else rest + locality)
        return made

    def _postcode(self, column: Column) -> list[str]:
        """The district goes with the address; of British ones the last three characters are drawn."""
        rows, cells = self._real.filled(column.name), self._real.cells(column.name)
        donors, _ = self.deck.draw(column.name, rows)
        british = self._real.locale == "en_GB"
        self.bounds["postcode"] = 1 / 4_000 if british else 1.0
        return [_inward(cells[row] or "", self._draws) if british else cells[row] or "" for row in donors]


def _inward(like: str, draws: Draws) -> str:
    """A British postcode with another end."""
    letters = "ABDEFGHJLNPQRSTUWXYZ"
    end = draws.digits(1) + letters[draws.below(20)] + letters[draws.below(20)]
    return like[:-3] + (end.lower() if like == like.lower() else end)


def _dated(like: str, day: str) -> str:
    """A date (YYYYMMDD) as another one is spelled; ISO where that is not read."""
    year, month, date = day[:4], day[4:6], day[6:]
    if "年" in like:
        return f"{year}年{int(month)}月{int(date)}日" if "年0" not in like else f"{year}年{month}月{date}日"
    for sign in "/.":
        if like.count(sign) == 2:
            first = like.split(sign)[0]
            order = (year, month, date) if len(first) == 4 else (date, month, year)
            return sign.join(order)
    return day if like.isdecimal() else f"{year}-{month}-{date}"
