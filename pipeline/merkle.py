"""Hash trees over the chain's entries (RFC 6962): one root for all, and a short path from one entry to it.

The chain alone shows that an entry stood before a head only with every entry in between, and those name other people.
A path of a few digests shows the same and names nobody.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from functools import reduce


def leaf(digest: str) -> bytes:
    """The leaf of an entry; digest: of the entry, in hex."""
    return hashlib.sha256(b"\0" + bytes.fromhex(digest)).digest()


def root(leaves: Sequence[bytes]) -> str:
    """The root of a tree, in hex; of no leaf, the digest of nothing."""
    if not leaves:
        return hashlib.sha256(b"").hexdigest()
    level = list(leaves)
    while len(level) > 1:
        level = [_node(level[n], level[n + 1]) if n + 1 < len(level) else level[n] for n in range(0, len(level), 2)]
    return level[0].hex()


def roots(leaves: Iterable[bytes], counts: Collection[int]) -> dict[int, str]:
    """The roots of the trees over the first so many leaves, for each of `counts` (from 1), in one pass over them."""
    wanted, found = frozenset(counts), {}
    peaks: list[tuple[int, bytes]] = []  # height and node of the full trees so far, the highest first
    for count, new in enumerate(leaves, 1):
        height, node = 0, new
        while peaks and peaks[-1][0] == height:
            height, node = height + 1, _node(peaks.pop()[1], node)
        peaks.append((height, node))
        if count in wanted:
            found[count] = reduce(lambda right, peak: _node(peak[1], right), peaks[-2::-1], node).hex()
    return found


def path(leaves: Sequence[bytes], index: int) -> list[str]:
    """The digests beside the way from a leaf to the root, in hex, nearest first; index counts from 0."""
    level, out = list(leaves), []
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            out.append(level[beside].hex())
        level = [_node(level[n], level[n + 1]) if n + 1 < len(level) else level[n] for n in range(0, len(level), 2)]
        index //= 2
    return out


def leads_to(digest: str, index: int, count: int, beside: Sequence[str]) -> str | None:
    """The root that a path gives for an entry; None when it is no path of a tree with `count` leaves."""
    if not 0 <= index < count:
        return None
    found, left = leaf(digest), list(beside)
    while count > 1:
        if index ^ 1 < count:
            if not left:
                return None
            other = bytes.fromhex(left.pop(0))
            found = _node(other, found) if index & 1 else _node(found, other)
        index, count = index // 2, (count + 1) // 2
    return None if left else found.hex()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
