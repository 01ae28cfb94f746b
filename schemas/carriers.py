"""The carriers a contract may name, as data: which kinds they mark and which options they take."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CarrierSpec:
    """What a contract may say of one carrier.

    `meaning_preserving` carriers change a spelling only, so `contract infer` proposes them; the others change
    a value within its tolerance and stand in a proposal as comments. `most_bits` bounds the option `bits`.
    """

    kinds: frozenset[str]
    meaning_preserving: bool
    options: frozenset[str]
    most_bits: int = 0


_SITES = frozenset(("mix", "skip"))

CARRIERS: Mapping[str, CarrierSpec] = {
    "address_zh": CarrierSpec(frozenset(("address",)), True, _SITES | {"width", "building"}),
    "address_en": CarrierSpec(frozenset(("address",)), True, _SITES),
    "address_width": CarrierSpec(frozenset(("address", "text")), True, _SITES),
    "address_spacing": CarrierSpec(frozenset(("address",)), True, _SITES),
    "date_spelling": CarrierSpec(frozenset(("date", "birth_date")), True, _SITES),
    "email_case": CarrierSpec(frozenset(("email",)), True, _SITES),
    "synonym": CarrierSpec(frozenset(("category", "text", "address")), True, _SITES | {"pairs"}),
    "timestamp_second": CarrierSpec(frozenset(("timestamp",)), False, _SITES | {"bits", "tolerance"}, 5),
    "amount_low_digits": CarrierSpec(
        frozenset(("amount", "number")), False, _SITES | {"bits", "decimals", "every", "tolerance"}, 6
    ),
}
