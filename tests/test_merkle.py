"""Hash trees over the chain: every entry has a path to the root, and no other entry has it."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import merkle


def digests(count: int) -> list[str]:
    return [hashlib.sha256(bytes([n])).hexdigest() for n in range(count)]


@given(st.integers(1, 70), st.data())
def test_every_entry_has_a_path_to_the_root(count: int, data: st.DataObject) -> None:
    entries, index = digests(count), data.draw(st.integers(0, count - 1))
    leaves = [merkle.leaf(entry) for entry in entries]
    beside = merkle.path(leaves, index)
    assert merkle.leads_to(entries[index], index, count, beside) == merkle.root(leaves)
    assert len(beside) <= count.bit_length()


@given(st.integers(2, 70), st.data())
def test_no_other_entry_place_or_path_leads_there(count: int, data: st.DataObject) -> None:
    entries, index = digests(count), data.draw(st.integers(0, count - 1))
    leaves = [merkle.leaf(entry) for entry in entries]
    beside, root = merkle.path(leaves, index), merkle.root(leaves)
    other = data.draw(st.integers(0, count - 1).filter(lambda n: n != index))
    assert merkle.leads_to(entries[other], index, count, beside) != root
    assert merkle.leads_to(entries[index], other, count, beside) != root
    assert merkle.leads_to(entries[index], index, count, [*beside, beside[0]]) is None
    assert merkle.leads_to(entries[index], index, count, beside[:-1]) is None


@pytest.mark.parametrize(("count", "expected"), [(0, hashlib.sha256(b"").hexdigest()), (1, None)])
def test_the_smallest_trees_are_those_of_rfc_6962(count: int, expected: str | None) -> None:
    leaves = [merkle.leaf(entry) for entry in digests(count)]
    assert merkle.root(leaves) == (expected or hashlib.sha256(b"\0" + bytes.fromhex(digests(1)[0])).hexdigest())


def test_an_odd_tree_is_that_of_rfc_6962() -> None:
    a, b, c = (merkle.leaf(entry) for entry in digests(3))
    left = hashlib.sha256(b"\1" + a + b).digest()
    assert merkle.root([a, b, c]) == hashlib.sha256(b"\1" + left + c).hexdigest()


@given(st.integers(1, 70))
def test_one_pass_gives_the_roots_of_all_shorter_trees(count: int) -> None:
    leaves = [merkle.leaf(entry) for entry in digests(count)]
    assert merkle.roots(leaves, range(1, count + 1)) == {n: merkle.root(leaves[:n]) for n in range(1, count + 1)}
