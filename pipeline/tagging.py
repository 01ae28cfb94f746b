"""The tag path, top to bottom: from a table to one marked copy a recipient, each with a signed receipt.

    check → quality → [chunks: tokenise, embed marks] → [copies: insert canaries, write] → quality → register

Canaries are drawn while the chunks are worked on, and share no value with them. Nothing is issued unless everything is:
copies are written under temporary names, entered in the registry as `prepared` in one transaction, renamed, then
entered as `issued`; the next command finishes or undoes what a crash left in between.
"""

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.checks import check_columns, check_recipients, check_rules, load_contract, output_paths, refuse_existing
from pipeline.copies import (
    CopyCanaries,
    Envelope,
    NewCopy,
    canaries_for,
    drafted_for,
    envelope_of,
    new_copy,
    new_id,
    profile_of,
)
from pipeline.epochs import Epoch
from pipeline.files import Chunk, TableFile, chunks, describe, runs
from pipeline.hashing import digest_of
from pipeline.keystore import KeyStore
from pipeline.lineage import lineage_of
from pipeline.members import staged_members
from pipeline.parents import find_parent
from pipeline.pool import drafted_people, ready_pool, taken_or_pooled
from pipeline.progress import Say, watching, watching_size
from pipeline.recovery import flush, publish
from pipeline.registry import NewExport, Registry
from pipeline.tag_steps import ChunkTagger, CopyWriter, TagTally, WrittenCopy
from pipeline.taken_values import TakenValues
from schemas.contract import Contract
from schemas.errors import OutputError
from schemas.wording import counted
from watermarking.canaries import Profile, positions
from watermarking.keys import IndexKey
from watermarking.selection import Plan, plan


@dataclass(frozen=True)
class TagRequest:
    """One tag command. `output` holds `{recipient}` when there are several recipients; None only registers."""

    source: Path
    contract: Path
    recipients: tuple[str, ...]
    purpose: str
    output: str | None
    registry: str
    keys: Path
    idempotency_key: str | None = None
    series: bool = False
    quality: bool = True
    beam_args: tuple[str, ...] = ()
    workers: int = 2
    # Of a job's units, one for each recipient: what a single command says once.
    purposes: tuple[str, ...] = ()
    unit_keys: tuple[str, ...] = ()
    outputs: tuple[Path, ...] = ()

    def purpose_of(self, recipient: str) -> str:
        """What a recipient's copy is issued for."""
        return self.purposes[self.recipients.index(recipient)] if self.purposes else self.purpose

    def key_of(self, recipient: str) -> str | None:
        """The idempotency key of a recipient's copy."""
        return self.unit_keys[self.recipients.index(recipient)] if self.unit_keys else self.idempotency_key


