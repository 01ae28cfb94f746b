"""Carriers: rules that hide a symbol in a cell. One small class a file; adding one adds a line here."""

import inspect
from collections.abc import Callable
from typing import Any

from schemas.contract import Mark
from schemas.errors import ContractError
from watermarking.carriers.address_en import AddressEn
from watermarking.carriers.address_spacing import AddressSpacing
from watermarking.carriers.address_width import AddressWidth
from watermarking.carriers.address_zh import AddressZh
from watermarking.carriers.amount_low_digits import AmountLowDigits
from watermarking.carriers.date_spelling import DateSpelling
from watermarking.carriers.email_case import EmailCase
from watermarking.carriers.protocol import Carrier, Symbols
from watermarking.carriers.synonym import Synonym
from watermarking.carriers.timestamp_second import TimestampSecond

__all__ = ["CARRIER_CLASSES", "Carrier", "Symbols", "carrier"]

CARRIER_CLASSES: dict[str, Callable[..., Carrier]] = {
    rule.name: rule
    for rule in (
        AddressZh,
        AddressEn,
        AddressWidth,
        AddressSpacing,
        DateSpelling,
        EmailCase,
        TimestampSecond,
        AmountLowDigits,
        Synonym,
    )
}
# Which sites are used and with which bias, read by the selection; the largest change, checked with the contract.
_OF_ALL = frozenset({"mix", "skip", "tolerance"})


def carrier(mark: Mark) -> Carrier:
    """The carrier of a contract's mark; raises ContractError for an unknown carrier or option."""
    rule = CARRIER_CLASSES.get(mark.carrier)
    if rule is None:
        raise ContractError(
            f"contract: carrier '{mark.carrier}' is unknown; expected one of "
            f"{', '.join(sorted(CARRIER_CLASSES))}; change leaktraceMark"
        )
    options: dict[str, Any] = {name: value for name, value in mark.options.items() if name not in _OF_ALL}
    try:
        inspect.signature(rule).bind(**options)
    except TypeError:
        raise ContractError(
            f"contract: carrier '{mark.carrier}' got an option it does not have, or lacks one; expected "
            f"{', '.join(inspect.signature(rule).parameters) or 'none'}; change leaktraceMark"
        ) from None
    return rule(**options)
