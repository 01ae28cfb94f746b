"""Keyed digests: deterministic, separated by purpose, independent of chunking, prefix-free."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import KeyFileError
from watermarking.keys import IndexKey, keystream, mac64

KEY = IndexKey(bytes(range(32)))


def test_a_short_key_is_refused_without_showing_it() -> None:
    with pytest.raises(KeyFileError, match="256-bit"):
        IndexKey(b"short")
    assert "0001" not in repr(KEY)


def test_digests_are_frozen() -> None:
    digests = KEY.digest("token/1", pa.array(["13800138000", "张伟", "", "x" * 200]))
    assert digests.tolist() == KEY.digest("token/1", pa.array(["13800138000", "张伟", "", "x" * 200])).tolist()
    assert len(set(digests.tolist())) == 4


def test_purposes_do_not_share_digests() -> None:
    cells = pa.array(["13800138000"])
    assert KEY.digest("token/1", cells)[0] != KEY.digest("token/2", cells)[0]


@given(st.lists(st.text(max_size=90), min_size=1, max_size=30))
def test_a_digest_does_not_depend_on_its_neighbours(values: list[str]) -> None:
    key = KEY.subkey("test")
    together = mac64(key, pa.array(values, pa.string()))
    alone = np.array([mac64(key, pa.array([value], pa.string()))[0] for value in values])
    assert (together == alone).all()


@given(st.text(max_size=70), st.text(max_size=70))
def test_different_values_have_different_digests(one: str, other: str) -> None:
    digests = mac64(KEY.subkey("test"), pa.array([one, other], pa.string()))
    assert (digests[0] == digests[1]) == (one == other)


def test_trailing_zero_bytes_matter() -> None:
    digests = mac64(KEY.subkey("test"), pa.array(["a", "a\0", "a\0\0"]))
    assert len(set(digests.tolist())) == 3


def test_the_keystream_is_uniform() -> None:
    words = keystream(b"k" * 32, 100_000)
    assert abs(words.mean() / 2**32 - 0.5) < 0.005
