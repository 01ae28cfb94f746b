"""The Beam side of tagging and tracing: as little logic as possible.

Elements are descriptors of chunks, never rows and never keys: a worker resolves the key reference in
`setup()`. One DoFn reads, works and writes; what crosses a shuffle are small mergeable counts. Part files are
named after their chunk and renamed into place, so a retried bundle is harmless.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, TypeVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, StandardOptions

from pipeline.clusters import fault_of, told_without_values
from pipeline.tag_steps import ChunkTagger, CopyWriter, TagTally, WrittenCopy
from schemas.errors import LeaktraceError, UsageError

if TYPE_CHECKING:  # a command that tags imports nothing of tracing
    from pipeline.trace_steps import SampleTracer, TraceTally

_LOCAL = ("--runner=FnApiRunner", "--direct_running_mode=in_memory")
_LOCAL_RUNNER = "FnApiRunner"
T = TypeVar("T")
Guard = Callable[[], AbstractContextManager[None]]


def options(beam_args: Sequence[str], workers: int) -> PipelineOptions:
    """Beam's options: what follows `--` on the command line, else the in-process runner.

    Always names the runner: the default one tries to download another first. Raises UsageError.
    """
    chosen = list(beam_args)
    if not any(arg.startswith("--runner") for arg in chosen):
        chosen = [*_LOCAL, f"--direct_num_workers={workers}", *chosen]
    # A failing worker's traceback is logged as an error, with the values that the message of a library may quote.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_not_from_beam)  # what a cluster reports, it logs without a name
    try:
        made = PipelineOptions(chosen)
    except SystemExit as error:
        raise UsageError("Beam does not accept the options after --; see its pipeline options") from error
    made.view_as(DebugOptions).add_experiment("disable_logging_submission_environment")  # no list of what is installed
    return made


def _not_from_beam(record: logging.LogRecord) -> bool:
    return "apache_beam" not in record.pathname


class TagChunks(beam.DoFn):
    """Tags chunks for every recipient; emits what was counted, all with one key."""

    def __init__(self, tagger: ChunkTagger, guard: Guard) -> None:
        """`tagger` holds references and paths, no key; `guard` decides what a fault says."""
        self._tagger, self._guard = tagger, guard

    def setup(self) -> None:
        """Resolve keys and copies on the worker."""
        with self._guard():
            self._tagger = self._tagger.opened()

    def process(self, element: tuple[int, Iterable[Any]]) -> Iterator[tuple[int, TagTally]]:
        """element: a number, and descriptors of chunks that are read together."""
        for run in element[1]:
            with self._guard():
                tally = self._tagger.tag(run)
            yield 0, tally


class AssembleCopy(beam.DoFn):
    """Writes one recipient's file from its parts."""

    def __init__(self, writer: CopyWriter, guard: Guard) -> None:
        """`writer` holds paths only; `guard` decides what a fault says."""
        self._writer, self._guard = writer, guard

    def process(self, element: tuple[int, Iterable[None]]) -> Iterator[WrittenCopy]:
        """element: number of the copy, as a key."""
        with self._guard():
            written = self._writer.assemble(element[0])
        yield written


class TraceChunks(beam.DoFn):
    """Resolves chunks of a sample and reads their marks; emits counts, all with one key."""

    def __init__(self, tracer: "SampleTracer", guard: Guard) -> None:
        """`tracer` holds references and paths, no key; `guard` decides what a fault says."""
        self._tracer, self._guard = tracer, guard

    def setup(self) -> None:
        """Resolve the index key and open the index files on the worker."""
        with self._guard():
            self._tracer = self._tracer.opened()

    def process(self, element: tuple[int, Iterable[Any]]) -> Iterator[tuple[int, Any]]:
        """element: a number, and descriptors of chunks for which the index is asked at once."""
        for run in element[1]:
            with self._guard():
                tally = self._tracer.trace(run)
            yield 0, tally


