"""The read side of the registry that workers use: tokens to versions, versions to exports."""

from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.places import place_of
from pipeline.storage import Connection, attach, retrying

_HITS = """
WITH hits AS (
    SELECT DISTINCT t.token, t.kind, t.version FROM lake.tokens t JOIN asked USING (token, kind)
), common AS (
    SELECT token, kind, count(*) AS frequency FROM hits GROUP BY ALL
)
SELECT DISTINCT token, kind, hits.version, v.record, v.dataset, frequency
FROM hits JOIN common USING (token, kind) JOIN lake.versions v ON v.version = hits.version
"""
_ONLY = " WHERE hits.version IN (SELECT version FROM wanted)"
_MEMBERS = """
SELECT DISTINCT m.version, s.export_id
FROM lake.members m JOIN asked ON m.version = asked.version JOIN lake.memberships s USING (set_id)
JOIN lake.exports e ON e.export_id = s.export_id AND e.state IN ('prepared', 'issued')
"""


@dataclass(frozen=True)
class IndexFiles:
    """Where the index is, as --registry names it; a worker opens it read-only when it first looks something up.

    versions: how many record versions each dataset has, (name, count).
    """

    place: str
    versions: tuple[tuple[str, int], ...]
    _open: list[Connection] = field(default_factory=list, repr=False, compare=False)

    def __reduce__(self) -> tuple[type["IndexFiles"], tuple[str, tuple[tuple[str, int], ...]]]:
        """Travels without its connection."""
        return IndexFiles, (self.place, self.versions)

    def version_count(self, dataset: str) -> int:
        """How many record versions a dataset has."""
        return dict(self.versions).get(dataset, 0)

    def lookup(self, tokens: pa.Table, versions: pa.Array | None = None) -> pa.Table:
        """What the registry knows of tokens.

        tokens: table (token uint64, kind uint8), distinct. versions: only these, when given. Returns a table
        (token, kind, version, record, dataset, frequency); frequency: versions with this token in all.
        """
        asked = {"asked": tokens}
        if versions is None:
            return self._ask(_HITS, asked)
        wanted = pa.table({"version": versions.cast(pa.uint64())})
        return self._ask(_HITS + _ONLY, asked | {"wanted": wanted})

    def memberships(self, versions: pa.Array) -> pa.Table:
        """Which exports, prepared or issued, hold versions: table (version uint64, export_id string)."""
        return self._ask(_MEMBERS, {"asked": pa.table({"version": versions.cast(pa.uint64())})})

    def _ask(self, query: str, tables: dict[str, pa.Table]) -> pa.Table:
        if not self._open:
            self._open.append(attach(place_of(self.place), read_only=True))
        # A cursor of its own: threads share the open catalogue, but not the names of the tables they ask with.
        with self._open[0].cursor() as con:
            for name, table in tables.items():
                con.register(name, table)
            return retrying(lambda: con.execute(query).to_arrow_table())
