"""The read side of the registry that workers use: tokens to versions, versions to exports."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pipeline.places import place_of
from pipeline.retrying import retrying
from pipeline.storage import Connection, attach, is_closed
from pipeline.tiles import NONE_HELD, any_packed, holders, holding_words
from watermarking.distinct import coded, distinct, places_in
from watermarking.tokens import TokenKind

_HITS = """
WITH hits AS MATERIALIZED (
    SELECT DISTINCT t.token, t.kind, t.version FROM lake.tokens t JOIN asked USING (token, kind)
), counted AS (
    SELECT token, kind, count(*) AS frequency FROM hits GROUP BY ALL
), finding AS MATERIALIZED (
    SELECT token, kind, hits.version, frequency
    FROM hits JOIN counted USING (token, kind) JOIN asked USING (token, kind) WHERE frequency <= most
)
FROM finding
"""
_CONFIRMING = """UNION ALL
SELECT token, kind, hits.version, frequency
FROM hits SEMI JOIN finding USING (version) JOIN counted USING (token, kind) JOIN asked USING (token, kind)
WHERE frequency > most AND kind IN ({kinds})
"""
_HAVE = """
SELECT t.token, t.version FROM lake.tokens t JOIN asked USING (token, kind) SEMI JOIN wanted USING (version)
"""
_FREQUENCIES = """
SELECT t.token, t.kind, count(*) AS frequency FROM lake.tokens t SEMI JOIN asked USING (token, kind) GROUP BY ALL
"""
_LINES = """
SELECT t.token, t.version, v.record, v.dataset FROM lake.tokens t SEMI JOIN asked USING (token, kind)
JOIN lake.versions v USING (version)
"""
_FINDING = "SELECT t.token, t.kind, t.version FROM lake.tokens t JOIN asked USING (token, kind)"
_OF_VERSIONS = (
    "SELECT version, kind, token FROM lake.tokens SEMI JOIN wanted USING (version, kind) WHERE kind IN ({kinds})"
)
_MEMBERS = """
WITH held AS (
    SELECT m.version, m.set_id FROM lake.members m SEMI JOIN asked USING (version)
    UNION ALL SELECT p.version, c.set_id FROM packed p JOIN lake.member_sets c ON c.number = p.set_number
)
SELECT DISTINCT held.version, s.export_id FROM held JOIN lake.memberships s USING (set_id)
JOIN lake.exports e ON e.export_id = s.export_id AND e.state IN ('prepared', 'issued')
"""
_LOOSE = """
SELECT version, (sum(hash(set_id)) % 18446744073709551616)::UBIGINT AS word
FROM lake.members SEMI JOIN asked USING (version) GROUP BY version
"""
_VERSIONS = "SELECT DISTINCT v.version, v.record FROM lake.versions v SEMI JOIN asked USING (record)"
_KNOWN = "SELECT DISTINCT v.version, v.record, v.dataset FROM lake.versions v SEMI JOIN asked USING (version)"
_ISSUED = (
    "SELECT export_id, issued_at FROM lake.exports WHERE state IN ('prepared', 'issued') AND issued_at IS NOT NULL"
)


@dataclass(frozen=True)
class IndexFiles:
    """Where the index is, as --registry names it; a worker opens it read-only when it first looks something up.

    Where it was made, it asks through the registry's own connection while that is open.

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

    def lookup(self, tokens: pa.Table, confirming: Collection[TokenKind] = ()) -> pa.Table:
        """What the registry knows of tokens.

        tokens: table (token uint64, kind uint8), distinct; with a column `most` (int64), tokens that more versions
        have are left out. confirming: kinds of which these come too, beside versions that other tokens find. Returns a
        table (token, kind, version, record, dataset, frequency); frequency: versions with this token in all.
        """
        if "most" not in tokens.column_names:
            tokens = tokens.append_column("most", pa.array(np.full(tokens.num_rows, np.iinfo(np.int64).max)))
        more = _CONFIRMING.format(kinds=", ".join(str(int(kind)) for kind in confirming)) if confirming else ""
        return self._with_records(self._ask(_HITS + more, {"asked": tokens}))

    def _with_records(self, found: pa.Table) -> pa.Table:
        """The lines of known versions, with record and dataset; found: has a column `version`.

        In a query of its own: joined to what was found, DuckDB builds a hash table of all versions there are.
        """
        version = found["version"].to_numpy()
        known = self.known(distinct(version)).sort_by("version")
        known = known.set_column(2, "dataset", known["dataset"].combine_chunks().dictionary_encode())
        place, there = places_in(known["version"].to_numpy(), version)
        if not there.all():
            found, place = found.filter(pa.array(there)), place[there]
        its = known.select(["record", "dataset"]).take(pa.array(place))
        return found.append_column("record", its["record"]).append_column("dataset", its["dataset"])

    def frequencies(self, tokens: pa.Table) -> pa.Table:
        """How many versions have each of the tokens (token uint64, kind uint8): table (token, kind, frequency)."""
        return self._ask(_FREQUENCIES, {"asked": tokens})

    def lines(self, tokens: pa.Table) -> pa.Table:
        """Every version with each of the tokens (token uint64, kind uint8): table (token, version, record, dataset)."""
        return self._ask(_LINES, {"asked": tokens})

    def have(self, tokens: pa.Table, versions: pa.Array) -> pa.Table:
        """Which of the versions have which of the tokens (token uint64, kind uint8): table (token, version)."""
        return self._ask(_HAVE, {"asked": tokens, "wanted": pa.table({"version": versions.cast(pa.uint64())})})

    def finding(self, tokens: pa.Table, most: int) -> pa.Table:
        """What `lookup` gives for tokens that `most` versions have at most, for a great many of them.

        DuckDB only joins here: what it groups by must fit into little memory. The table is sorted by token.
        """
        found = self._ask(_FINDING, {"asked": tokens})
        order = np.lexsort((found["version"].to_numpy(), found["token"].to_numpy()))
        token, version = found["token"].to_numpy()[order], found["version"].to_numpy()[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (token[1:] != token[:-1]) | (version[1:] != version[:-1])
        order, token, version = order[new], token[new], version[new]
        frequency = np.searchsorted(token, token, side="right") - np.searchsorted(token, token)
        few = np.flatnonzero(frequency <= most)
        out = found.select(["token", "kind", "version"]).take(pa.array(order[few]))
        return self._with_records(out.append_column("frequency", pa.array(frequency[few])))

    def tokens_of(self, versions: Mapping[TokenKind, np.ndarray]) -> pa.Table:
        """Tokens of some kinds that versions have: table (version uint64, kind uint8, token uint64).

        versions: uint64[n] for each kind.
        """
        kinds = np.repeat(np.array([*versions], dtype=np.uint8), [len(those) for those in versions.values()])
        wanted = pa.table({"version": np.concatenate([*versions.values()]), "kind": kinds})
        return self._ask(_OF_VERSIONS.format(kinds=", ".join(str(int(kind)) for kind in versions)), {"wanted": wanted})

    def memberships(self, versions: pa.Array) -> pa.Table:
        """Which exports, prepared or issued, hold versions: table (version uint64, export_id string)."""
        asked = {"asked": pa.table({"version": versions.cast(pa.uint64())})}
        with self._cursor() as con:
            packed = retrying(lambda: holders(con, versions) if any_packed(con) else NONE_HELD)
        return self._ask(_MEMBERS, asked | {"packed": packed})

    def holders(self, versions: np.ndarray) -> tuple[np.ndarray, list[tuple[str, ...]]]:
        """Which exports, prepared or issued, hold versions: of each the number of a set, and the sets, sorted.

        versions: uint64[n], sorted, each once. Only one version of each set is looked up by its exports: a hundred
        copies of a table hold the same rows.
        """
        if not len(versions):
            return np.zeros(0, dtype=np.int64), []
        with self._cursor() as con:
            words = retrying(lambda: holding_words(con, versions) if any_packed(con) else np.zeros_like(versions))
        loose = self._ask(_LOOSE, {"asked": pa.table({"version": pa.array(versions, pa.uint64())})})
        words[np.searchsorted(versions, loose["version"].to_numpy())] += loose["word"].to_numpy()
        _, first, number = coded(words)
        asked = versions[first]
        members = self.memberships(pa.array(asked)).sort_by([("version", "ascending"), ("export_id", "ascending")])
        its, names = members["version"].to_numpy(), members["export_id"].to_pylist()
        starts, ends = (np.searchsorted(its, asked, side=side) for side in ("left", "right"))
        return number, [tuple(names[start:end]) for start, end in zip(starts, ends, strict=True)]

    def known(self, versions: np.ndarray) -> pa.Table:
        """Those of the versions that the registry has: table (version uint64, record uint64, dataset string)."""
        return self._ask(_KNOWN, {"asked": pa.table({"version": pa.array(versions, pa.uint64())})})

    def versions_of(self, records: pa.Array) -> pa.Table:
        """Every version of records: table (version uint64, record uint64)."""
        return self._ask(_VERSIONS, {"asked": pa.table({"record": records.cast(pa.uint64())})})

    def several_versions(self, records: np.ndarray) -> np.ndarray:
        """Those of the records (uint64[n], each once) that have more than one version; uint64[m], sorted."""
        if not len(records):
            return records
        its = np.sort(self.versions_of(pa.array(records))["record"].to_numpy())
        return distinct(its[1:][its[1:] == its[:-1]])

    def issued(self) -> dict[str, str]:
        """When each export was issued, RFC 3339."""
        found = self._ask(_ISSUED, {})
        return dict(zip(found["export_id"].to_pylist(), found["issued_at"].to_pylist(), strict=True))

    def _cursor(self) -> Connection:
        """One of its own: threads share the open catalogue, but not the names of the tables they ask with."""
        if not self._open or is_closed(self._open[0]):
            self._open[:] = [attach(place_of(self.place), read_only=True)]
        return self._open[0].cursor()

    def _ask(self, query: str, tables: dict[str, pa.Table]) -> pa.Table:
        with self._cursor() as con:
            for name, table in tables.items():
                con.register(name, table)
            return retrying(lambda: con.execute(query).to_arrow_table())