def tag(request: TagRequest, say: Say) -> list[dict[str, Any]]:
    """Issue one tagged copy for each recipient; returns the receipts, in the order of the recipients.

    With an idempotency key that was used before, returns the first receipts and changes nothing. Raises one
    of schemas.errors; then nothing was issued and nothing was registered.
    """
    # 1. Check everything that can be checked before any work.
    contract, text = load_contract(request.contract)
    outputs = list(request.outputs) or output_paths(request.output, request.recipients)
    keys = KeyStore(request.keys)
    officer = keys.officer_public()
    keys.index_key()  # and which epoch it is of, once the registry is open
    with (
        lineage_of(f"tag.{contract.dataset}") as lineage,
        meanwhile(import_module, "pipeline.transforms"),  # Beam takes half a second of one core
        Registry.open(request.registry, issuer=keys.issuer()) as registry,
    ):
        registry.recover()
        if request.idempotency_key and (first := registry.by_idempotency_key(request.idempotency_key)):
            return first
        epoch = registry.epochs()[-1]
        index_key = IndexKey(keys.index_key(epoch))
        refuse_existing(outputs)
        source = describe(request.source.absolute())  # workers may run in another folder
        check_columns(source, contract)
        # 2. Quality of the input, over the file.
        descriptors = chunks(source)
        quality = check_rules(request.source, contract, "input", skip=not request.quality, say=say)
        # 3. Tokenise and embed marks: the first pipeline. Meanwhile, the canaries of each copy.
        marks = plan(contract, index_key)
        copies = [
            new_copy(keys, contract.dataset, recipient, epoch.number, series=request.series)
            for recipient in request.recipients
        ]
        ids = [copy.export_id for copy in copies]
        temporary = tuple(str(temporary_path(path.absolute(), i)) for path, i in zip(outputs, ids, strict=True))
        with (
            registry.job(ids, temporary, [str(path) for path in outputs]) as folder,
            ExitStack() as at_last,
            ThreadPoolExecutor(2) as beside,
            ThreadPoolExecutor(1) as asking,  # alone uses the registry, which is one connection, until all is written
        ):
            taken = TakenValues(folder, index_key)
            drawing = draw_canaries(request, contract, descriptors, copies, taken, marks, registry, keys)
            at_last.callback(let_go, drawing)
            with taken.while_read():
                drawn = asking.submit(next, drawing)
                tally = tag_chunks(request, contract, descriptors, copies, folder, epoch, say)
            sorted_members = beside.submit(staged_members, folder)
            canaries = drawn.result()
            entered = asking.submit(next, drawing, None)  # first: a commit would make the comparison void
            members = sorted_members.result()
            # 4. Insert canaries and write: the second pipeline. Meanwhile, seal them, and ask the registry what it can.
            found = asking.submit(parent_of, request.source, taken, contract, registry, keys)
            compared = asking.submit(registry.compare, folder, members, contract.dataset, epoch.number)
            envelopes = beside.map(envelope_of, copies, canaries, repeat(contract.dataset), repeat(officer))
            written = write_copies(request, source, descriptors, canaries, temporary, folder, say)
            for copy in written:
                beside.submit(flush, Path(copy.path))  # to the disk, where it must be before it has its name
            entered.result()
            if parent := found.result():
                say(f"the source is, or has rows of, copy {parent}, which is recorded as its parent")
            # 5. Quality of what was written.
            for its, copy in zip(canaries, written, strict=True):
                path, added = Path(copy.path), len(its.planted.slots)
                check_rules(path, contract, "output", skip=not request.quality, say=say, canaries=added)
            # 6. Register, rename, issue.
            entries = [
                entry(request, contract, new, its, tally, done, path, envelope, quality, parent, epoch.number)
                for new, its, done, path, envelope in zip(copies, canaries, written, outputs, envelopes, strict=True)
            ]
            receipts = registry.prepare(entries, folder, text, members, compared.result())
            give_names(written, outputs)
            registry.issue(ids)
        lineage.tagged(request.source, receipts)
    return receipts


def register(request: TagRequest, say: Say) -> list[dict[str, Any]]:
    """Enter a file that was issued without tagging: membership only. Returns the receipts."""
    contract, text = load_contract(request.contract)
    check_recipients(request.recipients)
    keys = KeyStore(request.keys)
    keys.index_key()
    with Registry.open(request.registry, issuer=keys.issuer()) as registry:
        registry.recover()
        if request.idempotency_key and (first := registry.by_idempotency_key(request.idempotency_key)):
            return first
        epoch = registry.epochs()[-1]
        keys.index_key(epoch)
        source = describe(request.source.absolute())  # workers may run in another folder
        check_columns(source, contract)
        descriptors = chunks(source)
        quality = check_rules(request.source, contract, "input", skip=not request.quality, say=say)
        ids = [new_id() for _ in request.recipients]
        with registry.job(ids, ()) as folder:
            rows = tag_chunks(request, contract, descriptors, (), folder, epoch, say).rows
            entries = [
                NewExport(
                    export_id=i, dataset=contract.dataset, recipient=recipient, purpose=request.purpose,
                    series_id=i, epoch=epoch.number, idempotency_key=request.idempotency_key, rows_in=rows,
                    rows_out=rows, canaries=0, marked_sites=0, output=None, contract_sha256=contract.sha256,
                    quality=quality, commitment="", sealed=None, temp_path=None, parent=None,
                )
                for i, recipient in zip(ids, request.recipients, strict=True)
            ]  # fmt: skip
            receipts = registry.prepare(entries, folder, text)
            registry.issue(ids)
    return receipts


# -- the pipeline ------------------------------------------------------------------------------------------


@contextmanager
def meanwhile(work: Callable[..., object], *given: object) -> Iterator[None]:
    """Begin something that the block may need; what is wrong with it shows there."""
    with ThreadPoolExecutor(1) as other:
        other.submit(work, *given)
        yield


def tag_chunks(
    request: TagRequest,
    contract: Contract,
    descriptors: Sequence[Chunk],
    copies: Sequence[NewCopy],
    folder: Path,
    epoch: Epoch,
    say: Say,
) -> TagTally:
    """Leave, of all chunks in one pass, what the index learns, and for each copy its rows with their marks."""
    tagger = ChunkTagger(contract, str(request.keys.absolute()), str(folder), len(copies), epoch)
    tagger.save([copy.secret for copy in copies])
    rows = counted(sum(chunk.rows for chunk in descriptors), "row")
    say(f"tagging {rows} for {counted(len(copies), 'recipient')}" if copies else f"reading {rows}")
    from pipeline.transforms import options, run_tagging  # Beam takes seconds to import

    with no_room(), watching(say, "tagging", len(descriptors), folder, "tokens-*.json"):
        return run_tagging(runs(descriptors), tagger, options(request.beam_args, request.workers))


