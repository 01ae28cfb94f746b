"""What a data contract says, as frozen values: columns, marks, rules and the settings of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset(
    [
        "person_name",
        "given_name",
        "surname",
        "national_id",
        "phone",
        "email",
        "address",
        "postcode",
        "birth_date",
        "card",
        "account",
        "id",
        "date",
        "amount",
        "number",
        "timestamp",
        "category",
        "text",
    ]
)
IDENTITY_KINDS = frozenset(
    [
        "person_name",
        "given_name",
        "surname",
        "national_id",
        "phone",
        "email",
        "address",
        "postcode",
        "birth_date",
        "card",
        "account",
    ]
)


@dataclass(frozen=True)
class Mark:
    """A carrier and its options, as a column's contract has them."""

    carrier: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a dataset; `line` is where the contract describes it."""

    name: str
    kind: str
    logical_type: str
    physical_type: str | None
    key: bool
    exclusive: bool
    required: bool
    unique: bool
    mark: Mark | None
    line: int
    references: str | None = None


@dataclass(frozen=True)
class CodeDesign:
    """The fingerprint code of a dataset (watermarking/fingerprint_code.py)."""

    name: str = "mix50"
    length: int = 4096


@dataclass(frozen=True)
class Rule:
    """One quality rule: a check of ODCS's library with its arguments; column None is the whole table."""

    name: str
    column: str | None
    check: str
    arguments: Mapping[str, Any]
    line: int


@dataclass(frozen=True)
class Finding:
    """Something wrong with a contract, or with a file against it; line from 1."""

    line: int
    message: str


@dataclass(frozen=True)
class Contract:
    """A dataset's contract; sha256 is that of the file's bytes, in hex."""

    dataset: str
    version: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    sha256: str
    population_share: float = 0.18
    coalition: int = 4
    alpha: float = 1e-6
    canary_density: float = 0.005
    design: CodeDesign = field(default_factory=CodeDesign)
    row_order: bool = False  # whether the order of neighbouring rows may carry marks
    # Ranges that canaries may use because the organisation keeps them free; empty: those reserved for nobody.
    canary_domains: tuple[str, ...] = ()
    canary_phones: tuple[str, ...] = ()
    canary_cards: tuple[str, ...] = ()
    # What an access log's columns are: `employee`, `time` and each key column -> the column of the log.
    access_log: Mapping[str, str] = field(default_factory=dict)

    def keys(self) -> tuple[Column, ...]:
        """The columns that identify a record."""
        return tuple(column for column in self.columns if column.key)

    def identity(self) -> tuple[Column, ...]:
        """The columns that make a version: those about a person; all, where there are none."""
        found = tuple(column for column in self.columns if column.kind in IDENTITY_KINDS)
        return found or self.columns

    def marked(self) -> tuple[Column, ...]:
        """The columns that carry marks."""
        return tuple(column for column in self.columns if column.mark is not None)

    def column(self, name: str) -> Column:
        """One column by name; KeyError when there is none."""
        return {column.name: column for column in self.columns}[name]
