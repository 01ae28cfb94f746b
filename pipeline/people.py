"""How many people of ours a sample shows, and what of them: records, however often and however spelled each is there.

A record is one key of one dataset, so somebody in two datasets counts in both. Of a recombined row both records count
that most of it agrees with.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.parts import read_arrow
from watermarking.tokens import SINGLE


def exposed(folder: Path) -> dict[str, Any]:
    """`people`: distinct records; `kinds`: of how many of them the sample shows a value of each kind.

    folder: of the parts that the tracer left, with `record` and `shown` (bit k: the kind that is k-th in SINGLE), and
    the same of a second record.
    """
    names = (["record", "shown"], ["second_record", "second_shown"])
    parts = [read_arrow(part) for part in sorted(folder.glob("rows-*.arrow"))]
    both = [part.select(pair).rename_columns(names[0]) for part in parts for pair in names]
    found = pa.concat_tables(both).drop_null()
    order = np.argsort(found["record"].to_numpy(), kind="stable")
    record, first = np.unique(found["record"].to_numpy()[order], return_index=True)
    shown = found["shown"].to_numpy()[order]
    shown = np.bitwise_or.reduceat(shown, first) if len(first) else shown
    counts = {kind: int(((shown >> number) & 1).sum()) for number, kind in enumerate(SINGLE)}
    return {"people": len(record), "kinds": {kind: counts[kind] for kind in sorted(counts) if counts[kind]}}