def draw_canaries(
    request: TagRequest,
    contract: Contract,
    descriptors: Sequence[Chunk],
    copies: Sequence[NewCopy],
    taken: TakenValues,
    marks: Plan,
    registry: Registry,
    keys: KeyStore,
) -> Generator[list[CopyCanaries], None, None]:
    """The canaries of each copy, once `taken` knows what they must not hold; then enters whom the pool lacked."""
    rng = np.random.default_rng(secrets.randbits(256))
    profile, rows = profile_of(descriptors)
    import_module("pipeline.transforms")  # waits for Beam: two threads that only interpret would share one core
    real = Profile(contract, profile)
    due = len(positions(rows, contract.canary_density, rng))
    drafts = [drafted_for(copy, real, due, keys, marks) for copy in copies]
    drafted = drafted_people(registry, real, due, rng)
    taken.wait()  # before the pool is locked
    with ready_pool(registry, keys, real, due, taken, rng, drafted) as pool:
        held = taken_or_pooled(taken, contract, pool.canaries.table)
        yield [
            canaries_for(copy, real, rows, held, keys, pool, marks, draft)
            for copy, draft in zip(copies, drafts, strict=True)
        ]


def let_go(drawing: Generator[list[CopyCanaries], None, None]) -> None:
    """Close what has the pool locked; whoever interrupts twice does not wait for what it is doing."""
    with suppress(ValueError):
        drawing.close()


def parent_of(source: Path, taken: TakenValues, contract: Contract, registry: Registry, keys: KeyStore) -> str | None:
    """The export that a source is made from; None when there is none."""
    return find_parent(digest_of(source), taken, contract, registry, keys)


def write_copies(
    request: TagRequest,
    source: TableFile,
    descriptors: Sequence[Chunk],
    canaries: Sequence[CopyCanaries],
    temporary: tuple[str, ...],
    folder: Path,
    say: Say,
) -> list[WrittenCopy]:
    """Write each copy with its canaries under its temporary name."""
    from pipeline.transforms import options, run_writing

    writer = CopyWriter(str(folder), source, temporary, len(descriptors))
    writer.save([its.planted for its in canaries])
    about, paths = len(temporary) * Path(source.path).stat().st_size, [Path(path) for path in temporary]
    with no_room(), watching_size(say, "writing", about, paths):
        return run_writing(writer, options(request.beam_args, request.workers))


@contextmanager
def no_room() -> Iterator[None]:
    """Say what it means for a copy when a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the copy could not be written ({error.strerror or type(error).__name__}); free some space or choose "
            "another -o, then run the command again"
        ) from error


# -- registering  -------------------------------------------------------------------------------------------


def entry(
    request: TagRequest,
    contract: Contract,
    new: NewCopy,
    its: CopyCanaries,
    tally: TagTally,
    done: WrittenCopy,
    path: Path,
    envelope: Envelope,
    quality: str,
    parent: str | None,
    epoch: int,
) -> NewExport:
    """The registry's entry of one copy."""
    return NewExport(
        export_id=new.export_id,
        dataset=contract.dataset,
        recipient=new.recipient,
        purpose=request.purpose_of(new.recipient),
        series_id=new.series_id,
        epoch=epoch,
        idempotency_key=request.key_of(new.recipient),
        rows_in=tally.rows,
        rows_out=done.rows,
        canaries=len(its.planted.slots),
        marked_sites=tally.sites,
        output={"path": str(path), "sha256": done.sha256, "bytes": done.bytes},
        contract_sha256=contract.sha256,
        quality=quality,
        commitment=envelope.commitment,
        sealed=envelope.sealed,
        temp_path=done.path,
        parent=parent,
    )


def temporary_path(path: Path, export_id: str) -> Path:
    """The name under which a copy is written, in the folder it goes to; it keeps the suffix."""
    return path.with_name(f".{export_id}.{path.name}")


def give_names(written: Sequence[WrittenCopy], outputs: Sequence[Path]) -> None:
    """Rename every copy into place; OutputError when a name was taken meanwhile."""
    for done, path in zip(written, outputs, strict=True):
        try:
            publish(Path(done.path), path)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be given its name ({error.strerror}); the export is entered and void until the next "
                "command finds it: choose another -o and tag again"
            ) from error
