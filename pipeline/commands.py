"""What each command does: arguments in, a document and lines for the terminal out."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ContractError, IntegrityError, OutputError, RegistryError, UsageError


@dataclass(frozen=True)
class Result:
    """What a command has to say: a JSON document, lines for a person, and the exit code."""

    document: Any
    lines: list[str]
    exit_code: int = 0


def run(arguments: Namespace) -> Result:
    """Run the chosen command; raises one of schemas.errors."""
    name = "_".join(filter(None, (arguments.command, getattr(arguments, "action", None))))
    return _COMMANDS[name](arguments)


def _init(arguments: Namespace) -> Result:
    from pipeline.keystore import init_keys
    from pipeline.registry import create

    location, keys = _registry_of(arguments), _keys_of(arguments)
    made = init_keys(keys, tagger=arguments.tagger)
    if not arguments.tagger:
        create(location, arguments.data)
    lines = [
        f"Registry {location} and keys {keys} are ready." if not arguments.tagger else f"Keys {keys} are ready.",
        "In production, keep the keys apart: officer.key never lies where tagging happens; escrow a copy of it.",
    ]
    return Result({"registry": location, "keys": str(keys), "created": made}, lines)


def _contract_infer(arguments: Namespace) -> Result:
    from pipeline.inference import infer

    text = infer(Path(arguments.file))
    if arguments.output is None:
        return Result({"contract": text}, [text.rstrip("\n")])
    path = Path(arguments.output)
    if path.exists():
        raise OutputError(f"{path} exists; nothing is overwritten: choose another -o, or remove it first")
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another -o") from error
    return Result({"contract": text, "path": str(path)}, [f"{path} written. Read it, correct it, commit it."])


def _contract_check(arguments: Namespace) -> Result:
    from pipeline.inference import check

    found = check(Path(arguments.contract), Path(arguments.file) if arguments.file else None)
    name = Path(arguments.contract).name
    document = {"findings": [{"line": f.line, "message": f.message} for f in found]}
    if not found:
        return Result(document, [f"{name} is in order."])
    return Result(document, [f"{name}:{f.line}: {f.message}" for f in found], ContractError.exit_code)


def _tag(arguments: Namespace) -> Result:
    from pipeline import tagging

    request = _tag_request(arguments)
    if arguments.dry_run:
        from pipeline.preview import dry_run

        document = dry_run(request.source, request.contract, request.recipients, request.keys)
        cells = sum(document["cells_changed"].values())
        return Result(
            document,
            [f"{cells:,} cells would change, {document['canaries']} canaries be added; nothing was."],
        )
    if request.output is None:
        raise UsageError("leaktrace tag: -o is missing; say where the copy goes, as in -o E1003.csv")
    receipts = tagging.tag(request, _say(arguments))
    lines = [
        f"{r['export_id']} issued to {r['recipient']}: {r['rows_out']:,} rows, {r['canaries']} canaries, "
        f"{r['marked_sites']:,} marks, {r['output']['path']}"
        for r in receipts
    ]
    return Result(_one_or_many(receipts), lines)


def _register(arguments: Namespace) -> Result:
    from pipeline import tagging

    receipts = tagging.register(_tag_request(arguments), _say(arguments))
    lines = [
        f"{r['export_id']} registered for {r['recipient']}: {r['rows_out']:,} rows, membership only" for r in receipts
    ]
    return Result(_one_or_many(receipts), lines)


def _trace(arguments: Namespace) -> Result:
    from pipeline.report import summary
    from pipeline.tracing import TraceRequest, trace

    if "-" in arguments.sample and arguments.sample != ["-"]:
        raise UsageError("leaktrace trace: - (standard input) cannot be mixed with files; trace them apart")
    piped = arguments.sample == ["-"]
    sample: tuple[Path, ...] | bytes = sys.stdin.buffer.read() if piped else tuple(map(Path, arguments.sample))
    case = Path(arguments.output)
    request = TraceRequest(sample, case, _registry_of(arguments), _keys_of(arguments), arguments.beam_args)
    verdict = trace(request, _say(arguments))
    return Result(verdict, [*summary(verdict), f"The case is in {case}; read {case / 'report.html'}."])


def _verify(arguments: Namespace) -> Result:
    from pipeline.bundle import verify_bundle
    from pipeline.keystore import KeyStore

    case = Path(arguments.case)
    problems = verify_bundle(case, KeyStore(_keys_of(arguments)).examiner_public())
    if problems:
        raise IntegrityError("; ".join(problems))
    return Result(
        {"case": str(case), "problems": []},
        [f"{case} is as it was signed: every digest and signature holds."],
    )


def _exports(arguments: Namespace) -> Result:
    from pipeline.registry import Registry

    with Registry.open(_registry_of(arguments)) as registry:
        found = registry.exports(recipient=arguments.recipient, dataset=arguments.dataset).to_pylist()
    shown = [
        {
            k: e[k]
            for k in (
                "export_id",
                "dataset",
                "recipient",
                "purpose",
                "issued_at",
                "rows_out",
                "state",
                "series_id",
            )
        }
        for e in found
    ]
    for one in shown:
        one["issued_at"] = str(one["issued_at"])
    lines = [
        f"{e['issued_at']:<32} {e['export_id']:<24} {e['recipient']:<12} {e['dataset']:<16} {e['rows_out']:>10,} "
        f"{e['purpose']}"
        for e in shown
    ]
    return Result({"exports": shown}, lines or ["No exports."])


def _registry_check(arguments: Namespace) -> Result:
    from pipeline.audit import check
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    keys = KeyStore(_keys_of(arguments))
    with Registry.open(_registry_of(arguments)) as registry:
        registry.recover()
        problems = check(registry, keys.issuer_public(), keys.officer_private())
        count = registry.exports().num_rows
    if problems:
        raise IntegrityError("; ".join(problems))
    return Result({"exports": count, "problems": []}, [f"{count} exports: every signature, digest and link holds."])


def _tag_request(arguments: Namespace) -> Any:
    from pipeline.tagging import TagRequest

    return TagRequest(
        source=Path(arguments.file),
        contract=Path(arguments.contract),
        recipients=tuple(arguments.recipient),
        purpose=arguments.purpose,
        output=getattr(arguments, "output", None),
        registry=_registry_of(arguments),
        keys=_keys_of(arguments),
        idempotency_key=arguments.idempotency_key,
        series=getattr(arguments, "series", False),
        quality=not arguments.no_quality,
        beam_args=arguments.beam_args,
    )


def _registry_of(arguments: Namespace) -> str:
    location = arguments.registry or os.environ.get("LEAKTRACE_REGISTRY")
    if not location:
        raise RegistryError("no registry is named; give --registry DIR or set LEAKTRACE_REGISTRY")
    return str(location)


def _keys_of(arguments: Namespace) -> Path:
    folder = arguments.keys or os.environ.get("LEAKTRACE_KEYS")
    if not folder:
        raise RegistryError("no keys are named; give --keys DIR or set LEAKTRACE_KEYS")
    return Path(folder)


def _one_or_many(receipts: list[dict[str, Any]]) -> Any:
    return receipts[0] if len(receipts) == 1 else receipts


def _say(arguments: Namespace) -> Callable[[str], None]:
    """Progress for a person: on a terminal, or when asked for with -v."""
    talks = arguments.verbose or (sys.stderr.isatty() and not arguments.quiet)

    def say(message: str) -> None:
        if talks:
            sys.stderr.write(f"leaktrace: {message} …\n")

    return say


_COMMANDS: dict[str, Callable[[Namespace], Result]] = {
    "init": _init,
    "contract_infer": _contract_infer,
    "contract_check": _contract_check,
    "tag": _tag,
    "register": _register,
    "trace": _trace,
    "verify": _verify,
    "exports": _exports,
    "registry_check": _registry_check,
}
