"""`leaktrace tag`, `register` and `exports`: issuing copies and listing them."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from pipeline.commands import custody
from pipeline.commands.common import Parser, Result, command, keys_of, registry_of, talker
from schemas.errors import UsageError
from schemas.wording import counted

_SHOWN = ("export_id", "dataset", "recipient", "purpose", "issued_at", "rows_out", "state", "series_id", "parent")


def add(commands: Any) -> None:
    """The parsers of these commands."""
    tag = command(
        commands,
        "tag",
        "issue one tagged copy of a table for each recipient",
        "leaktrace tag customers.csv --contract bank.odcs.yaml --recipient E1003 --purpose 'spring campaign' "
        "-o E1003.csv",
        _tag,
    )
    register = command(
        commands,
        "register",
        "enter a file that was issued without tagging, or an access log (membership only)",
        "leaktrace register customers.csv --contract bank.odcs.yaml --recipient E1004 --purpose audit",
        _register,
    )
    for made in (tag, register):
        made.add_argument("file", metavar="FILE")
        made.add_argument("--contract", metavar="C", required=True)
        made.add_argument("--recipient", metavar="ID", action="append", required=made is tag, help="may be given again")
        made.add_argument("--purpose", metavar="TEXT", required=made is tag)
        made.add_argument("--idempotency-key", metavar="K", help="the same key again changes nothing")
        made.add_argument("--no-quality", action="store_true", help="skip the quality rules; the receipt says so")
    register.add_argument("--access-log", action="store_true", help="FILE is a log of who looked at which record")
    tag.add_argument("-o", "--output", metavar="OUT", help="the copy; holds {recipient} for several recipients")
    tag.add_argument("--dry-run", action="store_true", help="say what would change; change nothing")
    tag.add_argument("--series", action="store_true", help="mark like the recipient's earlier copies of this dataset")
    exports = command(commands, "exports", "list the exports", "leaktrace exports --recipient E1003", _exports)
    exports.add_argument("--recipient", metavar="ID")
    exports.add_argument("--dataset", metavar="D")
    parts = exports.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser)
    example = "leaktrace exports supersede X-F19F280E57B1D4DD0D45 --reason 'wrong month'"
    made = command(parts, "supersede", "revoke a copy that should not be used; it stays traceable", example, _supersede)
    made.add_argument("export", metavar="EXPORT_ID")
    made.add_argument("--reason", metavar="TEXT", required=True, help="kept and signed; name no customer in it")
    custody.add_acknowledge(parts)


def _tag(arguments: Namespace) -> Result:
    from pipeline import tagging

    request = _tag_request(arguments)
    if arguments.dry_run:
        from pipeline.preview import dry_run

        document = dry_run(request.source, request.contract, request.recipients, request.keys)
        cells = sum(document["cells_changed"].values())
        return Result(
            document,
            [
                f"{counted(cells, 'cell')} would change, {counted(document['canaries'], 'canary', 'canaries')} be "
                "added; nothing was."
            ],
        )
    if request.output is None:
        raise UsageError("leaktrace tag: -o is missing; say where the copy goes, as in -o E1003.csv")
    receipts = tagging.tag(request, talker(arguments))
    lines = [
        f"{r['export_id']} issued to {r['recipient']}: {counted(r['rows_out'], 'row')}, "
        f"{counted(r['canaries'], 'canary', 'canaries')}, "
        f"{r['marked_sites']:,} marks, {r['output']['path']}"
        + (f"; its source is, or has rows of, copy {r['parent']}" if r.get("parent") else "")
        for r in receipts
    ]
    return Result(_one_or_many(receipts), lines)


def _register(arguments: Namespace) -> Result:
    from pipeline import tagging

    if arguments.access_log:
        return _register_access_log(arguments)
    if not arguments.recipient or not arguments.purpose:
        raise UsageError("leaktrace register: --recipient and --purpose are needed, but for an --access-log")
    receipts = tagging.register(_tag_request(arguments), talker(arguments))
    lines = [
        f"{r['export_id']} registered for {r['recipient']}: {counted(r['rows_out'], 'row')}, membership only"
        for r in receipts
    ]
    return Result(_one_or_many(receipts), lines)


def _register_access_log(arguments: Namespace) -> Result:
    from dataclasses import asdict

    from pipeline.access_log import register_access_log
    from pipeline.checks import load_contract
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    if arguments.recipient or arguments.idempotency_key:
        raise UsageError("leaktrace register: an --access-log names its employees itself; leave --recipient out")
    contract, text = load_contract(Path(arguments.contract))
    keys = KeyStore(keys_of(arguments))
    purpose = arguments.purpose or "viewed"
    with Registry.open(registry_of(arguments), issuer=keys.issuer()) as registry:
        registry.recover()
        done = register_access_log(Path(arguments.file), contract, text, purpose, registry, keys)
    line = (
        f"{done.entered} employees' days entered, {done.before} were there; of {done.lines:,} lines {done.broken:,} "
        f"were broken and {done.unknown:,} name records that the registry does not know."
    )
    return Result(asdict(done), [line])


def _exports(arguments: Namespace) -> Result:
    from pipeline.registry import Registry

    with Registry.open(registry_of(arguments)) as registry:
        found = registry.exports(recipient=arguments.recipient, dataset=arguments.dataset).to_pylist()
        superseded = {note["export_id"]: note["reason"] for note in registry.notes("supersede")}
    shown = [{name: export[name] for name in _SHOWN} for export in found]
    for one in shown:
        one["issued_at"] = str(one["issued_at"])
        one["superseded"] = superseded.get(one["export_id"])
    lines = [
        f"{e['issued_at']:<32} {e['export_id']:<24} {e['recipient']:<12} {e['dataset']:<16} {e['rows_out']:>10,} "
        f"{e['purpose']}" + (f" (superseded: {e['superseded']})" if e["superseded"] else "")
        for e in shown
    ]
    return Result({"exports": shown}, lines or ["No exports."])


def _supersede(arguments: Namespace) -> Result:
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry
    from schemas.errors import InputError

    keys, export = KeyStore(keys_of(arguments)), arguments.export
    with Registry.open(registry_of(arguments), issuer=keys.issuer()) as registry:
        registry.recover()
        if export not in registry.exports()["export_id"].to_pylist():
            raise InputError(f"the registry has no export {export}; leaktrace exports lists them")
        if any(note["export_id"] == export for note in registry.notes("supersede")):
            raise InputError(f"export {export} was superseded before; nothing was changed")
        entry = registry.note("supersede", export, {"reason": arguments.reason})
    return Result(entry, [f"{export} is superseded. Collect its file; it stays traceable."])


def _tag_request(arguments: Namespace) -> Any:
    from pipeline.tagging import TagRequest

    return TagRequest(
        source=Path(arguments.file),
        contract=Path(arguments.contract),
        recipients=tuple(arguments.recipient),
        purpose=arguments.purpose,
        output=getattr(arguments, "output", None),
        registry=registry_of(arguments),
        keys=keys_of(arguments),
        idempotency_key=arguments.idempotency_key,
        series=getattr(arguments, "series", False),
        quality=not arguments.no_quality,
        beam_args=arguments.beam_args,
    )


def _one_or_many(receipts: list[dict[str, Any]]) -> Any:
    return receipts[0] if len(receipts) == 1 else receipts
