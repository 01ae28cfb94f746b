"""`leaktrace trace`, `report` and `verify`: tracing a sample, drawing its case again, checking it."""

import shutil
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.common import Result, command, keys_of, registry_of, talker
from schemas.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from pipeline.intake import Said
    from pipeline.papers import Papers

# As pipeline.report and pipeline.emitters have them, which parsing must not import.
_LANGUAGES = ("en", "zh")
_FORMS = ("ocsf", "stix", "notice")
_FORMATS = ("csv", "fixed", "prose", "sql", "json", "excel", "parquet", "html", "email", "pdf")  # those of the readers


def add(commands: Any) -> None:
    """The parsers of these commands."""
    example = "leaktrace trace post.txt -o cases/forum-post"
    trace = command(commands, "trace", "trace a leaked sample", example, _trace)
    trace.add_argument("sample", metavar="SAMPLE", nargs="+", help="files, folders, or - for standard input")
    trace.add_argument("-o", "--output", metavar="CASE_DIR", required=True)
    trace.add_argument("--heads", "--head", metavar="FILE", action="append", help="heads that a witness noted")
    _add_papers(trace)
    trace.add_argument("--received", metavar="TIME", help="when the sample arrived (RFC 3339); now, unless given")
    trace.add_argument("--columns", metavar="N=KIND,…", help="what columns hold, from 1, such as 2=phone,3=name")
    trace.add_argument("--format", metavar="FORMAT", help=f"the format, one of {', '.join(_FORMATS)}")
    trace.add_argument("--encoding", metavar="NAME", help="the character encoding, such as gb18030, big5 or utf-16")
    example = "leaktrace report cases/forum-post --lang zh -o forum-post.zh.html"
    report = command(commands, "report", "draw a case's report again, or hand the case on", example, _report)
    report.add_argument("case", metavar="CASE_DIR")
    report.add_argument("-o", "--output", metavar="OUT", required=True, help="outside the case, which stays as it is")
    _add_papers(report)
    example = "leaktrace --keys keys verify cases/forum-post"
    verify = command(commands, "verify", "check a case's signatures and digests offline", example, _verify)
    verify.add_argument("case", metavar="CASE_DIR")
    verify.add_argument("--countersign", metavar="KEY", help="add a second person's signature, if everything holds")
    verify.add_argument("--head", metavar="HEAD", action="append", help="heads that you had noted, a line or a file")
    verify.add_argument(
        "--reproduce", action="store_true", help="trace its sample again and compare (needs a registry)"
    )


def _add_papers(made: ArgumentParser) -> None:
    made.add_argument("--lang", choices=_LANGUAGES, default="en", help="language of the report (default: en)")
    made.add_argument("--emit", choices=_FORMS, action="append", default=[], help="also as this; several times")
    made.add_argument(
        "--with-values", action="store_true", help="a page that shows the sample's rows: customers' values"
    )


def _papers(arguments: Namespace) -> "Papers":
    from pipeline.papers import Papers

    return Papers(arguments.lang, tuple(arguments.emit), arguments.with_values)


def _report(arguments: Namespace) -> Result:
    from pipeline.keystore import KeyStore
    from pipeline.papers import redraw

    if arguments.emit and arguments.with_values:
        raise UsageError("leaktrace report: --emit writes no values; give --emit or --with-values")
    wanted, keys = _papers(arguments), KeyStore(keys_of(arguments))
    written = [str(path) for path in redraw(Path(arguments.case), keys, Path(arguments.output), wanted)]
    lines = [f"{', '.join(written)} written; not a part of the signed case."]
    if wanted.with_values:
        lines.append("It shows customers' values: only its owner can read it.")
    return Result({"case": arguments.case, "written": written}, lines)


def _trace(arguments: Namespace) -> Result:
    from pipeline.report import language, summary
    from pipeline.tracing import TraceRequest, trace

    if "-" in arguments.sample and arguments.sample != ["-"]:
        raise UsageError("leaktrace trace: - (standard input) cannot be mixed with files; trace them apart")
    case = Path(arguments.output)
    request = TraceRequest(
        tuple(map(Path, arguments.sample)), case, registry_of(arguments), keys_of(arguments), arguments.beam_args,
        heads=tuple(arguments.heads or ()), received=_time(arguments.received),
        papers=_papers(arguments), said=_said(arguments),
    )  # fmt: skip
    with _standard_input(arguments.sample == ["-"]) as piped:
        verdict = trace(replace(request, sample=piped or request.sample), talker(arguments))
    lines = summary(verdict, language(arguments.lang))
    return Result(verdict, [*lines, f"The case is in {case}; read {case / 'report.html'}."])


@contextmanager
def _standard_input(is_piped: bool) -> Iterator[tuple[Path, ...]]:
    """Standard input as a file for the time of the block, however long it is; nothing, when it is not the sample."""
    if not is_piped:
        yield ()
        return
    with tempfile.TemporaryDirectory(prefix="leaktrace-") as folder:
        path = Path(folder) / "standard-input.txt"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield (path,)


def _said(arguments: Namespace) -> "Said":
    """What the user said about the sample; UsageError when it makes no sense."""
    from pipeline.intake import corrected

    parts = [part.partition("=") for part in arguments.columns.split(",")] if arguments.columns else []
    numbers = [int(number) if number.strip().isdecimal() else 0 for number, _, _ in parts]
    columns = dict(zip(numbers, (word.strip() for _, _, word in parts), strict=True))
    return corrected(arguments.format, arguments.encoding, columns)


def _time(text: str | None) -> datetime | None:
    from pipeline.witness import parse_time

    if text is None:
        return None
    try:
        moment = parse_time(text)
    except ValueError as error:
        raise UsageError("leaktrace trace: --received is no time with a zone, such as 2026-11-23T08:00:00Z") from error
    if moment > datetime.now(UTC):
        raise UsageError("leaktrace trace: --received lies in the future; correct it, or this machine's clock")
    return moment


def _verify(arguments: Namespace) -> Result:
    from pipeline.bundle import countersign, known_of, verify_bundle
    from pipeline.keystore import KeyStore, signing_key
    from pipeline.witness import heads

    case, keys = Path(arguments.case), KeyStore(keys_of(arguments))
    noted = [head for given in arguments.head or () for head in heads(given)]
    examiner, known = keys.examiner_public(), known_of(keys, noted)
    if arguments.countersign:
        countersign(case, signing_key(Path(arguments.countersign)), examiner, known)
        lines = [
            f"{case} is as it was signed, and now has a second person's signature too.",
            "Whoever verifies it needs that person's public key in persons/ of their --keys.",
        ]
        return Result({"case": str(case), "problems": []}, lines)
    problems = verify_bundle(case, examiner, known)
    if arguments.reproduce and not problems:
        from pipeline.reproduce import differences

        problems = differences(case, registry_of(arguments), keys_of(arguments), talker(arguments))
    if problems:
        raise IntegrityError("; ".join(problems))
    lines = [f"{case} is as it was signed: every digest and signature holds."]
    if arguments.reproduce:
        lines.append("Traced again from its own sample, it gives the same verdict.")
    return Result({"case": str(case), "problems": []}, lines)