class Sum(beam.CombineFn):
    """Adds mergeable counts."""

    def __init__(self, zero: Any) -> None:
        """`zero` is the neutral element."""
        self._zero = zero

    def create_accumulator(self) -> Any:
        """The neutral element."""
        return self._zero

    def add_input(self, accumulator: Any, element: Any) -> Any:
        """One more."""
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        """Associative and commutative."""
        return reduce(add, accumulators, self._zero)

    def extract_output(self, accumulator: Any) -> Any:
        """The sum."""
        return accumulator


def run_tagging(runs: Sequence[Any], tagger: ChunkTagger, beam_options: PipelineOptions) -> TagTally:
    """Tag all chunks (at least one) for every recipient; returns what was counted."""
    _count(
        "tag for every recipient", runs, TagChunks(tagger, _guard_for(beam_options)), tagger, TagTally(), beam_options
    )
    return tagger.remembered()


def run_writing(writer: CopyWriter, beam_options: PipelineOptions) -> list[WrittenCopy]:
    """Write every copy (at least one) from its parts and its canaries. Returns the copies, in their order."""
    guard = _guard_for(beam_options)

    def build(pipeline: beam.Pipeline) -> None:
        _ = (
            pipeline
            | "list copies" >> beam.Create([(number, None) for number in range(writer.copies)], reshuffle=False)
            | "spread copies" >> beam.GroupByKey()
            | "write copies" >> beam.ParDo(AssembleCopy(writer, guard))
            # copies: PCollection[WrittenCopy]
            | "keep receipts' numbers" >> beam.Map(writer.remember)
        )

    _run(build, beam_options)
    return writer.written()


def run_tracing(runs: Sequence[Any], tracer: "SampleTracer", beam_options: PipelineOptions) -> "TraceTally":
    """Trace all runs of chunks of a sample (at least one); returns the sum of their counts."""
    from pipeline.trace_steps import TraceTally

    work = TraceChunks(tracer, _guard_for(beam_options))
    _count("resolve rows and read marks", runs, work, tracer, TraceTally(), beam_options)
    return tracer.remembered()


def _count(
    title: str,
    runs: Sequence[Any],
    work: beam.DoFn,
    keeper: "ChunkTagger | SampleTracer",
    zero: Any,
    beam_options: PipelineOptions,
) -> None:
    """Work on every run of chunks, and have the sum of what was counted kept.

    One line of steps, spread by key: a Reshuffle, a global sum and a side input are many steps, and cost twice as much.
    """

    def build(pipeline: beam.Pipeline) -> None:
        _ = (
            pipeline
            | "list chunks" >> beam.Create(list(enumerate(runs)), reshuffle=False)
            | "spread chunks" >> beam.GroupByKey()
            | title >> beam.ParDo(work)
            # tallies: PCollection[tuple[int, TagTally | TraceTally]]
            | "add up" >> beam.CombinePerKey(Sum(zero))
            | "keep the counts" >> beam.MapTuple(lambda _, tally: keeper.remember(tally))
        )

    _run(build, beam_options)


def _run(build: Callable[[beam.Pipeline], None], beam_options: PipelineOptions) -> None:
    """Run a pipeline to its end; our own errors come back as themselves, not as Beam's."""
    runner = _runner(beam_options)
    try:
        pipeline = beam.Pipeline(options=beam_options)
        build(pipeline)
        pipeline.run().wait_until_finish()
    except Exception as error:
        found = _ours(error)
        if runner == _LOCAL_RUNNER or isinstance(found, LeaktraceError):
            raise found from error
        raise fault_of(str(error), runner) from None
    pa.default_memory_pool().release_unused()  # what comes next needs memory too; the peak would be both together


def _runner(beam_options: PipelineOptions) -> str:
    return str(beam_options.view_as(StandardOptions).runner)


def _guard_for(beam_options: PipelineOptions) -> Guard:
    """Faults stay in this process, or a cluster will keep and show what they say."""
    return nullcontext if _runner(beam_options) == _LOCAL_RUNNER else told_without_values


def _ours(error: BaseException) -> Exception:
    """The first of our errors in a chain of causes; else the error itself, named without its text."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, LeaktraceError):
            return type(seen)(str(seen).split(" [while running ")[0])  # Beam adds the name of its stage
        seen = seen.__cause__ or seen.__context__
    return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
