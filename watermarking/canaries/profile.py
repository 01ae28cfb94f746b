"""What canaries are made after: some thousand real rows, read column by column."""

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column, Contract
from watermarking.canaries.deck import Attribute, category, ranked
from watermarking.canaries.mailboxes import Mailboxes
from watermarking.canaries.names import names_of
from watermarking.canaries.recombine import Recombiner, region_of, split_address
from watermarking.normalise import normalise, spelled

NAMES = ("person_name", "surname", "given_name")
_MALE, _FEMALE = {"male", "m", "男", "man", "先生", "mr"}, {"female", "f", "女", "woman", "女士", "mrs", "ms"}
_RANKED = ("amount", "number", "date", "timestamp", "birth_date")
_CLASSES = 3  # a column with more different values than a third of its rows is no category


@dataclass(frozen=True)
class Profile:
    """Real rows of a dataset, and what follows from them about people: found when it is first asked for, and kept."""

    contract: Contract
    table: pa.Table
    texts: dict[str, list[str | None]] = field(default_factory=dict)
    boxes: dict[str, Mailboxes] = field(default_factory=dict)

    def cells(self, name: str) -> list[str | None]:
        """A column as it is spelled; kept, since several columns ask for it."""
        if name not in self.texts:
            self.texts[name] = spelled(self.table[name].combine_chunks()).to_pylist()
        return self.texts[name]

    def mailboxes(self, name: str) -> Mailboxes:
        """The patterns of a column of e-mail addresses; kept."""
        if name not in self.boxes:
            names = [(last, first) for last, first, _ in self.names] or [("", "")] * self.table.num_rows
            self.boxes[name] = Mailboxes(self.cells(name), names, self.contract.canary_domains)
        return self.boxes[name]

    def first(self, *kinds: str) -> Column | None:
        """The first column of one of the kinds that the table has."""
        return next((c for c in self.contract.columns if c.kind in kinds and c.name in self.table.column_names), None)

    def filled(self, name: str) -> npt.NDArray[np.int64]:
        """Rows in which a column has content."""
        text = self.table[name].combine_chunks()
        there = pc.fill_null(pc.not_equal(spelled(text), ""), False)
        return np.flatnonzero(there.to_numpy(zero_copy_only=False))

    @cached_property
    def locale(self) -> str:
        """zh_CN where names or addresses hold Han characters; en_GB where numbers are British; else en_US."""
        for kind in ("person_name", "surname", "address"):
            column = self.first(kind)
            if column and self._share(column, "[\u4e00-\u9fff]") > 0.5:
                return "zh_CN"
        british = {
            "postcode": r"(?i)^[a-z]{1,2}[0-9][0-9a-z]? ?[0-9][a-z]{2}$",
            "phone": r"^(?:\+ ?44|0044|\(?0[12378])",
            "national_id": r"(?i)^[a-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d]$",
        }
        for kind, pattern in british.items():
            column = self.first(kind)
            if column and self._share(column, pattern) > 0.5:
                return "en_GB"
        return "en_US"

    @cached_property
    def names(self) -> list[tuple[str, str, str]]:
        """(surname, given name, form) of each row; empty where the table has no names."""
        cells = {kind: self.cells(column.name) for kind in NAMES if (column := self.first(kind))}
        return names_of(cells) if cells else []

    @cached_property
    def resident(self) -> pa.Array:
        """Normalised resident ids of 18 characters; null elsewhere."""
        column = self.first("national_id")
        if column is None:
            return pa.nulls(self.table.num_rows, pa.string())
        form = normalise("national_id", self.table[column.name].combine_chunks())
        fits = pc.fill_null(pc.match_substring_regex(form, r"^\d{17}[0-9X]$"), False)
        return pc.if_else(fits, form, pa.scalar(None, pa.string()))

    @cached_property
    def births(self) -> list[str | None]:
        """YYYYMMDD of each row, from its birth date, else its id."""
        column = self.first("birth_date")
        if column is not None:
            form = normalise("birth_date", self.table[column.name].combine_chunks())
            found = pc.replace_substring(form, "-", "").to_pylist()
        else:
            found = pc.utf8_slice_codeunits(self.resident, 6, 14).to_pylist()
        return [day if day and re.fullmatch(r"\d{8}", day) else None for day in found]

    @cached_property
    def least_ages(self) -> dict[str, float]:
        """Of each column of dates, how many years after somebody's year of birth the earliest is; of those that say."""
        born = years_of(pa.array(self.births, pa.string()))
        found = {}
        for column in self.contract.columns:
            if column.kind in ("date", "timestamp") and column.name in self.table.column_names:
                ages = years_of(normalise(column.kind, self.table[column.name].combine_chunks())) - born
                if not np.isnan(ages).all():
                    found[column.name] = float(np.nanmin(ages))
        return found

    @cached_property
    def sexes(self) -> tuple[npt.NDArray[np.bool_], str | None]:
        """Whether each row is female, and the column that says so, if one does."""
        for column in self.contract.columns:
            if column.kind != "category" or column.name not in self.table.column_names:
                continue
            cells = [(cell or "").strip().lower() for cell in self.cells(column.name)]
            present = set(cells) - {""}
            if present & _MALE and present & _FEMALE and len(present) <= 8:
                return np.array([cell in _FEMALE for cell in cells]), column.name
        digit = pc.cast(pc.utf8_slice_codeunits(self.resident, 16, 17), pa.int64())
        return np.asarray(pc.fill_null(digit, 1).to_numpy(zero_copy_only=False), np.int64) % 2 == 0, None

    @cached_property
    def localities(self) -> list[tuple[str, str, bool]]:
        """(locality, rest, in front) of each address; empty texts where there is none."""
        column = self.first("address")
        return [split_address(cell or "") for cell in self.cells(column.name)] if column else []

    @cached_property
    def roads(self) -> Recombiner:
        """Addresses without their locality, to be put together anew within the coarse part of it."""
        regions = [region_of(locality) for locality, _, _ in self.localities]
        return Recombiner([rest for _, rest, _ in self.localities], regions)

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """What columns depend on each other by: `birth`, `area`, `sex`, `locality`, `phone area`, and plain columns."""
        found: dict[str, Attribute] = {}
        if any(self.births):
            found["birth"] = ranked(np.array([float(day) if day else np.nan for day in self.births]))
        if self.resident.null_count < len(self.resident):
            found["area"] = category(pc.utf8_slice_codeunits(self.resident, 0, 6))
        found["sex"] = Attribute(self.sexes[0].astype(np.float64), True)
        if self.localities:
            found["locality"] = category(pa.array([locality for locality, _, _ in self.localities]))
        for column in self.contract.columns:
            attribute = self._attribute(column)
            if attribute is not None:
                found[column.name] = attribute
        return found

    def _attribute(self, column: Column) -> Attribute | None:
        if column.name not in self.table.column_names or column.key or column.name == self.sexes[1]:
            return None
        cells = self.table[column.name].combine_chunks()
        if column.kind == "phone":
            form = normalise("phone", cells)
            return category(pc.utf8_slice_codeunits(form, 0, 3 if self.locale != "en_GB" else 4))
        if column.kind == "postcode":
            return category(outward(normalise("postcode", cells)))
        if column.kind in ("date", "timestamp"):
            return ranked(_codes(normalise(column.kind, cells)))
        if column.kind in ("amount", "number"):
            return ranked(numbers(cells))
        if column.kind in ("category", "text", "id") and column.kind != "birth_date":
            return (
                category(cells) if pc.count_distinct(cells.cast(pa.string())).as_py() * _CLASSES < len(cells) else None
            )
        return None

    def _share(self, column: Column, pattern: str) -> float:
        text = pc.drop_null(spelled(self.table[column.name].combine_chunks()))
        return float(pc.mean(pc.match_substring_regex(text, pattern).cast(pa.int8())).as_py() or 0.0)


