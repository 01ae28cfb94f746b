"""Bloom filters of a Parquet file: which of its values a filter denies. pyarrow reads none, so the check is here.

Split block Bloom filters, as the Parquet format specifies them (BloomFilter.md): the upper half of a value's xxHash64
chooses a block of eight 32-bit words, the lower half a bit in each of them.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

_SALT = np.array(
    [0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31], np.uint32
)
_BLOCK = 32  # bytes
_P1, _P2, _P3, _P4, _P5 = np.array(
    [0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5], np.uint64
)
_LANES = np.array([0x60EA27EEADC0B5D6, 0xC2B2AE3D27D4EB4F, 0, 0x61C8864E7A143579], np.uint64)


def lost_values(stored: bytes, values: pa.ChunkedArray | pa.Array) -> int:
    """How many distinct values a filter denies, although they are there.

    stored: the filter with its header, which is shorter than a block. values: distinct, without nulls.
    """
    bits = np.frombuffer(stored[len(stored) % _BLOCK :], "<u4").reshape(-1, len(_SALT))
    if not len(bits):
        return len(values)
    lost = 0
    for plain in _plain(values):
        hashes = xxh64(plain)
        blocks = ((hashes >> np.uint64(32)) * np.uint64(len(bits))) >> np.uint64(32)
        masks = np.uint32(1) << ((hashes.astype(np.uint32)[:, None] * _SALT) >> np.uint32(27))
        lost += int(np.count_nonzero(((bits[blocks.astype(np.int64)] & masks) != masks).any(axis=1)))
    return lost


def _plain(values: pa.ChunkedArray | pa.Array) -> Iterator[np.ndarray]:
    """The values as Parquet's plain encoding has them, without their lengths: uint8[n, length], length by length."""
    if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
        texts = values.cast(pa.binary()).to_pylist()
        for length in sorted({len(text) for text in texts}):
            joined = b"".join(text for text in texts if len(text) == length)
            count = sum(len(text) == length for text in texts)
            yield np.frombuffer(joined, np.uint8).reshape(count, length)
        return
    numbers = np.asarray(values)
    size = 4 if numbers.dtype.kind in "iu" and numbers.dtype.itemsize <= 4 else 8  # Parquet's integers have 32 or 64
    yield numbers.astype(f"<{numbers.dtype.kind}{size}").view(np.uint8).reshape(len(numbers), size)


def xxh64(data: np.ndarray) -> np.ndarray:
    """XxHash64 with seed 0 of each row (Collet, xxHash specification 0.1.1); data uint8[n, length]; uint64[n]."""
    count, length = data.shape
    whole = length // 8 * 8
    words = np.ascontiguousarray(data[:, :whole]).view("<u8").astype(np.uint64)
    stripes = length // _BLOCK * 4
    found = np.full(count, _P5)
    if stripes:
        lanes = [np.full(count, start) for start in _LANES]
        for at in range(stripes):
            lanes[at % 4] = _round(lanes[at % 4], words[:, at])
        found = np.sum([_turned(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)], axis=0)
        for lane in lanes:
            found = (found ^ _round(np.zeros_like(lane), lane)) * _P1 + _P4
    found = found + np.uint64(length)
    for at in range(stripes, whole // 8):
        found = _turned(found ^ _round(np.zeros_like(found), words[:, at]), 27) * _P1 + _P4
    if length - whole >= 4:
        half = np.ascontiguousarray(data[:, whole : whole + 4]).view("<u4")[:, 0].astype(np.uint64)
        found, whole = _turned(found ^ (half * _P1), 23) * _P2 + _P3, whole + 4
    for at in range(whole, length):
        found = _turned(found ^ (data[:, at].astype(np.uint64) * _P5), 11) * _P1
    found = (found ^ (found >> np.uint64(33))) * _P2
    found = (found ^ (found >> np.uint64(29))) * _P3
    return found ^ (found >> np.uint64(32))


def _round(lane: np.ndarray, word: np.ndarray) -> np.ndarray:
    return _turned(lane + word * _P2, 31) * _P1


def _turned(word: np.ndarray, by: int) -> np.ndarray:
    return (word << np.uint64(by)) | (word >> np.uint64(64 - by))
