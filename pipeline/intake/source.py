"""The bytes of one file of a sample, wherever they lie."""

from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedReader, BytesIO
from pathlib import Path

from schemas.errors import InputError

MOST_WHOLE = 1 << 28


@dataclass(frozen=True)
class Source:
    """A file, or bytes that came out of one.

    name: as it is called in the case. guessed: the encoding that its beginning suggests (None: it is no text), once a
    reader has looked, so that the next need not.
    """

    name: str
    content: Path | bytes
    guessed: list[str | None] = field(default_factory=list, compare=False, repr=False)

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def open(self) -> BufferedReader | BytesIO:
        """The bytes as a stream; InputError when the file cannot be opened."""
        if isinstance(self.content, bytes):
            return BytesIO(self.content)
        try:
            return self.content.open("rb")
        except OSError as error:
            raise InputError(f"{self.name} cannot be read ({error.strerror}); check its rights") from error

    def head(self, most: int) -> bytes:
        """The first bytes."""
        with self.open() as file:
            return file.read(most)

    def whole(self) -> bytes:
        """All bytes, for readers that cannot do with less; InputError when they are too many."""
        if self.size > MOST_WHOLE:
            raise InputError(f"{self.name} has more than {MOST_WHOLE >> 20} MiB, too many for this format; split it")
        with self.open() as file:
            return file.read()
