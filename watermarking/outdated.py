"""Which rows show a record as it was, and from when until when exports showed it so."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.keys import U64


def spans(rows: U64, versions: pa.Table, members: pa.Table, issued: Mapping[str, str]) -> Counter[str]:
    """Rows by the span in which exports held their version, for versions that a later export replaced.

    rows: uint64[n], the version of each resolved row; versions: (version, record), every version of these records;
    members: (version, export_id); issued: when each export was issued, RFC 3339. A span is "from|until", days: the
    first export with the version, and the first export after the last of them that had another one of that record.
    """
    known = members.filter(pc.is_in(members["export_id"], value_set=pa.array(list(issued), pa.string())))
    days = known.append_column("at", pa.array([issued[e] for e in known["export_id"].to_pylist()], pa.string()))
    held = (
        days.group_by("version").aggregate([("at", "min"), ("at", "max")]).join(versions, "version", join_type="inner")
    )
    version, record = held["version"].to_numpy(), held["record"].to_numpy()
    first, last = held["at_min"].to_pylist(), held["at_max"].to_pylist()
    by_record: dict[int, list[int]] = {}
    for n, one in enumerate(record.tolist()):
        by_record.setdefault(one, []).append(n)
    replaced: dict[int, str] = {}
    for alike in by_record.values():
        for n in alike if len(alike) > 1 else ():
            # Versions may alternate (somebody moves back): the first that was issued after the last of this one.
            later = [at for at in (_after(days, version[m], last[n]) for m in alike if m != n) if at]
            if later:
                replaced[int(version[n])] = f"{first[n][:10]}|{min(later)[:10]}"
    found, counts = np.unique(rows, return_counts=True)
    out: Counter[str] = Counter()
    for one, count in zip(found.tolist(), counts.tolist(), strict=True):
        if one in replaced:
            out[replaced[one]] += count
    return out


def _after(days: pa.Table, version: int, moment: str) -> str | None:
    """When a version was first issued after a moment; None for never."""
    mine = days.filter(
        pc.and_(pc.equal(days["version"], pa.scalar(version, pa.uint64())), pc.greater(days["at"], moment))
    )
    return pc.min(mine["at"]).as_py() if mine.num_rows else None
