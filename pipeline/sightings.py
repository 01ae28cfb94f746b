"""Rows that a sample says twice, and rows that samples of earlier cases said already: a leak that is sold again.

A row is known by one word: its record's digest where it is a row of ours, else the token of its best identifier. Of
each case the registry keeps the smallest 4,096 words: all of a small sample, and an even selection of a large one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.parts import in_shares, read_arrow, rows_of
from pipeline.registry import Registry
from watermarking.distinct import distinct
from watermarking.keys import U64
from watermarking.trace_rows import Counts

KEPT = 4_096
_ALL = np.uint64(2**64 - 1)
BEST_FIRST = ("national_id", "card", "email", "phone", "account", "person_name")


@dataclass(frozen=True)
class Sighting:
    """What a case keeps of its sample. words: uint64[n], distinct and sorted; at: RFC 3339, in seconds."""

    case_id: str
    sample_digest: str
    at: str
    words: U64

    def kept(self) -> U64:
        """The words that are kept."""
        return self.words[:KEPT]


def over_chunks(counts: Counts, folder: Path) -> Counts:
    """The counts with rows that repeat a row of another chunk of their table counted once, as within a chunk.

    folder: of the parts that the tracer left. Repeats are told by all tokens of a row.
    """
    parts = sorted(folder.glob("rows-*.arrow"))
    if len(parts) < 2:
        return counts
    people = matched = able = there = 0
    for key, found, telling in in_shares(parts, rows_of(parts), _said):
        _, first = np.unique(key, return_index=True)
        people, there = people + len(first), there + len(key)
        matched, able = matched + int(found[first].sum()), able + int(telling[first].sum())
    return replace(counts, people=people, matched=matched, able=able, repeated=there - people)


def _said(part: Path) -> list[np.ndarray]:
    """Of the rows of a part that say something: a word for all their tokens, whether they are ours, and `able`."""
    table = read_arrow(part)
    said, sheet = pc.fill_null(table["said"], 0).to_numpy(), table["sheet"].to_numpy().astype(np.uint64)
    there = said != 0
    key = said ^ (sheet * np.uint64(0x9E3779B97F4A7C15))
    return [column[there] for column in (key, table["record"].is_valid().to_numpy(), table["able"].to_numpy())]


def words_of(folder: Path) -> U64:
    """One word for each distinct row that can be known again; uint64[n], sorted."""
    found = [np.zeros(0, dtype=np.uint64)]
    for part in sorted(folder.glob("rows-*.arrow")):
        table = read_arrow(part)
        word = pc.coalesce(table["record"], *(table[f"token_{kind}"] for kind in BEST_FIRST))
        found.append(distinct(word.drop_null().to_numpy().astype(np.uint64)))
    return distinct(np.concatenate(found))


def earlier_cases(registry: Registry, mine: Sighting) -> dict[str, int]:
    """Cases before `mine`, of other samples, that share rows with it, and how many, most first.

    Exact for samples of at most 4,096 distinct rows, else an estimate from the smallest words.
    """
    found = registry.sightings(pa.array(mine.words[:100_000]), mine.at, mine.sample_digest)
    shared = {case: _shared(mine.words, words) for case, words in found.items()}
    ranked = sorted(((n, case) for case, n in shared.items() if n), reverse=True)
    return {case: n for n, case in ranked}


def remember(registry: Registry, mine: Sighting) -> None:
    """Keep what is needed to know the sample again."""
    registry.sight(mine.case_id, mine.sample_digest, mine.at, pa.array(mine.kept()))


def _shared(mine: U64, theirs: U64) -> int:
    """Words of mine that are among theirs, of which only the smallest may be known."""
    bound = theirs.max() if len(theirs) >= KEPT else _ALL
    below = mine[mine <= bound]
    hits = int(np.isin(below, theirs).sum())
    return round(hits * len(mine) / len(below)) if len(below) else 0


def as_findings(found: Mapping[str, int]) -> list[dict[str, object]]:
    """For the verdict."""
    return [{"case_id": case, "rows": rows} for case, rows in found.items()]
