"""Large member sets at a bit a row: which versions a set holds, as bitmaps over the versions' numbers.

Versions are numbered as they come. A tile is the 4,096 bits of one set for that many numbers in a row; a set has no
tile where it holds nothing. Rows lie sorted by tile, then by set: a look-up reads the few tiles that it asks for, of
all sets, and equal tiles of sets that hardly differ lie side by side, where Parquet's dictionary stores them once.

Sets of LEAST members and more come in packed; an older program left them to `registry compact`, which still packs
those. Packing is layout: a receipt's digest of members goes over the versions themselves, sorted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.storage import Connection
from watermarking.membership import mixed_words

SPAN = 4_096  # numbers a tile
LEAST = 1_024  # members below which a set stays as it is, 8 bytes a member
_WORK = 4_000_000  # members packed in one transaction
_BATCH = 8_192  # tiles read at once: 4 MiB
_BYTES = SPAN // 8


def number_versions(con: Connection) -> None:
    """Give a number to versions that an older program entered. Inside a transaction."""
    if all_numbered(con):
        return
    con.execute(
        "CREATE OR REPLACE TEMP TABLE numbered AS SELECT version, (SELECT coalesce(max(number), -1) FROM lake.versions)"
        " + row_number() OVER (ORDER BY added, part, version) AS number FROM lake.versions WHERE number IS NULL"
    )
    con.execute("UPDATE lake.versions SET number = n.number FROM numbered n WHERE versions.version = n.version")
    con.execute("DROP TABLE numbered")


def all_numbered(con: Connection) -> bool:
    """Whether every version has a number: an older program gave none."""
    return con.execute("SELECT 1 FROM lake.versions WHERE number IS NULL LIMIT 1").fetchone() is None


def pack_some(con: Connection, least: int = LEAST) -> bool:
    """Pack some of the sets that are large enough and not packed; false when there is none. Inside a transaction."""
    found = con.execute(
        "SELECT set_id, rows FROM lake.member_sets WHERE number IS NULL AND rows >= ? ORDER BY set_id", [least]
    ).fetchall()
    if not found:
        return False
    number_versions(con)
    ends, first = np.cumsum([rows for _, rows in found]), next_set_number(con)
    chosen = [name for name, _ in found[: max(1, int(np.searchsorted(ends, _WORK)))]]
    names = pa.table({"set_id": chosen, "set_number": np.arange(first, first + len(chosen), dtype=np.int64)})
    con.register("packing", names)
    pack(con, "lake.members JOIN packing USING (set_id) JOIN lake.versions USING (version)")
    con.execute("DELETE FROM lake.members WHERE set_id IN (SELECT set_id FROM packing)")
    con.execute("UPDATE lake.member_sets SET number = p.set_number FROM packing p WHERE member_sets.set_id = p.set_id")
    return True


def next_set_number(con: Connection) -> int:
    """The number of the next set that is packed."""
    row = con.execute("SELECT coalesce(max(number), 0) + 1 FROM lake.member_sets").fetchone()
    return int(row[0]) if row else 1


def pack(con: Connection, members: str, whole: range = range(0), of: int = 0) -> None:
    """Enter the tiles of a relation with set_number, and number of a version. Inside a transaction.

    whole: numbers that set `of` holds besides, one after the other: most of their tiles are full, and take no counting.
    """
    first, end = -(-whole.start // SPAN), whole.stop // SPAN  # the tiles that are full
    ends = [whole] if first >= end else [range(whole.start, first * SPAN), range(end * SPAN, whole.stop)]
    counted = [f"SELECT set_number, number FROM {members}"]
    counted += [f"SELECT {of}::BIGINT, unnest(range({part.start}, {part.stop}))" for part in ends if part]
    con.execute(
        f"INSERT INTO lake.member_tiles SELECT (number // {SPAN})::INTEGER AS tile, set_number, "
        f"bitstring_agg((number % {SPAN})::INTEGER, 0, {SPAN - 1})::BLOB AS bits "
        f"FROM ({' UNION ALL '.join(counted)}) GROUP BY ALL "
        f"UNION ALL SELECT range::INTEGER, {of}, repeat('\\xFF'::BLOB, {_BYTES}) FROM range({first}, {end}) "
        "ORDER BY tile, set_number"
    )


def _table(tiles: np.ndarray, sets: np.ndarray, bits: np.ndarray) -> pa.Table:
    body = pa.array(list(map(bytes, bits)), pa.binary())
    return pa.table({"tile": tiles.astype(np.int32), "set_number": sets, "bits": body})


def _read(con: Connection, query: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(tile int64[n], set number int64[n], bits uint8[n, 512]) of a query for these three, in batches."""
    for batch in con.execute(query).to_arrow_reader(_BATCH):
        if batch.num_rows:
            body = batch.column("bits").cast(pa.binary(_BYTES))
            bits = np.frombuffer(body.buffers()[1], np.uint8).reshape(-1, _BYTES)[body.offset :][: len(body)]
            yield batch.column("tile").to_numpy().astype(np.int64), batch.column("set_number").to_numpy(), bits


