"""Everything that a tag or register command checks before it does any work."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline import left_out
from pipeline.files import TableFile
from schemas.contract import Contract, parse
from schemas.errors import ContractError, OutputError, QualityError, UsageError

_UNIT = re.compile(r"(?<=^timestamp\[)(?:s|ms|us|ns)")
_RECIPIENT = re.compile(r"[^\s/\\\x00-\x1f\x7f]{1,128}")


def load_contract(path: Path) -> tuple[Contract, bytes]:
    """The contract of a path and its bytes; ContractError with file and line when it is wrong."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ContractError(f"{path.name} cannot be read ({error.strerror}); give the contract's path") from error
    return parse(text, path.name), text


def check_recipients(recipients: Sequence[str]) -> None:
    """Refuse ids that would break a path or a line, and one id twice."""
    for recipient in recipients:
        if not _RECIPIENT.fullmatch(recipient) or recipient in (".", ".."):
            raise UsageError(
                "--recipient holds a space, a slash or a control character, or is empty; give the employee's id as "
                "the directory has it, without those"
            )
    if len(set(recipients)) < len(recipients):
        raise UsageError("--recipient names the same recipient twice; name each once")


def output_paths(output: str | None, recipients: Sequence[str]) -> list[Path]:
    """Where each copy goes; refuses an output without `{recipient}` for several recipients."""
    check_recipients(recipients)
    pattern = output or ""
    if len(recipients) > 1 and "{recipient}" not in pattern:
        raise UsageError("-o must hold {recipient} when there are several recipients, as in -o out/{recipient}.csv")
    return [Path(pattern.replace("{recipient}", recipient)) for recipient in recipients]


def refuse_existing(outputs: Sequence[Path]) -> None:
    """OutputError when an output exists or its folder does not."""
    for path in outputs:
        if path.exists() or path.is_symlink():
            raise OutputError(f"{path} exists; nothing is overwritten: choose another -o, or remove it first")
        if not path.parent.is_dir():
            raise OutputError(f"the folder {path.parent} does not exist; create it, then run the command again")


def check_columns(source: TableFile, contract: Contract) -> None:
    """The file has exactly the contract's columns, of the contract's types."""
    names, expected = source.schema.names, [column.name for column in contract.columns]
    missing = [name for name in expected if name not in names]
    extra = [name for name in names if name not in expected]
    where = Path(source.path).name
    if missing:
        hint = "; is the delimiter right?" if len(names) == 1 else ""
        raise ContractError(
            f"{where} lacks {_columns(missing)} of the contract{hint}; export {'it' if len(missing) == 1 else 'them'}, "
            "or change the contract"
        )
    if extra:
        raise ContractError(
            f"{where} has {_columns(extra, named=False)} that the contract does not know; change the contract "
            "(leaktrace contract infer proposes one), or leave out of the file what it does not name"
        )
    for column in contract.columns:
        found = str(source.schema.field(column.name).type)
        if source.format == "parquet" and column.physical_type and not same_type(found, column.physical_type):
            raise ContractError(
                f"{where}, column '{column.name}' is {found}, the contract says {column.physical_type}; "
                "cast it, or change the contract"
            )


def _columns(names: Sequence[str], *, named: bool = True) -> str:
    """How many columns; `named` only where the names are the contract's, for a file's may be data."""
    count = "1 column" if len(names) == 1 else f"{len(names)} columns"
    return f"{count}, first '{names[0]}'," if named else count


def same_type(found: str, expected: str) -> bool:
    """Whether two Arrow types are one but for the unit of times, which differs from program to program."""
    return _UNIT.sub("", found) == _UNIT.sub("", expected)


def check_rules(
    path: Path, contract: Contract, where: str, *, skip: bool, say: Callable[[str], None], canaries: int = 0
) -> str:
    """Run the contract's quality rules over a file; 'passed' or 'skipped', QualityError when one fails."""
    if skip:
        return "skipped"
    left_out.show()
    from pipeline.quality import check_quality  # Great Expectations takes seconds to import

    say(f"checking the quality rules of the {where}")
    result = check_quality(path, contract, where, canaries)
    if not result.passed:
        raise QualityError(result.message())
    return "passed"
