"""Secrets sealed to the officer, bound to their export, and committed to by its receipt."""

import pickle
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sealing import canonical, commitment, open_secret, seal_secret
from schemas.errors import IntegrityError, KeyFileError

OFFICER = X25519PrivateKey.generate()
SECRET, NONCE = bytes(range(32)), bytes(range(32, 64))
CANARIES = [{"values": {"name": "王芳", "phone": "13900000000"}, "bounds": {"phone": 1e-8}}]


def row(**changed: Any) -> dict[str, Any]:
    """A line of the registry with a sealed secret."""
    names = {"export_id": "X-1", "dataset": "bank", "recipient": "E1"}
    sealed = seal_secret(OFFICER.public_key(), **names, nonce=NONCE, secret=SECRET, canaries=CANARIES)
    return {**names, "sealed": sealed, "commitment": commitment("X-1", NONCE, SECRET, CANARIES), **changed}


def test_the_officer_opens_what_was_sealed() -> None:
    opened = open_secret(OFFICER, row())
    assert (opened.secret, opened.nonce, opened.canaries) == (SECRET, NONCE, CANARIES)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(KeyFileError, match="X-1"):
        open_secret(X25519PrivateKey.generate(), row())


@pytest.mark.parametrize("field", ["export_id", "dataset", "recipient"])
def test_a_seal_cannot_be_moved_to_another_export_dataset_or_recipient(field: str) -> None:
    with pytest.raises(KeyFileError):
        open_secret(OFFICER, row(**{field: "other"}))


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_any_changed_bit_is_found(place: int, bit: int) -> None:
    line = row()
    body = bytearray(line["sealed"])
    body[place % len(body)] ^= 1 << bit
    with pytest.raises(KeyFileError):
        open_secret(OFFICER, {**line, "sealed": bytes(body)})


@pytest.mark.parametrize("blob", [b"", b"x", bytes(200)])
def test_what_is_no_seal_is_told_in_one_sentence(blob: bytes) -> None:
    with pytest.raises(KeyFileError, match="registry check"):
        open_secret(OFFICER, row(sealed=blob))


def test_a_secret_that_the_receipt_does_not_commit_to_is_refused() -> None:
    with pytest.raises(IntegrityError, match="commits to"):
        open_secret(OFFICER, row(commitment=commitment("X-1", NONCE, bytes(32), CANARIES)))


def test_a_commitment_depends_on_each_of_its_parts_and_on_where_one_ends() -> None:
    first = commitment("X-1", NONCE, SECRET, CANARIES)
    others = [
        commitment("X-2", NONCE, SECRET, CANARIES),
        commitment("X-1", SECRET, NONCE, CANARIES),
        commitment("X-1", NONCE, bytes(32), CANARIES),
        commitment("X-1", NONCE, SECRET, []),
        commitment("X-1" + chr(NONCE[0]), NONCE[1:], SECRET, CANARIES),
    ]
    assert len({first, *others}) == 6
    assert len(first) == 64


def test_sealing_twice_gives_different_bytes_and_one_commitment() -> None:
    assert row()["sealed"] != row()["sealed"]
    assert row()["commitment"] == row()["commitment"]


def test_an_opened_secret_is_not_shown() -> None:
    shown = repr(open_secret(OFFICER, row()))
    assert SECRET.hex() not in shown
    assert "王芳" not in shown
    assert repr(SECRET) not in shown


def test_nothing_of_the_content_is_readable_in_the_seal() -> None:
    sealed = row()["sealed"]
    assert SECRET not in sealed
    assert SECRET.hex().encode() not in sealed
    assert "王芳".encode() not in sealed


def test_an_error_crosses_a_worker_boundary() -> None:
    with pytest.raises(IntegrityError) as caught:
        open_secret(OFFICER, row(commitment="0" * 64))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own


def test_a_document_has_one_canonical_form() -> None:
    assert canonical({"b": 1, "a": [1, {"d": None, "c": "é"}]}) == '{"a":[1,{"c":"é","d":null}],"b":1}'.encode()