def outward(postcodes: pa.Array) -> pa.Array:
    """The part of normalised postcodes that names a district: British without its last three, others' first three."""
    british = pc.match_substring_regex(postcodes, r"^[A-Z]{1,2}\d[0-9A-Z]?\d[A-Z]{2}$")
    return pc.if_else(british, pc.utf8_slice_codeunits(postcodes, 0, -3), pc.utf8_slice_codeunits(postcodes, 0, 3))


def numbers(cells: pa.Array) -> npt.NDArray[np.float64]:
    """Numbers of a column, as they can be read; nan elsewhere."""
    if pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type) or pa.types.is_decimal(cells.type):
        return np.asarray(pc.fill_null(cells.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False), np.float64)
    words = normalise("number", cells)
    fits = pc.fill_null(pc.match_substring_regex(words, r"^-?\d+(?:\.\d+)?$"), False)
    words = pc.if_else(fits, words, pa.scalar(None, pa.string()))
    return np.asarray(pc.fill_null(words.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False), np.float64)


def years_of(text: pa.Array) -> npt.NDArray[np.float64]:
    """The year that each text begins with, YYYY; nan where it begins with none."""
    fits = pc.fill_null(pc.match_substring_regex(text, r"^\d{4}"), False)
    years = pc.if_else(fits, pc.utf8_slice_codeunits(text, 0, 4), pa.scalar(None, pa.string())).cast(pa.float64())
    return np.asarray(pc.fill_null(years, np.nan).to_numpy(zero_copy_only=False), np.float64)


def _codes(text: pa.Array) -> npt.NDArray[np.float64]:
    """Texts as numbers in their order; nan where there is none."""
    different = pc.sort_indices(pc.unique(pc.drop_null(text)))
    words = pc.unique(pc.drop_null(text)).take(different)
    return np.asarray(pc.fill_null(pc.index_in(text, words).cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False))
