"""Keyed digests of whole columns.

One 256-bit index key gives a separate AES-256 key for every purpose (HKDF-SHA256, RFC 5869). A column is
digested with CBC-MAC over a prefix-free encoding: the byte length comes first, then the bytes, padded with
zeros. CBC-MAC on prefix-free messages is a pseudo-random function (Petrank and Rackoff, "CBC MAC for
real-time data sources", 2000). AES in hardware does about a hundred million blocks a second, so a column
costs the same as a copy of it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.errors import KeyFileError

U64 = npt.NDArray[np.uint64]
_BLOCK = 16
_HEADER = 4  # bytes that hold the length, so that no message is a prefix of another
_FIRST_WIDTH = 2 * _BLOCK - _HEADER
_LOOKED_AT, _FEW = 1_000, 250  # cells, and values among them


@dataclass(frozen=True)
class IndexKey:
    """The symmetric key behind records, versions, tokens and positions.

    `material` is 32 bytes. It is never printed, and not part of `repr`.
    """

    material: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key of another length."""
        if len(self.material) != 32:
            raise KeyFileError("index.key holds no 256-bit key; restore it from its escrow copy")

    def subkey(self, purpose: str) -> bytes:
        """256 bits for one purpose; different purposes give independent keys (HKDF-SHA256)."""
        return _hkdf(self.material, f"leaktrace/1/{purpose}")

    def digest(self, purpose: str, cells: pa.Array) -> U64:
        """Keyed 64-bit digest of each cell.

        cells: string[n]; a null is digested as the empty string, so callers mask what is null.
        Returns uint64[n]. Equal cells give equal digests; without the key they are random numbers.
        """
        if not _repeat(cells):
            return mac64(self.subkey(purpose), cells)
        coded = cells.dictionary_encode(null_encoding="encode")
        return mac64(self.subkey(purpose), coded.dictionary)[coded.indices.to_numpy()]

    def combine(self, purpose: str, digests: Sequence[U64]) -> U64:
        """Keyed digest of several digests of a row; uint64[n] each, uint64[n] back."""
        return mac64_words(self.subkey(f"{purpose}/{len(digests)}"), digests)

    def words(self, purpose: str, left: U64, right: int) -> U64:
        """One pseudo-random 64-bit word for each pair (left[i], right); left: uint64[n]."""
        return _cbc(self.subkey(purpose), _side_by_side(left, right), ())


def _repeat(cells: pa.Array) -> bool:
    """Whether cells have few values, as the first thousand of them tell; each value then need be digested but once."""
    some = cells.slice(0, _LOOKED_AT)
    return len(cells) > len(some) and len(some.unique()) <= _FEW


def mac64_words(key: bytes, words: Sequence[U64]) -> U64:
    """First 64 bits of the CBC-MAC of each row of words.

    words: k arrays uint64[n]; uint64[n] back. A key serves one k only, so all its messages are of one length.
    """
    pairs = [_side_by_side(*words[at : at + 2]) for at in range(0, len(words), 2)]
    return _cbc(key, pairs[0], pairs[1:])


def _side_by_side(left: U64, right: U64 | int = 0) -> npt.NDArray[np.uint64]:
    """One block of 16 bytes for each row."""
    block = np.empty((len(left), 2), dtype="<u8")
    block[:, 0], block[:, 1] = left, right
    return block.reshape(-1)


def name_word(*parts: str) -> int:
    """A fixed 64-bit number for a name (not secret): where a column's name enters a block."""
    joined = "\x1f".join(parts).encode()
    return int.from_bytes(hashlib.sha256(joined).digest()[:8], "little")


def keystream(secret: bytes, count: int) -> npt.NDArray[np.uint32]:
    """`count` uniform 32-bit words from AES-256-CTR under a 32-byte secret that is used for nothing else."""
    return next(keystreams([secret], count)).astype(np.uint32)


