"""Keys in a folder: made once, private, read only when needed, refused when others can read them."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pipeline.keystore import KeyStore, init_keys, make_pair, signing_key
from schemas.errors import KeyFileError
from tests.conftest import mount_small

ALL = [
    "examiner.key",
    "examiner.pub",
    "index.key",
    "issuer.key",
    "issuer.pub",
    "officer.key",
    "officer.pub",
    "pool.key",
]


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    init_keys(tmp_path / "keys")
    return KeyStore(tmp_path / "keys")


def test_init_makes_every_key_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert init_keys(tmp_path / "keys") == ALL
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_every_key_is_of_its_kind_and_the_halves_belong_together(keys: KeyStore) -> None:
    assert len(keys.index_key()) == 32
    private = keys.officer_private()
    assert isinstance(private, X25519PrivateKey)
    assert isinstance(keys.officer_public(), X25519PublicKey)
    assert private.public_key() == keys.officer_public()
    for private_half, public_half in (
        (keys.issuer(), keys.issuer_public()),
        (keys.examiner(), keys.examiner_public()),
    ):
        assert isinstance(private_half, Ed25519PrivateKey)
        assert isinstance(public_half, Ed25519PublicKey)
        assert private_half.public_key() == public_half


def test_two_folders_have_different_keys(keys: KeyStore, tmp_path: Path) -> None:
    init_keys(tmp_path / "others")
    assert keys.index_key() != KeyStore(tmp_path / "others").index_key()


@pytest.mark.parametrize("name", ALL)
def test_init_overwrites_no_key_and_makes_no_other(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(KeyFileError, match="never overwritten"):
        init_keys(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"mine"


def test_a_tagger_makes_its_own_issuer_pair_from_what_the_officer_gave_it(keys: KeyStore, tmp_path: Path) -> None:
    tagger = tmp_path / "tagger"
    with pytest.raises(KeyFileError, match="lacks index.key"):
        init_keys(tagger, tagger=True)
    for name in ("index.key", "officer.pub"):
        (tagger / name).write_bytes((tmp_path / "keys" / name).read_bytes())
        (tagger / name).chmod(0o600)
    assert init_keys(tagger, tagger=True) == ["issuer.key", "issuer.pub"]
    assert KeyStore(tagger).officer_private() is None
    assert KeyStore(tagger).index_key() == keys.index_key()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_private_key_that_others_can_read_is_refused(keys: KeyStore, tmp_path: Path, mode: int) -> None:
    for name, read in (
        ("index.key", keys.index_key),
        ("issuer.key", keys.issuer),
        ("officer.key", keys.officer_private),
        ("examiner.key", keys.examiner),
    ):
        (tmp_path / "keys" / name).chmod(mode)
        with pytest.raises(KeyFileError, match="chmod 600"):
            read()


def test_a_public_key_may_be_read_by_everybody(keys: KeyStore, tmp_path: Path) -> None:
    (tmp_path / "keys" / "issuer.pub").chmod(0o644)
    keys.issuer_public()


def test_a_missing_key_is_told_with_its_name_except_the_officers(keys: KeyStore, tmp_path: Path) -> None:
    for name in ALL:
        (tmp_path / "keys" / name).unlink()
    assert keys.officer_private() is None
    for read in (keys.index_key, keys.officer_public, keys.issuer, keys.issuer_public, keys.examiner):
        with pytest.raises(KeyFileError, match="is missing"):
            read()


@pytest.mark.parametrize("body", [b"", b"AAAA", b"not base64 at all!", b"\xff" * 40])
def test_a_damaged_index_key_is_refused(keys: KeyStore, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "keys" / "index.key").write_bytes(body)
    with pytest.raises(KeyFileError, match="no 256-bit key"):
        keys.index_key()


def test_a_key_of_another_kind_and_a_damaged_one_are_refused(keys: KeyStore, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    (folder / "issuer.key").write_bytes((folder / "officer.key").read_bytes())
    with pytest.raises(KeyFileError, match="another kind"):
        keys.issuer()
    (folder / "issuer.pub").write_bytes(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(KeyFileError, match="no readable key"):
        keys.issuer_public()


def test_nothing_of_a_key_is_shown(keys: KeyStore, tmp_path: Path) -> None:
    assert repr(keys.index_key()) not in repr(keys)
    (tmp_path / "keys" / "index.key").write_bytes(b"secret-but-broken")
    with pytest.raises(KeyFileError) as caught:
        keys.index_key()
    assert "secret" not in str(caught.value)


def test_a_series_is_kept_once_and_the_first_one_counts(keys: KeyStore, tmp_path: Path) -> None:
    assert keys.series("bank", "E1", 1, "secret") is None
    assert keys.keep_series("bank", "E1", 1, "secret", b"first") == b"first"
    assert keys.keep_series("bank", "E1", 1, "secret", b"second") == b"first"
    assert keys.series("bank", "E1", 1, "secret") == b"first"
    assert keys.series("bank", "E2", 1, "secret") is None
    assert keys.series("bank", "E1", 2, "secret") is None
    assert keys.series("bank", "E1", 1, "canaries") is None
    (kept,) = (tmp_path / "keys" / "series").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "E1" not in kept.name
    kept.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        keys.series("bank", "E1", 1, "secret")


def test_a_recipients_name_cannot_leave_the_folder_of_series(keys: KeyStore, tmp_path: Path) -> None:
    keys.keep_series("../../bank", "../../../E1", 1, "secret", b"x")
    assert len(list((tmp_path / "keys" / "series").iterdir())) == 1


def test_of_many_jobs_that_begin_a_series_at_once_one_wins(keys: KeyStore) -> None:
    got: list[bytes] = []
    threads = [
        threading.Thread(target=lambda n=n: got.append(keys.keep_series("bank", "E1", 1, "secret", str(n).encode())))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert set(got) == {keys.series("bank", "E1", 1, "secret")}


def test_a_full_disk_leaves_no_half_set_of_keys(tmp_path: Path) -> None:
    mount_small(folder := tmp_path / "small", "size=12k,nr_inodes=100")
    try:
        with pytest.raises(KeyFileError, match="No space left"):
            init_keys(folder / "keys")
        assert list((folder / "keys").iterdir()) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_key_may_come_from_the_environment(keys: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, material = keys.index_key(), (tmp_path / "keys" / "index.key").read_text()
    (tmp_path / "keys" / "index.key").unlink()
    monkeypatch.setenv("LEAKTRACE_INDEX_KEY", material)
    assert keys.index_key() == whole


def test_a_key_may_come_from_a_command(keys: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, vault = keys.index_key(), tmp_path / "vault"
    (tmp_path / "keys").rename(vault)
    monkeypatch.setenv("LEAKTRACE_KEY_COMMAND", f"sh -c 'cat {vault}/$0'")
    fetched = KeyStore(tmp_path / "keys")
    assert fetched.index_key() == whole
    assert fetched.officer_private() is not None
    (vault / "officer.key").unlink()
    assert fetched.officer_private() is None
    (vault / "issuer.key").unlink()
    with pytest.raises(KeyFileError, match="gave no issuer.key"):
        fetched.issuer()


def test_a_passphrase_protects_private_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init_keys(tmp_path / "keys", protect=b"open sesame")
    keys = KeyStore(tmp_path / "keys")
    with pytest.raises(KeyFileError, match="LEAKTRACE_PASSPHRASE_FILE"):
        keys.officer_private()
    (tmp_path / "words").write_text("open sesame\n")
    (tmp_path / "words").chmod(0o600)
    monkeypatch.setenv("LEAKTRACE_PASSPHRASE_FILE", str(tmp_path / "words"))
    assert keys.officer_private() is not None
    (tmp_path / "words").write_text("sesame")
    with pytest.raises(KeyFileError, match="the passphrase does not open") as caught:
        keys.issuer()
    assert "sesame" not in str(caught.value)
    (tmp_path / "words").chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        keys.issuer()


def test_a_tagger_that_holds_the_officers_key_is_refused(keys: KeyStore, tmp_path: Path) -> None:
    for name in ("issuer.key", "issuer.pub"):
        (tmp_path / "keys" / name).unlink()
    with pytest.raises(KeyFileError, match="must not lie where tagging happens"):
        init_keys(tmp_path / "keys", tagger=True)


def test_an_init_that_fails_leaves_no_keys(tmp_path: Path) -> None:
    from pipeline.cli import main
    from pipeline.registry import create

    create(str(tmp_path / "registry"))
    where = ["--registry", str(tmp_path / "registry"), "--keys", str(tmp_path / "keys")]
    assert main([*where, "init"]) == 1
    assert not (tmp_path / "keys").exists()


def test_a_pair_for_somebody_who_signs_is_theirs_alone(tmp_path: Path) -> None:
    private, public = make_pair(tmp_path / "own", "E1003/甲")
    assert private.stat().st_mode & 0o777 == 0o600
    assert private.parent == tmp_path / "own"
    assert load_pem_public_key(public.read_bytes()) == signing_key(private).public_key()
    with pytest.raises(KeyFileError, match="never overwritten"):
        make_pair(tmp_path / "own", "E1003/甲")


def test_a_missing_file_of_somebody_who_signs_is_no_missing_registry(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="leaktrace keys make") as caught:
        signing_key(tmp_path / "E2.key")
    assert "init" not in str(caught.value)
