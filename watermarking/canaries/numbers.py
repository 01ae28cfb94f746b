"""Numbers that identify nobody: ids, phones, cards and accounts with valid checks, in ranges that are never issued.

Each function keeps the spelling of a real cell (separators, country code) and draws the digits that tell people apart.
Sources: GB 11643-1999 (resident ids); SSA POMS RM 10201 (areas 000, 666 and 9xx and group 00 are never assigned);
HMRC NIM39110 (prefixes BG GB NK KN TN NT ZZ are not allocated); Ofcom, "Telephone numbers for drama"; NANPA (line
numbers 555-0100 to 555-0199 are kept for fiction).
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watermarking.canaries.draws import Draws

I64 = npt.NDArray[np.int64]
_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_ID_CHECKS = "10X98765432"
_TWICE = {str(digit): 2 * digit // 10 + 2 * digit % 10 for digit in range(10)}
SEQUENCES = 500  # of one sex, a day and a county
SSN_FORMS = 100 * 49 * 9_999
NINO_PREFIXES = ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")
NINO_FORMS = len(NINO_PREFIXES) * 10**6 * 4
# Ranges that no issuer has, longest prefix first; the ones of a column are used where it shows any.
TEST_CARDS = ("620000", "623000")
# Ofcom's ranges of 1,000 numbers for drama; by the digits after 0.
DRAMA = ("113496", "114496", "115496", "116496", "117496", "118496", "121496", "131496", "141496", "151496", "161496",
         "207946", "191498", "289649", "292018")  # fmt: skip
_DRAMA_MOBILE, _DRAMA_ANYWHERE = "7700900", "1632960"


def resident_ids(
    areas: Sequence[str], births: Sequence[str], female: npt.NDArray[np.bool_], rng: np.random.Generator
) -> list[str]:
    """GB 11643 ids: area (6 digits), birth (YYYYMMDD), sequence (even for women), check character."""
    sequence = rng.integers(0, SEQUENCES, len(areas)) * 2 + np.where(female, 0, 1)
    bodies = [f"{area}{day}{n:03d}" for area, day, n in zip(areas, births, sequence, strict=True)]
    digits = np.frombuffer("".join(bodies).encode(), dtype=np.uint8).reshape(-1, 17).astype(np.int64) - 48
    return [body + _ID_CHECKS[check] for body, check in zip(bodies, digits @ _ID_WEIGHTS % 11, strict=True)]


def social_security(like: str, draws: Draws) -> str:
    """A number of area 666 or 900 to 998, group 01 to 49: neither a social security nor a taxpayer's number is so."""
    area = 899 + draws.below(100)
    number = f"{666 if area == 899 else area:03d}{1 + draws.below(49):02d}{1 + draws.below(9_999):04d}"
    return with_last_digits(like, number)


def national_insurance(like: str, draws: Draws) -> str:
    """A British number with a prefix that is not allocated, spaced as `like`."""
    prefix = NINO_PREFIXES[draws.below(len(NINO_PREFIXES))]
    made = f"{prefix}{draws.digits(6)}{'ABCD'[draws.below(4)]}"
    made = made.lower() if like == like.lower() else made
    return re.sub("(..)(..)(..)(..)(.)", r"\1 \2 \3 \4 \5", made) if " " in like else made


def phone(like: str, locale: str, ranges: Sequence[str], draws: Draws) -> str:
    """A number spelled like a real one: its area kept, its line in a range kept for fiction, or the owner's own.

    ranges: prefixes (digits after the country code or trunk 0) that the organisation keeps free.
    """
    digits = digits_of(like)
    if ranges:
        prefix = ranges[draws.below(len(ranges))]
        return with_last_digits(like, prefix + draws.digits(national(like, locale) - len(prefix)))
    if locale == "zh_CN":
        return with_last_digits(like, draws.digits(min(8, len(digits) - 3)))
    if locale == "en_GB":
        return with_last_digits(like, drama_range(digits) + draws.digits(3))
    if len(digits) >= 10:
        return with_last_digits(like, "55501" + draws.digits(2))
    return with_last_digits(like, draws.digits(min(6, len(digits))))


def national(like: str, locale: str) -> int:
    """How many digits a number has after its country code or trunk 0."""
    return 11 if locale == "zh_CN" else 10


def drama_range(digits: str) -> str:
    """Ofcom's range for a British number: its own area's, that of mobiles, or the one of no area."""
    ten = digits[-10:]
    if ten.startswith("7"):
        return _DRAMA_MOBILE
    for area in DRAMA:
        if ten[:2] == area[:2] == "20" or ten[:3] == area[:3]:
            return area + "0"
    return _DRAMA_ANYWHERE


def card(like: str, prefix: str, draws: Draws) -> str:
    """A number as long and as spaced as `like`, in a test range, with a valid check digit (ISO/IEC 7812)."""
    body = prefix + draws.digits(len(digits_of(like)) - len(prefix) - 1)
    return with_last_digits(like, body + luhn_digit(body))


def luhn_digit(body: str) -> str:
    """The check digit for a body of digits."""
    return str(-(sum(map(_TWICE.__getitem__, body[::-2])) + sum(map(int, body[-2::-2]))) % 10)


def digits_of(text: str) -> str:
    """The digits of a text."""
    return text if text.isdecimal() else "".join(filter(str.isdecimal, text))


def account(like: str, draws: Draws) -> str:
    """An account like another: the bank's digits kept, the rest drawn; an IBAN stays valid."""
    made = with_last_digits(like, draws.digits(account_digits(like)))
    return _checked_iban(made) if _is_iban(like) else made


def account_digits(like: str) -> int:
    """How many digits of an account are drawn."""
    digits = len(digits_of(like))
    return max(digits - (12 if _is_iban(like) else 6), min(digits, 6))


def _is_iban(text: str) -> bool:
    return re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", text.replace(" ", "")) is not None


def with_last_digits(like: str, digits: str) -> str:
    """`like` with its last digits replaced, whatever stands between them; further digits go in front."""
    if like.isdecimal():
        return like[: max(len(like) - len(digits), 0)] + digits
    left = list(digits)
    out = [left.pop() if character.isdecimal() and left else character for character in reversed(like)]
    return "".join(reversed([*out, *reversed(left)]))


def _checked_iban(text: str) -> str:
    bare = text.replace(" ", "")
    number = "".join(str(int(character, 36)) for character in bare[4:] + bare[:2] + "00")
    return text[:2] + f"{98 - int(number) % 97:02d}" + text[4:]
