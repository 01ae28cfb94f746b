"""Compare a sample with the code words of all copies searched, batch by batch.

`prepare` fixes everything that the sample decides (what was read, what is set aside, the models' shares) before a
secret is opened; `accuse` then looks at the secrets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import log10
from typing import Any

import numpy as np

from pipeline.sealing import OpenedSecret
from schemas.contract import Contract
from watermarking.evidence import Assessment, Assessments, CanaryHits, Examination, Words, examine
from watermarking.explain import evidence_of, sentences, set_aside_of
from watermarking.fingerprint_code import F64, code_words
from watermarking.keys import IndexKey
from watermarking.pairs import partners
from watermarking.readings import Readings, merge
from watermarking.selection import Plan, plan
from watermarking.tails import HitColumns
from watermarking.trace_rows import Counts

_BATCH = 4_096  # code words that are held at once
_MOST_ACCUSED = 6  # copies beside which others are looked for
_LEAD = -2.0


@dataclass(frozen=True)
class Prepared:
    """One dataset's part of a sample, before a secret is opened."""

    plan: Plan
    examination: Examination


@dataclass(frozen=True)
class Accusation:
    """What was found of each series searched.

    evidence: of those at lead or better, as the verdict has it; coded: how many coded canaries in the sample each of
    them holds; set_aside: what the sample itself excluded, as the verdict has it.
    """

    assessments: Mapping[str, Assessment]
    evidence: Mapping[str, dict[str, Any]]
    coded: Mapping[str, int]
    set_aside: Sequence[dict[str, object]]

    @classmethod
    def joined(cls, parts: Iterable["Accusation"]) -> "Accusation":
        """Those of several epochs, each with copies of its own, together."""
        out = cls({}, {}, {}, [])
        for part in parts:
            out = cls(
                {**out.assessments, **part.assessments},
                {**out.evidence, **part.evidence},
                {**out.coded, **part.coded},
                [*out.set_aside, *part.set_aside],
            )
        return out


def prepare(
    contracts: Sequence[Contract],
    counts: Counts,
    coded: Mapping[str, Readings],
    key: IndexKey,
    *,
    family: int,
    attempt: int,
    alpha: float,
) -> dict[str, Prepared]:
    """Every dataset's examination, by name; coded: which of its coded canaries the sample holds."""
    out = {}
    for contract in contracts:
        name, marks = contract.dataset, plan(contract, key)
        readings = merge([part[name] for part in (counts.readings, coded) if name in part])
        only = (marks.pool.number,)
        made = examine(readings, marks.p, family=family, attempt=attempt, alpha=alpha, present_only=only)
        out[name] = Prepared(marks, made)
    return out


def accuse(
    datasets: Mapping[str, str],
    opened: Mapping[str, OpenedSecret],
    canaries: Mapping[str, CanaryHits],
    prepared: Mapping[str, Prepared],
) -> Accusation:
    """What marks and canaries say of each series.

    datasets: dataset of each series searched; opened: secret by series; canaries: unique hits by series.
    """
    assessments: dict[str, Assessment] = {}
    evidence: dict[str, dict[str, Any]] = {}
    coded: dict[str, int] = {}
    aside: list[dict[str, object]] = []
    for name, ready in prepared.items():
        mine = [series for series, dataset in datasets.items() if dataset == name and series in opened]
        if not mine:
            continue
        gone = set_aside_of(ready.examination, ready.plan)
        hits = HitColumns.of([canaries.get(series, CanaryHits(0, 0, 0.0)) for series in mine])
        scored = _Scored(ready, [opened[series].secret for series in mine], hits)
        found, beside = scored.assess()
        assessments |= {series: ready.examination.one(found, n) for n, series in enumerate(mine)}
        for n in np.flatnonzero(found.log10_p_adjusted <= _LEAD):
            said, held = scored.evidence(int(n), found, gone)
            other = beside.get(int(n))
            evidence[mine[n]] = said if other is None else {**said, "beside": mine[other]}
            coded[mine[n]] = held
        aside += gone
    return Accusation(assessments, evidence, coded, aside)


@dataclass(frozen=True)
class _Scored:
    """The copies of one dataset; secrets: 32 bytes each."""

    ready: Prepared
    secrets: Sequence[bytes]
    hits: HitColumns

    def assess(self) -> tuple[Assessments, dict[int, int]]:
        """Each copy alone, then beside those that stand accused; and beside which one, where that says more."""
        examination = self.ready.examination
        found = Assessments.joined([examination.assess(words, self._hits(at, words)) for at, words in self._batches()])
        best, beside, done = found.log10_p_adjusted, dict[int, int](), set[int]()
        while len(done) < _MOST_ACCUSED:
            accused = [int(n) for n in np.argsort(best, kind="stable")[:_MOST_ACCUSED] if int(n) not in done]
            if not accused or best[accused[0]] > log10(examination.alpha):
                break
            done.add(accused[0])
            given = self._partners(accused[0])
            given[accused[0]] = 0.0
            beside |= dict.fromkeys(np.flatnonzero((given < best) & (given <= _LEAD)).tolist(), accused[0])
            best = np.minimum(best, given)
        return replace(found, log10_p_adjusted=best), beside

    def evidence(self, number: int, found: Assessments, gone: Sequence[object]) -> tuple[dict[str, Any], int]:
        """One copy's evidence as the verdict has it, and how many coded canaries of the sample it holds."""
        word = self._words([self.secrets[number]])[0]
        hits = CanaryHits(*(part[number].item() for part in (self.hits.copies, self.hits.found, self.hits.bound)))
        said = evidence_of(self.ready.examination, self.ready.plan, word, int(found.model[number]), hits)
        held = sum(channel.agreeing for channel in said.channels if channel.name == "coded_canaries")
        channels = [
            asdict(channel) | {"log10_p": round(channel.log10_p + 5e-4, 3)}
            | {"log10_likelihood_ratio": round(channel.log10_likelihood_ratio, 1)}
            for channel in said.channels
        ]  # fmt: skip
        return {
            "channels": channels,
            "carriers": [asdict(one) for one in said.carriers],
            "null": {"score": said.score, "unit": "nats", "tail": [list(point) for point in said.tail]},
            "words": sentences(said, gone),
        }, held

    def _partners(self, accused: int) -> F64:
        word = self._words([self.secrets[accused]])[0]
        return np.concatenate([partners(self.ready.examination, words, word) for _, words in self._batches()])

    def _batches(self) -> Any:
        for at in range(0, len(self.secrets), _BATCH):
            yield at, self._words(self.secrets[at : at + _BATCH])

    def _words(self, secrets: Sequence[bytes]) -> Words:
        return code_words(secrets, self.ready.plan.p)

    def _hits(self, at: int, words: Words) -> HitColumns:
        return self.hits.take(np.arange(at, at + len(words)))
