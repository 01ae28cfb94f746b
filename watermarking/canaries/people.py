"""One coherent set of fictitious people: birth date, sex and region agree across their fields.

Bounds. Given a person's name, birth date, sex and region, the following are drawn independently of each other,
so the probability of agreeing in several is the product: the id's sequence number, the phone's digits, the
card's digits, the e-mail's digits, the account's digits. Each bound is the largest probability of one value of
the whole field over everything that was drawn for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from watermarking.canaries.vocabulary import (
    CITIES,
    MOBILE_PREFIXES_ZH,
    POSTCODE_AREAS,
    REGIONS_ZH,
    ROADS_ZH,
    ROMAN_GIVEN,
    ROMAN_SURNAMES,
    names_of,
    streets_of,
)

_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_ID_CHECKS = "10X98765432"
_DAYS = 365 * 45  # birth dates are drawn from 1955 to 1999
TEST_BIN = "623000"  # not assigned to an issuer


@dataclass(frozen=True)
class People:
    """Fields of fictitious people by kind, string[count] each, and the bound of each field."""

    fields: Mapping[str, pa.Array]
    female: np.ndarray
    bounds: Mapping[str, float]


def people(count: int, locale: str, domains: tuple[str, ...], rng: np.random.Generator) -> People:
    """`count` people of a locale (zh_CN, en_US, en_GB)."""
    names = names_of(locale)
    female = rng.random(count) < 0.5
    surname = rng.choice(len(names.surnames), count, p=names.surname_weights)
    given = [names.female[i] if f else names.male[j] for f, i, j in zip(
        female, rng.integers(0, len(names.female), count), rng.integers(0, len(names.male), count), strict=True
    )]  # fmt: skip
    last = [names.surnames[i] for i in surname]
    born = np.datetime64("1955-01-01") + rng.integers(0, _DAYS, count)
    region = rng.integers(0, len(REGIONS_ZH), count)
    chinese = locale == "zh_CN"
    fields = {
        "surname": last,
        "given_name": given,
        "person_name": [s + g if chinese else f"{g} {s}" for s, g in zip(last, given, strict=True)],
        "birth_date": [str(day) for day in born],
        "national_id": _ids(born, region, female, rng) if chinese else _digits(count, 9, rng),
        "phone": _phones(count, locale, rng),
        "email": _emails(count, given, last, domains, rng, chinese=chinese),
        "card": _cards(count, rng),
        "account": _digits(count, 19, rng),
        "address": _addresses(count, locale, region, rng),
        "postcode": _postcodes(count, locale, rng),
    }
    sequence = 1 / (_DAYS * len(REGIONS_ZH) * 499) if chinese else 1e-9
    phone = 1 / (len(MOBILE_PREFIXES_ZH) * 10**8) if chinese else 1e-6
    bounds = {
        "national_id": sequence,
        "national_id_masked": 1 / (len(REGIONS_ZH) * 499),
        "phone": phone,
        "phone_masked": 1 / (len(MOBILE_PREFIXES_ZH) * 10**4) if chinese else 1e-4,
        "email": 1e-4,
        "card": 1e-9,
        "card_masked": 1e-3,
        "account": 1 / (9 * 10**18),
        "person_name": float(names.surname_weights.max()) / min(len(names.female), len(names.male)),
        "birth_date": 1 / _DAYS,
        "postcode": 1 / (len(POSTCODE_AREAS) * 19 * 10 * 20 * 20) if locale == "en_GB" else 1 / 80_000,
    }
    return People({k: pa.array(v, pa.string()) for k, v in fields.items()}, female, bounds)


def luhn_digit(digits: np.ndarray) -> np.ndarray:
    """The check digit that makes rows of digits valid (ISO/IEC 7812); digits: int[n, length]."""
    doubled = digits.copy()
    doubled[:, ::-1][:, ::2] *= 2
    return (-(doubled // 10 + doubled % 10).sum(axis=1)) % 10


def _ids(born: np.ndarray, region: np.ndarray, female: np.ndarray, rng: np.random.Generator) -> list[str]:
    """GB 11643 ids: region, birth date, sequence (odd for men, even for women), check character."""
    sequence = rng.integers(0, 499, len(born)) * 2 + np.where(female, 2, 1)
    bodies = [
        f"{REGIONS_ZH[r][0]}{str(day).replace('-', '')}{n:03d}"
        for r, day, n in zip(region, born, sequence, strict=True)
    ]
    digits = np.frombuffer("".join(bodies).encode(), dtype=np.uint8).reshape(-1, 17) - 48
    checks = (digits.astype(np.int64) @ _ID_WEIGHTS) % 11
    return [body + _ID_CHECKS[check] for body, check in zip(bodies, checks, strict=True)]


def _phones(count: int, locale: str, rng: np.random.Generator) -> list[str]:
    if locale == "zh_CN":
        prefix = rng.integers(0, len(MOBILE_PREFIXES_ZH), count)
        number = rng.integers(0, 10**8, count)
        return [f"{MOBILE_PREFIXES_ZH[p]}{n:08d}" for p, n in zip(prefix, number, strict=True)]
    number = rng.integers(0, 10**6, count)
    if locale == "en_GB":
        return [f"07700 {n:06d}" for n in number]  # the block that Ofcom keeps for drama, widened by its last digits
    return [f"({200 + n % 799}) 555-{n // 100:04d}" for n in number]


def _emails(
    count: int, given: list[str], last: list[str], domains: tuple[str, ...], rng: np.random.Generator, *, chinese: bool
) -> list[str]:
    number = rng.integers(0, 10**4, count)
    domain = rng.integers(0, len(domains), count)
    if chinese:
        first = [ROMAN_GIVEN[i] for i in rng.integers(0, len(ROMAN_GIVEN), count)]
        family = [ROMAN_SURNAMES[i] for i in rng.integers(0, len(ROMAN_SURNAMES), count)]
    else:
        first, family = [g.lower() for g in given], [s.lower().replace("'", "") for s in last]
    return [f"{f}{g}{n:04d}@{domains[d]}" for f, g, n, d in zip(family, first, number, domain, strict=True)]


def _cards(count: int, rng: np.random.Generator) -> list[str]:
    """16-digit numbers in a range that no issuer has, with a valid check digit."""
    middle = rng.integers(0, 10**9, count)
    bodies = [f"{TEST_BIN}{n:09d}" for n in middle]
    digits = np.frombuffer("".join(bodies).encode(), dtype=np.uint8).reshape(-1, 15).astype(np.int64) - 48
    return [body + str(check) for body, check in zip(bodies, luhn_digit(digits), strict=True)]


def _digits(count: int, length: int, rng: np.random.Generator) -> list[str]:
    digits = rng.integers(0, 10, (count, length))
    digits[:, 0] = rng.integers(1, 10, count)
    return ["".join(map(str, row)) for row in digits.tolist()]


def _addresses(count: int, locale: str, region: np.ndarray, rng: np.random.Generator) -> list[str]:
    number, unit, room = (rng.integers(1, high, count) for high in (300, 5, 30))
    if locale == "zh_CN":
        road = rng.integers(0, len(ROADS_ZH), count)
        building, floor = rng.integers(1, 40, count), rng.integers(1, 19, count)
        return [
            f"{REGIONS_ZH[g][1]}{ROADS_ZH[r]}{n}号{b}号楼{u}单元{f}{m % 4 + 1:02d}室"
            for g, r, n, b, u, f, m in zip(region, road, number, building, unit, floor, room, strict=True)
        ]
    streets, cities = streets_of(locale), CITIES[locale]
    words = names_of(locale).surnames
    return [
        f"{n} {words[w]} {streets[s]}, {cities[c]}"
        for n, w, s, c in zip(
            number, rng.integers(0, len(words), count), rng.integers(0, len(streets), count),
            rng.integers(0, len(cities), count), strict=True,
        )
    ]  # fmt: skip


def _postcodes(count: int, locale: str, rng: np.random.Generator) -> list[str]:
    if locale != "en_GB":
        return [f"{n:06d}" if locale == "zh_CN" else f"{n % 100000:05d}" for n in rng.integers(10000, 860000, count)]
    area, letters = rng.integers(0, len(POSTCODE_AREAS), count), np.array(list("abdefghjlnpqrstuwxyz"))
    first, second = rng.integers(1, 20, count), rng.integers(0, 10, count)
    pair = rng.integers(0, len(letters), (count, 2))
    return [
        f"{POSTCODE_AREAS[a]}{f} {s}{letters[x]}{letters[y]}"
        for a, f, s, (x, y) in zip(area, first, second, pair, strict=True)
    ]
