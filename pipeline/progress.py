"""What a person sees while a command works: a line for each step, and a bar where a step takes a while.

Both go to standard error; the bar only to a terminal. A worker may be another process or another machine, so the bar
counts the parts that lie in the job's folder instead of asking the runner.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from pipeline.logs import log_event

Say = Callable[[str], None]
_EVERY = 0.2  # seconds


class Talk:
    """Says what is being done; `talks` and `bars` say whether anyone listens."""

    def __init__(self, *, talks: bool, bars: bool) -> None:
        """`bars` only for a terminal."""
        self._talks, self._bars = talks, bars

    def __call__(self, message: str) -> None:
        """One line, and an entry of the log if there is one."""
        log_event(message)
        if self._talks:
            sys.stderr.write(f"leaktrace: {message} …\n")

    @contextmanager
    def watch(self, title: str, total: int, done: Callable[[], int]) -> Iterator[None]:
        """A bar while the block runs; done: how many of `total` parts are there."""
        if not self._bars:
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task, over = progress.add_task(title, total=total), threading.Event()

            def follow() -> None:
                while not over.wait(_EVERY):
                    progress.update(task, completed=done())

            follower = threading.Thread(target=follow, daemon=True)
            follower.start()
            try:
                yield
            finally:
                over.set()
                follower.join()


def watching_size(say: Say, title: str, total: int, paths: Sequence[Path]) -> AbstractContextManager[None]:
    """A bar over the bytes of files that grow, if `say` can show one; total: about how many they will have."""
    if not isinstance(say, Talk):
        return nullcontext()
    return say.watch(title, total, lambda: min(total, sum(map(_size, paths))))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # not begun yet
        return 0


def watching(say: Say, title: str, total: int, folder: Path, *patterns: str) -> AbstractContextManager[None]:
    """A bar over the files of `folder` that match a pattern, if `say` can show one."""
    if not isinstance(say, Talk):
        return nullcontext()
    return say.watch(title, total, lambda: sum(1 for pattern in patterns for _ in folder.glob(pattern)))
