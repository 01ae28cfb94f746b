"""Names in pinyin against records of which the registry holds keyed tokens of the name in characters.

Every name in characters that may be meant is tried under the index key, those of usual characters first. That costs an
export nothing; a trace pays for the rows that have such a name and are a record of ours by their other columns.
"""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from pipeline.index import IndexFiles
from watermarking.distinct import distinct
from watermarking.keys import U64, IndexKey
from watermarking.pinyin import I64, Choices, count, likely_names, rare_names, written_out
from watermarking.tokens import TokenKind

_MOST = 60_000_000  # names tried for the rows resolved together: some seconds
_AT_ONCE = 4_000_000  # that take some hundred megabytes
_PURPOSE = f"token/{int(TokenKind.PERSON_NAME)}"
Wanted = dict[str, list[tuple[int, set[int]]]]  # by name in pinyin: rows, and the name tokens of their versions


def names_compared(names: pa.Array, versions: U64, *, key: IndexKey, index: IndexFiles) -> I64:
    """Whether names in pinyin are those of versions: 1 yes, -1 no, 0 where that was not found out; int64[n].

    One row after another, until the names tried are too many.
    """
    answer = np.zeros(len(names), dtype=np.int64)
    if not len(names):
        return answer
    found = index.tokens_of({TokenKind.PERSON_NAME: distinct(versions)})
    tokens: dict[int, set[int]] = defaultdict(set)
    for version, token in zip(found["version"].to_pylist(), found["token"].to_pylist(), strict=True):
        tokens[version].add(token)
    wanted: Wanted = defaultdict(list)
    for row, (name, version) in enumerate(zip(names.to_pylist(), versions.tolist(), strict=True)):
        if version in tokens:
            wanted[name].append((row, tokens[version]))
    rest = _try(wanted, likely_names, key, answer, otherwise=0)
    _try(rest, rare_names, key, answer, otherwise=-1)
    return answer


def _try(wanted: Wanted, meant: Callable[[str], list[Choices]], key: IndexKey, answer: I64, otherwise: int) -> Wanted:
    """Try the names that may be `meant`: note whose they are, and otherwise this; gives the names that are left."""
    left, rest = _MOST, {}
    for name, rows in wanted.items():
        names = meant(name)
        tried = sum(map(count, names))
        if tried > left or max(map(count, names), default=0) > _AT_ONCE:
            continue
        left -= tried
        theirs = np.array(sorted(set.union(*(tokens for _, tokens in rows))), dtype=np.uint64)
        said: set[int] = set()
        for choices in names:
            digests = key.digest(_PURPOSE, written_out(choices))
            said.update(digests[np.isin(digests, theirs)].tolist())  # few are theirs: no sorting of what was tried
        for row, tokens in rows:
            answer[row] = 1 if tokens & said else otherwise if tried else 0
        rest[name] = [(row, tokens) for row, tokens in rows if not tokens & said]
    return {name: rows for name, rows in rest.items() if rows}
