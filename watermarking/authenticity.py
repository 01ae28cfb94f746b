"""Is the sample ours?

Names, phones and addresses are held by many, so a match alone proves nothing. If the sample were somebody
else's list, each of its people would be one of ours with probability at most the share of the population
that we serve: the number of matches is then at most Binomial(n, share), and its tail is the chance that a
stranger's list looks like this one. Columns that only we hold (`exclusive`) cannot match by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lgamma, log, log1p

from schemas.wording import counted
from watermarking.resolve import RowClass

_SURE = -6.0  # log10: a stranger's list looks like this less than once in a million
_USUAL = -2.0  # log10: so many matches are nothing out of the ordinary in a stranger's list
_SILENT = 0.1  # share of rows that could not have been found, beyond which nothing is cleared
_EXCLUSIVE = 3  # rows that only we can hold: a mix-up explains one or two


@dataclass(frozen=True)
class Authenticity:
    """The verdict on the sample, with numbered reasons.

    log10_p: chance of so many matches in a stranger's list, an upper bound; `expected` matches in such a list.
    """

    verdict: str
    expected: float
    log10_p: float
    reasons: tuple[str, ...]


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """log10 P(Binomial(trials, chance) >= successes); rounded up by 1e-9 of the log for safety.

    Direct summation in the log domain, all terms positive.
    """
    if successes <= 0:
        return 0.0
    if chance <= 0.0:
        return -300.0
    if chance >= 1.0:
        return 0.0
    head = successes * log(chance) + (trials - successes) * log1p(-chance) + _log_choose(trials, successes)
    total, term, k = 1.0, 1.0, successes
    while k < trials:
        term *= (trials - k) / (k + 1) * chance / (1 - chance)
        total += term
        k += 1
        if term < 1e-17 * total and (k + 1) > trials * chance:
            total *= 1 + 1e-9
            break
    return max(-300.0, min(0.0, (head + log(total) + 1e-9) / log(10)))


def judge(
    rows: Mapping[RowClass, int],
    people: int,
    matched: int,
    exclusive: int,
    population_share: float,
    able: int,
    too_little: Sequence[str] = (),
) -> Authenticity:
    """The verdict on a sample.

    rows: rows by class; people: distinct readable rows; matched: distinct rows that are records of ours or
    canaries; exclusive: rows that agree in a column only we hold; able: distinct rows that would have been found if
    they were ours, matched ones among them; too_little: the kinds that the others show.
    """
    expected, able = people * population_share, max(able, matched)
    log10_p = binomial_tail(matched, people, population_share)
    if not people:
        reason = "A0: nothing in the sample can be read as a field by which our records are found."
        return Authenticity("undecided", expected, log10_p, (reason,))
    reasons = [
        f"A1: {matched} of {counted(people, 'distinct readable row')} "
        f"{'is a record' if matched == 1 else 'are records'} of ours; "
        f"a stranger's list of that length would hold about {expected:.1f} by chance."
    ]
    if exclusive:
        reasons.append(f"A2: {counted(exclusive, 'row agrees', 'rows agree')} in a column that only we hold.")
    by_chance = log10_p > _SURE and exclusive + rows[RowClass.CANARY] < _EXCLUSIVE
    if by_chance:
        usual = binomial_tail(matched, able, population_share) > _USUAL
        few = matched == 0 or usual and 2 * rows[RowClass.UNKNOWN] >= sum(rows.values())
        verdict, reason = _chance(few, people - able, people, too_little)
    else:
        verdict, reason = _ours(rows)
    return Authenticity(verdict, expected, log10_p, (*reasons, reason))


def _chance(few: bool, silent: int, people: int, too_little: Sequence[str]) -> tuple[str, str]:
    """What matches that arise by chance say; silent: rows that could not have been found."""
    if few and silent > _SILENT * people:
        return "undecided", (
            f"A3: {silent} of {counted(people, 'distinct readable row')} {'shows' if silent == 1 else 'show'} too "
            f"little ({', '.join(too_little)}) to be found "
            "even if they were ours, so nothing is cleared: look for more of their columns, best a phone, an e-mail, "
            "or the number of an id, card or account."
        )
    if few:
        return "not_ours", "A3: so many matches arise by chance in a list that is not ours."
    return "undecided", "A3: the matches are too few to exclude chance and too many to dismiss."


def _ours(rows: Mapping[RowClass, int]) -> tuple[str, str]:
    whole = rows[RowClass.HELD] + rows[RowClass.PARTIAL] + rows[RowClass.CANARY]
    altered, mixed, unknown = rows[RowClass.ALTERED], rows[RowClass.RECOMBINED], rows[RowClass.UNKNOWN]
    total = whole + altered + mixed + unknown
    if mixed > whole + altered:
        return (
            "fabricated_from_ours",
            f"A4: {mixed} of {counted(total, 'row')} {'puts' if mixed == 1 else 'put'} together fields of different "
            "records.",
        )
    if unknown + mixed > 0.1 * total:
        reason = (
            f"A5: of {counted(total, 'row')} {counted(whole, 'agrees', 'agree')} in full, {altered} in part, "
            f"{counted(mixed, 'is', 'are')} mixed, {unknown} unknown."
        )
        return "partly_ours", reason
    said = (
        f"A6: of {counted(total, 'row')} {counted(whole, 'agrees', 'agree')} in every field that can be read, "
        f"{altered} in some, {unknown + mixed} not."
    )
    return "ours", said


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