def keystreams(secrets: Iterable[bytes], count: int) -> Iterator[npt.NDArray[np.uint32]]:
    """The keystream of each secret, in one buffer that serves them all: use a stream before asking for the next."""
    nothing, mode = bytes(4 * count), modes.CTR(bytes(_BLOCK))
    buffer = bytearray(4 * count + _BLOCK)
    words = np.frombuffer(buffer, dtype="<u4", count=count)
    for secret in secrets:
        Cipher(algorithms.AES(secret), mode).encryptor().update_into(nothing, buffer)
        yield words


def mac64(key: bytes, cells: pa.Array) -> U64:
    """First 64 bits of the length-prefixed CBC-MAC of each cell; cells: string[n], uint64[n] back."""
    cells = pc.fill_null(cells.cast(pa.large_string()), "")
    lengths = pc.binary_length(cells).to_numpy(zero_copy_only=False)
    out = np.empty(len(cells), dtype=np.uint64)
    longest = int(lengths.max(initial=0))
    width, floor = _FIRST_WIDTH, -1
    while floor < longest and len(cells):
        # Padding goes to the width of a length class, which the length alone decides: still prefix-free.
        chosen = np.flatnonzero((lengths > floor) & (lengths <= width))
        if len(chosen) == len(cells):
            out[:] = _mac_class(key, cells, lengths, width)
        elif len(chosen):
            out[chosen] = _mac_class(key, cells.take(pa.array(chosen)), lengths[chosen], width)
        floor, width = width, 2 * (width + _HEADER) - _HEADER
    return out


def _mac_class(key: bytes, cells: pa.Array, lengths: npt.NDArray[np.int64], width: int) -> U64:
    """The MAC of cells of at most `width` bytes, all padded to `width`."""
    rows, filled, first = len(cells), int(lengths[0]), _BLOCK - _HEADER
    if (lengths != filled).any():  # where all are of one length, they stand side by side already
        cells, filled = pc.ascii_rpad(cells, width, padding="\0"), width
    start = int(np.frombuffer(cells.buffers()[1], dtype=np.int64)[cells.offset])
    data = np.frombuffer(cells.buffers()[2] or b"", dtype=np.uint8)[start : start + rows * filled]
    message = _block(data, filled, rows, 0, first, _HEADER)
    message[:, 0] |= lengths.astype(np.uint64)
    rest = (_block(data, filled, rows, start, _BLOCK, 0) for start in range(first, width, _BLOCK))
    return _cbc(key, message.reshape(-1), (block.reshape(-1) for block in rest))


def _block(
    data: npt.NDArray[np.uint8], stride: int, rows: int, start: int, count: int, lead: int
) -> npt.NDArray[np.uint64]:
    """Bytes [start, start + count) of each row of `stride` bytes, behind `lead` zeros; uint64[rows, 2].

    Zeros stand where a row has no more bytes too. Those that it has are copied as one value, which is fastest.
    """
    there = min(count, stride - start)
    block = (np.empty if there == _BLOCK else np.zeros)((rows, 2), dtype="<u8")
    if there > 0:
        source = np.dtype({"names": ["it"], "formats": [f"V{there}"], "offsets": [start], "itemsize": stride})
        target = np.dtype({"names": ["it"], "formats": [f"V{there}"], "offsets": [lead], "itemsize": _BLOCK})
        block.view(target)["it"][:, 0] = data.view(source)["it"]
    return block


def _cbc(key: bytes, first: npt.NDArray[np.uint64], rest: Iterable[npt.NDArray[np.uint64]]) -> U64:
    """First 64 bits of the CBC-MAC of each row; a block of every row at a time, each two little-endian words a row."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the block cipher of a MAC
    sealed = np.empty(first.nbytes + _BLOCK, dtype=np.uint8)  # as long as a cipher asks for
    state = sealed[: first.nbytes].view("<u8")
    encryptor.update_into(first.view(np.uint8).data, sealed.data)
    for block in rest:
        encryptor.update_into((state ^ block).view(np.uint8).data, sealed.data)
    return state[::2].astype(np.uint64)


def _hkdf(material: bytes, info: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode()).derive(material)
