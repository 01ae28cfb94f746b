"""`leaktrace cases`: who traced what, and deleting cases."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from pipeline.commands.common import Parser, Result, command, keys_of, registry_of
from schemas.errors import UsageError
from schemas.wording import counted


def add(commands: Any) -> None:
    """The parsers of these commands."""
    made = command(commands, "cases", "list who traced what and when", "leaktrace cases", _cases)
    parts = made.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser)
    example = "leaktrace cases delete cases/post --reason 'closed by the board on 3 May'"
    delete = command(parts, "delete", "delete a case with its sample, on record", example, _delete)
    delete.add_argument("case", metavar="CASE_DIR")
    delete.add_argument("--reason", metavar="TEXT", required=True, help="kept and signed; name no customer in it")
    example = "leaktrace cases retain cases --older-than 730"
    retain = command(
        parts, "retain", "delete the cases of a folder that are older than a policy says", example, _retain
    )
    retain.add_argument("folder", metavar="CASES")
    retain.add_argument("--older-than", metavar="DAYS", type=float, required=True)
    retain.add_argument("--dry-run", action="store_true", help="say which; delete nothing")


def _cases(arguments: Namespace) -> Result:
    from pipeline.case_care import listed
    from pipeline.registry import Registry

    with Registry.open(registry_of(arguments)) as registry:
        found = listed(registry)
    lines = [
        f"{one['created_at']}  {one['case_id']}  {one['operator']}  sample {one['sample_digest'][:12]}, "
        f"attempt {one['attempt']}{', deleted ' + one['deleted'] if one['deleted'] else ''}"
        for one in found
    ]
    return Result({"cases": found}, lines or ["No trace was made since this log began."])


def _delete(arguments: Namespace) -> Result:
    from pipeline.case_care import delete_case
    from pipeline.registry import Registry

    with Registry.open(registry_of(arguments)) as registry:
        done = delete_case(Path(arguments.case), arguments.reason, registry, _log(arguments))
    return Result({"deleted": [done]}, [f"Case {done} is deleted; the log keeps that, and why."])


def _retain(arguments: Namespace) -> Result:
    from datetime import UTC, datetime

    from pipeline.case_care import case_id_of, delete_case, older_than
    from pipeline.registry import Registry

    if not 0 <= arguments.older_than <= 36_500:
        raise UsageError("leaktrace cases retain: --older-than is no number of days from 0 to 36500")
    old = older_than(Path(arguments.folder), arguments.older_than, datetime.now(UTC))
    if arguments.dry_run or not old:
        ids = [case_id_of(path) for path in old]
        return Result(
            {"deleted": [], "old": ids}, [f"{counted(len(old), 'case is', 'cases are')} older; nothing was deleted."]
        )
    reason, log = f"older than {arguments.older_than:g} days", _log(arguments)
    with Registry.open(registry_of(arguments)) as registry:
        done = [delete_case(path, reason, registry, log) for path in old]
    return Result(
        {"deleted": done}, [f"{counted(len(done), 'case is', 'cases are')} deleted; the log keeps that, and why."]
    )


def _log(arguments: Namespace) -> Any:
    from pipeline.keystore import KeyStore
    from pipeline.ledger import Log
    from pipeline.trace_log import operator, signer

    return Log(operator(), signer(KeyStore(keys_of(arguments)).examiner()))
