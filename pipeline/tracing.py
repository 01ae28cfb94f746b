"""The trace path, top to bottom: from a leaked sample to a verdict, its evidence and a report.

    take in → find identifiers → tokenise → resolve rows → membership, marks, canaries → evidence → verdict

Everything that could be chosen (options, parsing, alpha, the family of copies searched) is fixed before the
first secret is opened.
"""

import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from math import log10
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.accusation import Accusation, accuse, prepare
from pipeline.budget import spend
from pipeline.bundle import key_id, write_bundle
from pipeline.canary_search import find_canaries, find_coded, unknown_rows
from pipeline.case import (
    case_folder,
    keep_sample,
    refuse_existing,
    sample_digest,
    spool_folder,
    work_folder,
    write_rows,
)
from pipeline.content_columns import with_likenesses
from pipeline.custody import NONE, Custody
from pipeline.epoch_rows import readings_of
from pipeline.epochs import Epoch
from pipeline.epochs import key_id as index_key_id
from pipeline.family import Copies, alpha_of, family_of, officers_of, open_secrets
from pipeline.intake import Said, SampleFiles, Sheet, read_sample
from pipeline.keystore import KeyStore
from pipeline.ledger import Log
from pipeline.lineage import lineage_of
from pipeline.papers import PLAIN, Papers, write_papers
from pipeline.parents import name_chains
from pipeline.people import exposed
from pipeline.pool import open_pool
from pipeline.progress import Say, watching
from pipeline.registry import Registry
from pipeline.report import Background, keys_shown
from pipeline.sample_columns import kinds_of, refuse_unknown_columns
from pipeline.sightings import Sighting, as_findings, earlier_cases, over_chunks, remember, words_of
from pipeline.trace_log import operator, signer
from pipeline.trace_steps import SampleChunk, SampleTracer
from pipeline.witness import heads
from schemas.contract import Contract, parse
from schemas.wording import counted
from watermarking.authenticity import judge
from watermarking.evidence import Assessment, CanaryHits
from watermarking.keys import IndexKey
from watermarking.membership import explained, fewest_exports
from watermarking.resolve import RowClass
from watermarking.sample_column import SampleColumn
from watermarking.scoring import hypotheses
from watermarking.trace_rows import Counts
from watermarking.verdict import Candidate, Facts, Findings, decide

_ASKED_AT_ONCE = 524_288  # rows; their tokens, and what is found by them, are in memory


@dataclass(frozen=True)
class TraceRequest:
    """One trace command. `sample`: files, directories, or the bytes of standard input."""

    sample: tuple[Path, ...] | bytes
    case_dir: Path
    registry: str
    keys: Path
    beam_args: tuple[str, ...] = ()
    workers: int = 2
    heads: tuple[str, ...] = ()  # files of a witness, or heads (pipeline/witness.py)
    attempt: int | None = None  # repeats a trace that was counted before (verify --reproduce); None counts a new one
    received: datetime | None = None  # when the sample arrived; now, unless it is known
    said: Said = field(default_factory=Said)  # format, encoding and kinds of columns that the user corrected
    papers: Papers = PLAIN  # language of the report, and what else is written


def trace(request: TraceRequest, say: Say) -> dict[str, Any]:
    """Trace a sample and write its case; returns the verdict document.

    Without the officer's key the verdict is at most `narrowed` and says what is missing. Raises one of
    schemas.errors; then no case was written.
    """
    refuse_existing(request.case_dir)
    with spool_folder(request.case_dir) as spool:
        return _trace(request, say, spool)


