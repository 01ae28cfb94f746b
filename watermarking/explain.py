"""How the evidence about one copy adds up: channels, carriers, and where its score lies among innocents' scores.

Every bound is an upper bound of its own, paid for the family and the attempt like the verdict's. The channels' bounds
do not multiply to the whole, which is the tail of one sum (`evidence`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log, log10

import numpy as np
import numpy.typing as npt

from watermarking.evidence import RATIO_CAP, Examination, Words
from watermarking.fingerprint_code import F64
from watermarking.scoring import Score
from watermarking.selection import Plan
from watermarking.tails import CanaryHits, HitColumns, canaries_alone, null_tail, with_canaries

_POINTS = 40
_ORDER = ("rows", "row_order")  # what the order of neighbouring rows is called beside columns and carriers
_REASON = "its readings all but agree in one symbol: the values were brought to one form, which says nothing of a copy"


@dataclass(frozen=True)
class Channel:
    """One kind of evidence: `read` symbols (or canaries that could be found), `agreeing` of them with the copy."""

    name: str
    log10_p: float
    log10_likelihood_ratio: float
    read: int
    agreeing: int


@dataclass(frozen=True)
class Carried:
    """What one carrier's sites say of a copy."""

    column: str
    carrier: str
    sites_read: int
    sites_agreeing: int


@dataclass(frozen=True)
class Evidence:
    """A copy's evidence; score: in nats; tail: (score, log10 of an innocent's chance of it or more), not adjusted."""

    channels: tuple[Channel, ...]
    carriers: tuple[Carried, ...]
    score: float
    tail: tuple[tuple[float, float], ...]


def evidence_of(examination: Examination, plan: Plan, word: Words, model: int, hits: CanaryHits) -> Evidence:
    """What stands behind one copy's assessment; word: uint8[positions]; model: the number of its best model."""
    coded = plan.is_coded()
    channels = [_bits("marks", examination, word, ~coded), _unique(examination, hits)]
    channels.append(_bits("coded_canaries", examination, word, coded))
    used = tuple(channel for channel in channels if channel.read)
    score, tail = _null(examination, word, model, hits)
    return Evidence(used, carriers_of(examination, plan, word), score, tail)


def carriers_of(examination: Examination, plan: Plan, word: Words) -> tuple[Carried, ...]:
    """Sites read and agreeing for each marked column of which a symbol counted."""
    kept, own = examination.kept, word[examination.kept.position]
    agree = np.where(own == 1, kept.ones, kept.zeros)
    out = []
    groups = [(m.column.kind, m.carrier.name, [site.number for site in m.sites]) for m in plan.columns]
    groups += [(*_ORDER, [plan.order.number])] if plan.order else []
    for column, carrier, sites in groups:
        mine = np.isin(kept.site, sites)
        read = int((kept.zeros + kept.ones)[mine].sum())
        if read:
            out.append(Carried(column, carrier, read, int(agree[mine].sum())))
    return tuple(out)


def set_aside_of(examination: Examination, plan: Plan) -> list[dict[str, object]]:
    """The sites that were set aside, decided from the sample alone, as the verdict has them."""
    named = {
        site.number: (marked.column.kind, f"{marked.carrier.name}/{site.label}")
        for marked in plan.columns
        for site in marked.sites
    }
    if plan.order:
        named[plan.order.number] = (_ORDER[0], f"{_ORDER[1]}/{plan.order.label}")
    out: list[dict[str, object]] = []
    for one in examination.gone:
        column, label = named[one.site]
        out.append(
            {"carrier": label, "column": column, "symbol": one.symbol, "readings": one.readings, "reason": _REASON}
        )
    return out


def sentences(evidence: Evidence, set_aside: Sequence[object]) -> list[str]:
    """The same in words, one sentence a channel, for people who read no tables."""
    names = {"marks": "Marks", "unique_canaries": "Canaries of this copy alone", "coded_canaries": "Coded canaries"}
    out = []
    for channel in evidence.channels:
        if channel.name == "marks":
            found = f"{channel.agreeing} of the {channel.read} symbols that could be read are this copy's"
        elif channel.name == "coded_canaries":
            found = f"this copy holds {channel.agreeing} of the {channel.read} that are in the sample"
        else:
            found = f"{channel.agreeing} of its {channel.read} are in the sample"
        chance = (
            f"at most 1 in 10^{floor(-10 * channel.log10_p) / 10:.1f}"
            if channel.log10_p <= -0.1
            else "no bound below 1"
        )
        out.append(f"{names[channel.name]}: {found}; by this alone, {chance} for any innocent copy.")
    out += [
        f"{_said(one.column)} ({_said(one.carrier)}): {one.sites_agreeing} of {one.sites_read} symbols agree."
        for one in evidence.carriers
    ]
    if set_aside:
        count = len(set_aside)
        out.append(f"Set aside from the sample alone: {count} {'site' if count == 1 else 'sites'} brought to one form.")
    return out


def _said(name: str) -> str:
    return name.replace("_", " ")


def _bits(name: str, examination: Examination, word: Words, chosen: npt.NDArray[np.bool_]) -> Channel:
    """The part of the sum that some positions make; chosen: bool[positions]."""
    kept, where = examination.kept, chosen[examination.kept.position]
    own = word[kept.position] == 1
    read, agree = (kept.zeros + kept.ones)[where].sum(), np.where(own, kept.ones, kept.zeros)[where].sum()
    p_values, ratios = [], []
    for each, share in zip(examination.scored, examination.shares, strict=True):
        weights = np.where(chosen, each.weights, 0)
        tail = null_tail(weights, examination.p)
        p_values.append(float(tail.at(weights[word == 1].sum(keepdims=True))[0]) / share)
        ratios.append(log(share) + float(_log_ratio(each, word)[chosen].sum()))
    bound = min(0.0, log10(min(p_values)) + examination.log_paid)
    ratio = float(np.logaddexp.reduce(ratios)) / log(10)
    return Channel(name, bound, min(ratio, RATIO_CAP), int(read), int(agree))


def _unique(examination: Examination, hits: CanaryHits) -> Channel:
    columns = HitColumns.of([hits])
    bound = min(0.0, log10(float(canaries_alone(columns)[0])) + examination.log_paid) if hits.found else 0.0
    ratio = float(columns.log_ratios()[0]) / log(10)
    read = hits.copies if hits.found else 0
    return Channel("unique_canaries", bound, min(ratio, RATIO_CAP), read, hits.found)


def _null(
    examination: Examination, word: Words, model: int, hits: CanaryHits
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """The copy's score under its best model, and the tail of an innocent's, from its median to beyond the score."""
    each, tail = examination.scored[model], examination.tails[model]
    columns = HitColumns.of([hits])
    unit = columns.units(each.step)
    score = int(each.weights[word == 1].sum() + unit[0] * hits.found)
    first, last = tail.quantile(0.5), max(score, tail.quantile(1e-12)) + 1
    at = np.unique(np.linspace(min(first, score), last, _POINTS).astype(np.int64))
    none = HitColumns.of([CanaryHits(hits.copies, 0, hits.bound)]).take(np.zeros(len(at), dtype=np.int64))
    chance = with_canaries(tail, at, none, np.repeat(unit, len(at)))
    points = tuple((round(float(s * each.step), 3), round(log10(c), 3)) for s, c in zip(at, chance, strict=True))
    return round(score * each.step, 3), points


def _log_ratio(each: Score, word: Words) -> F64:
    return np.where(word == 1, each.log_ratio_1, each.log_ratio_0)
