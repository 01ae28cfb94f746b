"""How many people of ours a sample shows, and what of them: records, however often and however spelled each is there.

A record is one key of one dataset, so somebody in two datasets counts in both. Of a recombined row both records count
that most of it agrees with.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.parts import in_shares, read_arrow, rows_of
from watermarking.tokens import SINGLE


def exposed(folder: Path) -> dict[str, Any]:
    """`people`: distinct records; `kinds`: of how many of them the sample shows a value of each kind.

    folder: of the parts that the tracer left, with `record` and `shown` (bit k: the kind that is k-th in SINGLE), and
    the same of a second record.
    """
    people, counts = 0, np.zeros(len(SINGLE), dtype=np.int64)
    parts = sorted(folder.glob("rows-*.arrow"))
    for record, shown in in_shares(parts, rows_of(parts), _shown):
        order = np.argsort(record, kind="stable")
        distinct, first = np.unique(record[order], return_index=True)
        together = np.bitwise_or.reduceat(shown[order], first) if len(first) else shown
        people += len(distinct)
        counts += [int(((together >> number) & 1).sum()) for number in range(len(SINGLE))]
    kinds = dict(zip(SINGLE, counts.tolist(), strict=True))
    return {"people": people, "kinds": {kind: kinds[kind] for kind in sorted(kinds) if kinds[kind]}}


def _shown(part: Path) -> list[np.ndarray]:
    """Records of a part, first and second ones, and what is shown of each."""
    table = read_arrow(part)
    pairs = [table.select(pair).drop_null() for pair in (["record", "shown"], ["second_record", "second_shown"])]
    return [np.concatenate([pair.column(n).to_numpy() for pair in pairs]) for n in range(2)]