def _trace(request: TraceRequest, say: Say, spool: Path) -> dict[str, Any]:
    """The path itself; the sample's rows lie in `spool` while it runs."""
    # 1. Take in: files, sheets, kinds of columns.
    say("reading the sample")
    taken = read_sample(request.sample, spool, request.said)
    columns = tuple(kinds_of(sheet, request.said) for sheet in taken.sheets)
    refuse_unknown_columns(request.said, columns)
    keys = KeyStore(request.keys)
    examiner = keys.examiner()
    case_id, created_at = "C-" + secrets.token_hex(8).upper(), datetime.now(UTC)
    received = request.received or created_at
    witnessed = [head for given in request.heads for head in heads(given)]
    with (
        lineage_of("trace") as lineage,
        Registry.open(request.registry) as registry,
        case_folder(request.case_dir) as case,
    ):
        registry.recover()
        epochs = registry.epochs()
        index_keys = {epoch.number: IndexKey(keys.index_key(epoch)) for epoch in epochs}
        contracts = [parse(text, f"contract of {name}") for name, _, text in registry.datasets()]
        columns = with_likenesses(taken.sheets, columns, contracts, [*index_keys.values()], registry.index_files())
        digest, log = sample_digest(taken.files), Log(operator(), signer(examiner))
        attempt = request.attempt or registry.begin_attempt(digest, case_id, created_at, log)
        # 2. Resolve rows, find which exports held them, read marks: the Beam pipeline.
        say(f"resolving {counted(sum(s.rows for s in taken.sheets), 'row')}")
        with work_folder(case) as folder:
            counts = run(request, taken.sheets, columns, contracts, registry, epochs, folder, say)
            counts = over_chunks(counts, folder)
            moment = received if request.attempt else created_at
            seen = Sighting(case_id, digest, moment.isoformat(timespec="seconds"), words_of(folder))
            earlier = earlier_cases(registry, seen)
            # 3. The family of copies searched, fixed before any secret is opened.
            alpha = alpha_of(contracts, counts)
            family = family_of(registry, counts)
            again = bool(request.attempt)
            pay = partial(spend, registry, case_id, digest, alpha, attempt, created_at, again=again, log=log)
            officers, missing = officers_of(keys, pay) if family else ((), [])
            pools = {c.dataset: open_pool(registry, officers, c.dataset) for c in contracts} if officers else {}
            newest, index = index_keys[epochs[-1].number], registry.index_files()
            unknown = unknown_rows(folder)
            coded, coded_rows = find_coded(unknown, pools, contracts, newest, counts, index)
            prepared = {
                epoch: prepare(
                    contracts, readings_of(counts, contracts, epoch), coded, key,
                    family=max(len(family), 1), attempt=attempt, alpha=alpha,
                )
                for epoch, key in index_keys.items()
            }  # fmt: skip
            # 4. Open their secrets; marks and canaries say what they say.
            opened, unmarked = open_secrets(registry, officers, family, say) if officers else ({}, [])
            missing += unmarked
            datasets = {copies.series: copies.dataset for copies in family}
            canaries, canary_rows = find_canaries(unknown, opened, datasets, contracts, newest, counts, index)
            canary_rows = coded_rows | canary_rows
            accusation = Accusation.joined(
                accuse({c.series: c.dataset for c in family if c.epoch == epoch}, opened, canaries, ready)
                for epoch, ready in prepared.items()
            )
            sources = fewest_exports(counts.patterns, accused(family, accusation, alpha))
            people = exposed(folder)  # canaries are nobody: no row of theirs has a record
            counts = with_canaries(counts, canary_rows)
            write_rows(folder, case, taken.sheets, canary_rows, sources)
        # 5. The verdict, as a numbered procedure.
        custody = Custody(registry, keys, witnessed, received)
        facts = Facts(
            case_id=case_id,
            created_at=created_at.isoformat(timespec="seconds"),
            version=version("leaktrace"),
            attempt=attempt,
            sample=describe_sample(taken, columns, counts, request.said),
            rows={str(name): counts.rows[str(name)] for name in RowClass},
            authenticity=judge_sample(counts, contracts),
            alpha=alpha,
            exports_considered=len(family),
            exports_of_datasets=registry.exports().num_rows if not family else exports_of(registry, family),
            hypotheses=len(hypotheses()),
            candidates=candidates_of(family, counts, canaries, accusation, custody),
            fewest_exports=len(sources),
            rows_held=sum(counts.rows[str(c)] for c in RowClass if c is not RowClass.UNKNOWN),
            exposed=people,
            missing=missing,
            notes=taken.notes,
            set_aside=accusation.set_aside,
            found=Findings(
                counts.exclusive_kinds,
                counts.errors,
                counts.outdated,
                counts.repeated,
                explained(counts.patterns, sources),
                as_findings(earlier),
            ),  # fmt: skip
        )
        verdict = decide(facts)
        name_chains(registry, verdict)
        # 6. Report and signed evidence.
        index_ids = [index_key_id(key) for key in index_keys.values()]
        if not request.attempt:
            remember(registry, seen)
        write_case(case, verdict, taken, request, registry, custody, examiner, index_ids, received)
        lineage.traced([file.sha256 for file in taken.files], request.case_dir)
    return verdict


