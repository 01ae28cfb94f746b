"""The tag path, top to bottom: from a table to one marked copy a recipient, each with a signed receipt.

    check → quality → canaries → [chunks: tokenise, insert canaries, embed marks] → write → quality → register

Nothing is issued unless everything is: copies are written under temporary names, entered in the registry as
`prepared` in one transaction, renamed, then entered as `issued`; the next command finishes or undoes what a
crash left in between.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from pipeline.canary_documents import to_document
from pipeline.checks import check_columns, check_recipients, check_rules, load_contract, output_paths, refuse_existing
from pipeline.copies import NewCopy, new_copy, new_id, profile_of
from pipeline.epochs import Epoch
from pipeline.files import Chunk, TableFile, chunks, describe, runs
from pipeline.keystore import KeyStore
from pipeline.lineage import lineage_of
from pipeline.parents import find_parent
from pipeline.pool import ready_pool, taken_or_pooled
from pipeline.progress import Say, watching
from pipeline.recovery import publish
from pipeline.registry import NewExport, Registry
from pipeline.sealing import commitment, seal_secret
from pipeline.steps import ChunkTagger, CopySecrets, CopyWriter, WrittenCopy, sha256_of
from pipeline.taken_values import TakenValues
from schemas.contract import Contract
from schemas.errors import OutputError
from schemas.wording import counted
from watermarking.canaries import Profile, positions
from watermarking.keys import IndexKey
from watermarking.selection import plan


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
        # 3. Names, secrets and canaries of each copy.
        Thread(target=_import_beam).start()
        taken, rng = TakenValues(descriptors, contract), np.random.default_rng(secrets.randbits(256))
        if contract.canary_density:
            taken.begin()
        parent = find_parent(sha256_of(request.source), taken, contract, registry, keys)
        if parent:
            say(f"the source is, or has rows of, copy {parent}, which is recorded as its parent")
        profile, rows = profile_of(descriptors)
        real = Profile(contract, profile)
        due = len(positions(rows, contract.canary_density, rng))
        pool, marks = ready_pool(registry, keys, real, due, taken, rng), plan(contract, index_key)
        held = taken_or_pooled(taken, contract, pool.canaries.table)
        copies = [
            new_copy(real, recipient, rows, held, keys, epoch.number, pool, marks, series=request.series)
            for recipient in request.recipients
        ]
        ids = [copy.export_id for copy in copies]
        temporary = tuple(str(temporary_path(path.absolute(), i)) for path, i in zip(outputs, ids, strict=True))
        with registry.job(ids, temporary, [str(path) for path in outputs]) as folder:
            # 4. Tokenise, insert canaries, embed marks, write: the Beam pipeline.
            written = write_copies(request, contract, source, descriptors, rows, copies, temporary, folder, epoch, say)
            # 5. Quality of what was written.
            for new, copy in zip(copies, written, strict=True):
                path, added = Path(copy.path), len(new.slots)
                check_rules(path, contract, "output", skip=not request.quality, say=say, canaries=added)
            # 6. Register, rename, issue.
            entries = [
                entry(request, contract, new, done, path, officer, quality, parent, epoch.number)
                for new, done, path in zip(copies, written, outputs, strict=True)
            ]
            receipts = registry.prepare(entries, folder, text)
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
        rows = sum(chunk.rows for chunk in descriptors)
        ids = [new_id() for _ in request.recipients]
        with registry.job(ids, ()) as folder:
            tagger = ChunkTagger(contract, str(request.keys.absolute()), str(folder), 0, rows, epoch)
            _run(request, descriptors, tagger, CopyWriter(str(folder), source, (), len(descriptors)), say)
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


def write_copies(
    request: TagRequest,
    contract: Contract,
    source: TableFile,
    descriptors: Sequence[Chunk],
    rows: int,
    copies: Sequence[NewCopy],
    temporary: tuple[str, ...],
    folder: Path,
    epoch: Epoch,
    say: Say,
) -> list[WrittenCopy]:
    """Tag all chunks for all recipients in one pass and write each copy under its temporary name."""
    for number, copy in enumerate(copies):
        CopySecrets(copy.secret, copy.planted, copy.slots).save(folder, number)
    say(f"tagging {counted(rows, 'row')} for {counted(len(copies), 'recipient')}")
    tagger = ChunkTagger(contract, str(request.keys.absolute()), str(folder), len(copies), rows, epoch)
    return _run(request, descriptors, tagger, CopyWriter(str(folder), source, temporary, len(descriptors)), say)


def _import_beam() -> None:
    """Takes a second, in which the other core makes canaries; `_run` waits for it, and says what is wrong with it."""
    with suppress(ImportError):
        import_module("pipeline.transforms")


def _run(
    request: TagRequest, descriptors: Sequence[Chunk], tagger: ChunkTagger, writer: CopyWriter, say: Say
) -> list[WrittenCopy]:
    from pipeline.transforms import options, run_tagging  # Beam takes seconds to import

    beam_options, parts = options(request.beam_args, request.workers), len(descriptors) + writer.copies
    try:
        with watching(say, "tagging", parts, Path(tagger.folder), "tokens-*.json", "written-*.json"):
            return run_tagging(runs(descriptors), tagger, writer, beam_options)
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
    done: WrittenCopy,
    path: Path,
    officer: Any,
    quality: str,
    parent: str | None,
    epoch: int,
) -> NewExport:
    """The registry's entry of one copy, its secret and canaries sealed to the officer."""
    canaries = to_document(new.canaries)
    sealed = seal_secret(
        officer, export_id=new.export_id, dataset=contract.dataset, recipient=new.recipient,
        nonce=new.nonce, secret=new.secret, canaries=canaries,
    )  # fmt: skip
    return NewExport(
        export_id=new.export_id,
        dataset=contract.dataset,
        recipient=new.recipient,
        purpose=request.purpose_of(new.recipient),
        series_id=new.series_id,
        epoch=epoch,
        idempotency_key=request.key_of(new.recipient),
        rows_in=done.rows - len(new.slots),
        rows_out=done.rows,
        canaries=len(new.slots),
        marked_sites=done.sites,
        output={"path": str(path), "sha256": done.sha256, "bytes": done.bytes},
        contract_sha256=contract.sha256,
        quality=quality,
        commitment=commitment(new.export_id, new.nonce, new.secret, canaries),
        sealed=sealed,
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
