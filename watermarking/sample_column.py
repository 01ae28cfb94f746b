"""What is known of one column of a sample."""

from dataclasses import dataclass

from watermarking.damage import Notation


@dataclass(frozen=True)
class SampleColumn:
    """A column of the sample: its place, its kind with how sure that is, and its header (never printed).

    guessed: the kind that its content suggests, where the user said another; else None. notation: how it writes what a
    cell alone leaves open. alike: of tables without identifiers the dataset and attribute that its content suggests.
    """

    index: int
    kind: str
    header: str
    confidence: float
    guessed: str | None = None
    notation: Notation = Notation.USUAL
    alike: tuple[tuple[str, str], ...] = ()