# -- 2. the pipeline ---------------------------------------------------------------------------------------------


def run(
    request: TraceRequest,
    sheets: Sequence[Sheet],
    columns: tuple[tuple[SampleColumn, ...], ...],
    contracts: Sequence[Contract],
    registry: Registry,
    epochs: tuple[Epoch, ...],
    folder: Path,
    say: Say,
) -> Counts:
    """Trace the sheets, a part at a time; the sum of all counts."""
    from pipeline.transforms import options, run_tracing  # Beam takes seconds to import

    runs, chunks = list[list[SampleChunk]](), 0
    for number, sheet in enumerate(sheets):
        runs += runs_of(sheet, number, chunks)
        chunks += len(sheet.parts)
    where = (str(request.keys.absolute()), str(folder.absolute()))  # workers may run in another folder
    tracer = SampleTracer(columns, tuple(contracts), registry.index_files(), *where, epochs)
    with watching(say, "resolving", 2 * chunks, folder, "fields-*.arrow", *2 * ["rows-*.arrow"]):  # rows come last
        return run_tracing(runs, tracer, options(request.beam_args, request.workers)).counts


def runs_of(sheet: Sheet, number: int, before: int) -> list[list[SampleChunk]]:
    """The parts of a sheet in runs for which the index is asked at once; two at least, for two workers.

    number: of the sheet; before: how many chunks other sheets have. The runs depend on the sample alone, never on the
    machine: a trace that is repeated must come to the same.
    """
    count = max(-(-sheet.rows // _ASKED_AT_ONCE), min(2, len(sheet.parts)))
    runs: list[list[SampleChunk]] = [[] for _ in range(count)]
    first = 0
    for part, rows in zip(sheet.parts, sheet.part_rows, strict=True):
        chunk = SampleChunk(before, str(part.absolute()), number, first)
        runs[(2 * first + rows) * count // (2 * sheet.rows)].append(chunk)  # where its middle lies
        first, before = first + rows, before + 1
    return [run for run in runs if run]


# -- 5. facts -------------------------------------------------------------------------------------------------------


def with_canaries(counts: Counts, rows: Mapping[tuple[int, int], str]) -> Counts:
    """The counts after rows that looked unknown turned out to be canaries (they are ours)."""
    moved = Counter({str(RowClass.UNKNOWN): -len(rows), str(RowClass.CANARY): len(rows)})
    changed = Counter(counts.rows)
    changed.update(moved)
    return Counts(**{**counts.__dict__, "rows": changed, "matched": counts.matched + len(rows)})


def judge_sample(counts: Counts, contracts: Sequence[Contract]) -> Any:
    """The verdict on the sample, with the largest share of the population among the datasets it touches."""
    shares = [c.population_share for c in contracts if counts.datasets[c.dataset]]
    rows = {name: counts.rows[str(name)] for name in RowClass}
    share, silent = max(shares, default=0.18), [kind.replace("_", " ") for kind in counts.too_little]
    return judge(rows, counts.people, counts.matched, counts.exclusive, share, counts.able, silent)


def candidates_of(
    family: Sequence[Copies],
    counts: Counts,
    canaries: Mapping[str, CanaryHits],
    accusation: Accusation,
    custody: Custody,
) -> list[Candidate]:
    """Every copy searched, with what is known of it; custody only of those that could be named."""
    none, assessments = CanaryHits(0, 0, 0.0), accusation.assessments
    return [
        Candidate(
            exports=c.exports,
            dataset=c.dataset,
            recipient=c.recipient,
            issued_at=c.issued_at,
            purpose=c.purpose,
            series=c.series,
            coverage=c.coverage,
            canaries=canaries.get(c.series, none).found,
            custody=custody.of(c.exports[0], c.recipient) if _may_be_named(assessments.get(c.series)) else NONE,
            assessment=assessments.get(c.series),
            coded=accusation.coded.get(c.series, 0),
            evidence=accusation.evidence.get(c.series),
        )
        for c in family
    ]


def accused(family: Sequence[Copies], accusation: Accusation, alpha: float) -> frozenset[str]:
    """The exports of the copies that are named: of sets that explain the rows as well, one with these is told."""
    least = {series: found.log10_p_adjusted for series, found in accusation.assessments.items()}
    named = [c.exports for c in family if least.get(c.series, 0.0) <= log10(alpha)]
    return frozenset(export for exports in named for export in exports)


def _may_be_named(assessment: Assessment | None) -> bool:
    return assessment is not None and assessment.log10_p_adjusted <= -1  # a lead is at most -2


def exports_of(registry: Registry, family: Sequence[Copies]) -> int:
    """How many exports the datasets of the family have."""
    datasets = {copies.dataset for copies in family}
    return sum(registry.exports(dataset=name).num_rows for name in datasets)


def describe_sample(
    taken: Any, columns: Sequence[Sequence[SampleColumn]], counts: Counts, said: Said
) -> dict[str, Any]:
    """The sample in our own words: a label is a kind, never text from the sample."""
    files = [
        {
            "name": f.name,
            "sha256": f.sha256,
            "bytes": f.size,
            "format": f.format,
            "encoding": f.encoding,
            "rows": f.rows,
            **({"guessed": dict(zip(("format", "encoding"), f.guessed, strict=True))} if f.guessed else {}),
        }
        for f in taken.files
    ]
    shown = [
        {
            "index": c.index,
            "label": f"column {c.index + 1}: {c.kind}",
            "kind": c.kind,
            "confidence": round(c.confidence, 2),
            **({"table": number} if len(columns) > 1 else {}),
            **({"guessed": c.guessed} if c.guessed else {}),
            **({"notation": str(c.notation)} if c.notation else {}),
        }
        for number, sheet in enumerate(columns, 1)
        for c in sheet
    ]
    rows = sum(sheet.rows for sheet in taken.sheets)
    return {
        "files": files,
        "rows": rows,
        "rows_readable": counts.readable,
        "columns": shown,
        "notes": list(taken.notes),
        **({"said": said.to_json()} if said != Said() else {}),
    }


# -- 6. the case -----------------------------------------------------------------------------------------------------


def write_case(
    case: Path,
    verdict: dict[str, Any],
    taken: SampleFiles,
    request: TraceRequest,
    registry: Registry,
    custody: Custody,
    examiner: Ed25519PrivateKey,
    index_keys: Sequence[str],
    received: datetime,
) -> None:
    """The sample as received, the verdict, its report and papers, and what signs them all."""
    keep_sample(taken.files, case)
    (case / "verdict.json").write_text(json.dumps(verdict, ensure_ascii=False, indent=1) + "\n", "utf-8")
    named = [c["export_id"] for c in verdict["attribution"]["candidates"] if c["recipient"] is not None]
    head, arrived = registry.head(), received.isoformat(timespec="milliseconds")
    proofs, signer = tuple(registry.receipts(named).values()), keys_shown(key_id(examiner.public_key()), index_keys)
    witnessed, who = [proof for proof in map(custody.proof, proofs) if proof], operator()
    rows = case / "rows.parquet"
    background = Background(arrived, head, signer, proofs, rows, witnessed=witnessed, operator=who)
    write_papers(case, verdict, background, request.papers, taken.sheets)
    write_bundle(case, examiner, head, proofs, arrived, witnessed, index_keys, who)
