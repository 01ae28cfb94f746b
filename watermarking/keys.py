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
        return mac64(self.subkey(purpose), cells)

    def combine(self, purpose: str, digests: Sequence[U64]) -> U64:
        """Keyed digest of several digests of a row; uint64[n] each, uint64[n] back."""
        return mac64_words(self.subkey(f"{purpose}/{len(digests)}"), digests)

    def words(self, purpose: str, left: U64, right: int) -> U64:
        """One pseudo-random 64-bit word for each pair (left[i], right); left: uint64[n]."""
        blocks = np.empty((len(left), 2), dtype="<u8")
        blocks[:, 0] = left
        blocks[:, 1] = right
        sealed = _encrypt(self.subkey(purpose), blocks.view(np.uint8).reshape(len(left), _BLOCK))
        return sealed.view("<u8")[:, 0].astype(np.uint64)


def mac64_words(key: bytes, words: Sequence[U64]) -> U64:
    """First 64 bits of the CBC-MAC of each row of words.

    words: k arrays uint64[n]; uint64[n] back. A key serves one k only, so all its messages are of one length.
    """
    rows, width = len(words[0]), len(words) + len(words) % 2
    message = np.zeros((rows, width), dtype="<u8")
    for place, word in enumerate(words):
        message[:, place] = word
    return _cbc(key, message.view(np.uint8).reshape(rows, 8 * width))


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
    while floor < longest:
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
    rows = len(cells)
    message = np.zeros((rows, _HEADER + width), dtype=np.uint8)
    message[:, :_HEADER] = lengths.astype("<u4").view(np.uint8).reshape(rows, _HEADER)
    padded = pc.ascii_rpad(cells, width, padding="\0")
    data = np.frombuffer(padded.buffers()[2], dtype=np.uint8, count=rows * width)
    message[:, _HEADER:] = data.reshape(rows, width)
    return _cbc(key, message)


def _cbc(key: bytes, message: npt.NDArray[np.uint8]) -> U64:
    """First 64 bits of the CBC-MAC of each row; message: uint8[rows, whole blocks]."""
    rows, width = message.shape
    state = np.ascontiguousarray(message[:, :_BLOCK])
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the block cipher of a MAC
    for start in range(_BLOCK, width + _BLOCK, _BLOCK):
        state = np.frombuffer(encryptor.update(state.data), dtype=np.uint8).reshape(rows, _BLOCK)
        if start < width:
            state = state ^ message[:, start : start + _BLOCK]
    return state.view("<u8")[:, 0].astype(np.uint64)


def _encrypt(key: bytes, blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block a message
    flat = encryptor.update(np.ascontiguousarray(blocks).data)
    return np.frombuffer(flat, dtype=np.uint8).reshape(-1, _BLOCK)


def _hkdf(material: bytes, info: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode()).derive(material)