NONE_HELD = pa.schema([("version", pa.uint64()), ("set_number", pa.int64())]).empty_table()


def any_packed(con: Connection) -> bool:
    """Whether any set is packed: many registries have none, and need not be asked for their tiles."""
    return con.execute("SELECT 1 FROM lake.member_sets WHERE number IS NOT NULL LIMIT 1").fetchone() is not None


def holders(con: Connection, versions: pa.Array) -> pa.Table:
    """Which packed sets hold versions: table (version uint64, set_number int64)."""
    out = [NONE_HELD]
    for its, sets, held in _bits_of(con, versions):
        which, what = np.nonzero(held)
        out.append(pa.table({"version": its[what], "set_number": sets[which]}))
    return pa.concat_tables(out)


def holding_words(con: Connection, versions: np.ndarray) -> np.ndarray:
    """A word by which versions that the same packed sets hold are known; uint64[n], 0 where none does.

    versions: uint64[n], sorted, each once. Two collections of sets have the same word with probability 2^-64.
    """
    words = np.zeros(len(versions), dtype=np.uint64)
    for its, sets, held in _bits_of(con, pa.array(versions)):
        words[np.searchsorted(versions, its)] += mixed_words(sets) @ held.astype(np.uint64)
    return words


def _bits_of(con: Connection, versions: pa.Array) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(versions uint64[n], numbers of sets int64[m], whether each set holds each version uint8[m, n]), in parts."""
    con.register("wanted_versions", pa.table({"version": versions.cast(pa.uint64())}))
    found = con.execute(
        "SELECT version, number FROM lake.versions SEMI JOIN wanted_versions USING (version) "
        "WHERE number IS NOT NULL ORDER BY number"
    ).to_arrow_table()
    version, number = found["version"].to_numpy(), found["number"].to_numpy()
    wanted = np.unique(number // SPAN)
    if not len(wanted):
        return
    for tile, sets, bits in _read(con, _tiles_query(wanted)):
        for one in np.unique(tile):
            rows = tile == one
            start, end = np.searchsorted(number, [one * SPAN, (one + 1) * SPAN])
            inside = number[start:end] % SPAN
            yield version[start:end], sets[rows], (bits[rows][:, inside // 8] >> (7 - inside % 8)) & 1


def _tiles_query(tiles: np.ndarray) -> str:
    """The rows of some tiles; a list of numbers lets the reader skip what it does not need."""
    chosen = ", ".join(map(str, tiles.tolist()))
    return f"SELECT tile, set_number, bits FROM lake.member_tiles WHERE tile IN ({chosen})"


def numbers_of(con: Connection, set_ids: Sequence[str]) -> np.ndarray:
    """The numbers that packed sets hold, int64; one that stands in two of them comes twice."""
    con.register("asked_sets", pa.table({"set_id": pa.array(list(set_ids), pa.string())}))
    query = (
        "SELECT tile, set_number, bits FROM lake.member_tiles WHERE set_number IN "
        "(SELECT number FROM lake.member_sets SEMI JOIN asked_sets USING (set_id)) ORDER BY tile, set_number"
    )
    return np.concatenate([np.empty(0, np.int64), *(_numbers(tile, bits) for tile, _, bits in _read(con, query))])


@dataclass(frozen=True)
class Bitmaps:
    """What some packed sets hold, in memory.

    tiles: int64[t], sorted; bits: uint8[sets, 512 t]; twice: bool[sets], whether a tile of the set is there twice: in
    no honest table it is, and here it would count once.
    """

    tiles: np.ndarray
    bits: np.ndarray
    twice: np.ndarray

    @classmethod
    def of(cls, con: Connection, tiles: np.ndarray, sets: np.ndarray) -> "Bitmaps":
        """tiles, sets: those that there are, and the wanted ones by number; both int64, sorted, each once."""
        made = cls(tiles, np.zeros((len(sets), len(tiles) * _BYTES), np.uint8), np.zeros(len(sets), dtype=bool))
        seen, body = np.zeros((len(sets), len(tiles)), dtype=bool), made.bits.reshape(len(sets), len(tiles), _BYTES)
        con.register("asked_numbers", pa.table({"set_number": sets}))
        query = "SELECT tile, set_number, bits FROM lake.member_tiles SEMI JOIN asked_numbers USING (set_number)"
        for tile, number, bits in _read(con, query):
            row, slot = np.searchsorted(sets, number), np.searchsorted(tiles, tile)
            _, first = np.unique(row * len(tiles) + slot, return_index=True)
            again = np.ones(len(row), dtype=bool)
            again[first] = seen[row[first], slot[first]]
            made.twice[row[again]] = True
            body[row, slot], seen[row, slot] = bits, True
        return made

    def holding(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        """Which of some numbers (int64[n]) each set holds; bool[n] for each set."""
        tile = numbers // SPAN
        slot = np.minimum(np.searchsorted(self.tiles, tile), len(self.tiles) - 1)
        byte = slot * _BYTES + numbers % SPAN // 8
        bit = np.where(self.tiles[slot] == tile, 128 >> numbers % 8, 0).astype(np.uint8)
        for row in self.bits:
            yield row[byte] & bit != 0


def tiles_there(con: Connection) -> np.ndarray:
    """Every tile that some set has, int64, sorted."""
    found = con.execute("SELECT DISTINCT tile::BIGINT AS tile FROM lake.member_tiles ORDER BY tile").to_arrow_table()
    return np.asarray(found["tile"].to_numpy())


def held_numbers(con: Connection) -> np.ndarray:
    """The numbers that any packed set holds, int64, sorted, each once."""
    any_bits: dict[int, np.ndarray] = {}
    for tile, _, bits in _read(con, "SELECT tile, set_number, bits FROM lake.member_tiles"):
        for one in np.unique(tile).tolist():
            joined = np.bitwise_or.reduce(bits[tile == one], axis=0)
            any_bits[one] = joined | any_bits.get(one, np.zeros(_BYTES, np.uint8))
    tiles = np.array(sorted(any_bits), dtype=np.int64)
    if not len(tiles):
        return np.empty(0, np.int64)
    return _numbers(tiles, np.stack([any_bits[one] for one in tiles.tolist()]))


def clear(con: Connection, numbers: np.ndarray) -> int:
    """Take numbers out of every packed set; how many memberships went. Inside a transaction."""
    wanted, gone, changed = np.sort(numbers), 0, []
    if not len(wanted):
        return 0
    for tile, sets, bits in _read(con, _tiles_query(np.unique(wanted // SPAN))):
        left = bits.copy()
        for one in np.unique(tile):
            start, end = np.searchsorted(wanted, [one * SPAN, (one + 1) * SPAN])
            mask = np.zeros(SPAN, dtype=bool)
            mask[wanted[start:end] % SPAN] = True
            left[tile == one] &= ~np.packbits(mask)
        rows = (left != bits).any(axis=1)
        gone += int(np.unpackbits(bits[rows] ^ left[rows]).sum())
        if rows.any():
            changed.append(_table(tile[rows], sets[rows], left[rows]))
    if changed:
        con.register("left_tiles", pa.concat_tables(changed))
        con.execute(
            "DELETE FROM lake.member_tiles WHERE (tile, set_number) IN (SELECT (tile, set_number) FROM left_tiles)"
        )
        con.execute(
            "INSERT INTO lake.member_tiles SELECT tile, set_number, bits FROM left_tiles "
            "WHERE bit_count(bits::BIT) > 0 ORDER BY ALL"
        )
    return gone


def _numbers(tile: np.ndarray, bits: np.ndarray) -> np.ndarray:
    row, place = np.nonzero(np.unpackbits(bits, axis=1))
    return tile[row] * SPAN + place
