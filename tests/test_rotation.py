"""New keys: what was issued before stays traceable, what comes after is under the new ones, interruptions heal."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World

from pipeline import rotation
from pipeline.keystore import KeyStore
from pipeline.registry import Registry

Write = Callable[[pa.Table, Path], Path]


def sample(world: World, copy: str, folder: Path, write: Write, rows: int = 40) -> Path:
    table = pq.read_table(world.folder / f"{copy}.parquet")
    chosen = np.random.default_rng(5).choice(table.num_rows, rows, replace=False)
    return write(table.take(np.sort(chosen)), folder / f"{copy}.csv")


def verdict(world: World, leak: Path, case: Path) -> Any:
    answer = world.run("trace", leak, "-o", case, "--json")
    assert answer.code == 0, answer.err
    return answer.json()


def named(found: Any) -> set[str]:
    return {c["recipient"] for c in found["attribution"]["candidates"] if c["strength"] == "conclusive"}


@pytest.fixture
def rotated(issued: World) -> World:
    """Three copies of epoch 1, then a new index and officer key, then E9's copy of epoch 2."""
    answer = issued.run("registry", "rotate-key", "--role", "index", "--role", "officer", "--json")
    assert answer.code == 0, answer.err
    assert answer.json()["epoch"] == 2
    assert issued.tag("E9", issued.folder / "E9.parquet").code == 0
    return issued


def test_copies_of_both_epochs_are_named_after_a_rotation(rotated: World, tmp_path: Path, write_sample: Write) -> None:
    old = verdict(rotated, sample(rotated, "E2", tmp_path, write_sample), tmp_path / "old")
    new = verdict(rotated, sample(rotated, "E9", tmp_path, write_sample), tmp_path / "new")
    assert (named(old), named(new)) == ({"E2"}, {"E9"})
    assert old["attribution"]["exports_considered"] == new["attribution"]["exports_considered"] == 4
    assert rotated.run("registry", "check").code == 0
    assert rotated.run("verify", tmp_path / "old", "--reproduce").code == 0


def test_what_was_sealed_before_opens_with_the_new_officers_key_alone(
    rotated: World, tmp_path: Path, write_sample: Write
) -> None:
    """A restore from escrow brings the newest key back: secrets and coded canaries are sealed to that one."""
    (rotated.folder / "keys" / "officer-1.key").unlink()
    assert rotated.run("registry", "check").code == 0
    assert rotated.run("watchlist", "-o", tmp_path / "canaries.csv").code == 0
    found = verdict(rotated, sample(rotated, "E2", tmp_path, write_sample), tmp_path / "case")
    assert named(found) == {"E2"}


def test_a_sample_mixed_from_both_epochs_names_both(rotated: World, tmp_path: Path, write_sample: Write) -> None:
    tables = [pq.read_table(rotated.folder / f"{name}.parquet") for name in ("E2", "E9")]
    rows = np.random.default_rng(2).permutation(3_000)
    mixed = pa.concat_tables([tables[0].take(np.sort(rows[:60])), tables[1].take(np.sort(rows[60:120]))])
    found = verdict(rotated, write_sample(mixed, tmp_path / "mixed.csv"), tmp_path / "case")
    assert named(found) == {"E2", "E9"}
    assert found["authenticity"]["rows"]["unknown"] <= 3
    assert found["exposed"]["people"] >= 117


def test_the_list_of_whom_to_notify_spans_epochs(rotated: World, tmp_path: Path, write_sample: Write) -> None:
    verdict(rotated, sample(rotated, "E9", tmp_path, write_sample), tmp_path / "case")
    out = tmp_path / "notify.csv"
    command = ("exposed", tmp_path / "case", "--source", rotated.table, "--contract", rotated.contract, "-o", out)
    answer = rotated.run(*command, "--json")
    assert answer.code == 0, answer.err
    assert answer.json()["people"] >= 38


def test_a_rotation_leaves_each_key_its_number_and_mode(rotated: World) -> None:
    keys = rotated.folder / "keys"
    there = {path.name for path in keys.iterdir()}
    assert {"index-1.key", "officer-1.key", "officer-1.pub", "index.key", "officer.key"} <= there
    assert not [name for name in there if name.endswith(".next")]
    assert {path.stat().st_mode & 0o077 for path in keys.glob("*.key")} == {0}
    assert KeyStore(keys).index_key() != KeyStore(keys)._symmetric("index-1.key")


def test_secrets_open_with_the_new_officer_key_alone(rotated: World) -> None:
    (rotated.folder / "keys" / "officer-1.key").unlink()
    assert rotated.run("registry", "check").code == 0


def test_a_tagger_with_the_old_index_key_is_refused(rotated: World) -> None:
    keys = rotated.folder / "keys"
    (keys / "index-1.key").replace(keys / "index.key")
    answer = rotated.tag("E4", rotated.folder / "E4.parquet")
    assert answer.code == 1
    assert "no index key of epoch 2" in answer.err
    assert not (rotated.folder / "E4.parquet").exists()


def test_a_trace_without_an_old_index_key_says_which_is_missing(
    rotated: World, tmp_path: Path, write_sample: Write
) -> None:
    leak = sample(rotated, "E2", tmp_path, write_sample)
    (rotated.folder / "keys" / "index-1.key").unlink()
    answer = rotated.run("trace", leak, "-o", tmp_path / "case")
    assert answer.code == 1
    assert "index-1.key" in answer.err
    assert not (tmp_path / "case").exists()


def test_a_copy_sealed_to_the_old_officer_meanwhile_still_opens(rotated: World, tmp_path: Path) -> None:
    keys = rotated.folder / "keys"
    new = (keys / "officer.pub").read_bytes()
    (keys / "officer.pub").write_bytes((keys / "officer-1.pub").read_bytes())  # a tagger that was not told yet
    assert rotated.tag("E5", rotated.folder / "E5.parquet").code == 0
    (keys / "officer.pub").write_bytes(new)
    assert rotated.run("registry", "check").code == 0


def test_a_retired_issuer_signs_nothing_any_more(issued: World) -> None:
    keys = issued.folder / "keys"
    thief = {name: (keys / name).read_bytes() for name in ("issuer.key", "issuer.pub")}
    assert issued.run("registry", "rotate-key", "--role", "issuer").code == 0
    assert issued.run("registry", "check").code == 0
    new = {name: (keys / name).read_bytes() for name in thief}
    for name, body in thief.items():
        (keys / name).write_bytes(body)
    assert issued.tag("E7", issued.folder / "E7.parquet").code == 0
    for name, body in new.items():
        (keys / name).write_bytes(body)
    answer = issued.run("registry", "check")
    assert answer.code == 3
    assert "retired" in answer.err


def test_a_case_signed_before_the_examiner_changed_still_verifies(
    issued: World, tmp_path: Path, write_sample: Write
) -> None:
    verdict(issued, sample(issued, "E2", tmp_path, write_sample), tmp_path / "case")
    assert issued.run("registry", "rotate-key", "--role", "examiner").code == 0
    assert issued.run("verify", tmp_path / "case").code == 0


def test_an_interrupted_rotation_has_not_happened_or_is_finished(
    issued: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, registry = issued.folder / "keys", str(issued.folder / "registry")
    before = (keys / "index.key").read_bytes()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rotation, "_renamed", dies)  # after the entry, before the names
    with Registry.open(registry, issuer=KeyStore(keys).issuer()) as opened, pytest.raises(KeyboardInterrupt):
        rotation.rotate(opened, keys, ("index",))
    monkeypatch.undo()
    assert (keys / "index.key").read_bytes() == before
    answer = issued.tag("E4", issued.folder / "E4.parquet")
    assert answer.code == 1
    assert "rotate-key again" in answer.err
    done = issued.run("registry", "rotate-key", "--json").json()
    assert (done["finished"], done["epoch"]) == (True, 2)
    assert issued.tag("E4", issued.folder / "E4.parquet").code == 0
    (keys / "index.key.next").write_bytes(
        base64.b64encode(bytes(range(32)))
    )  # of a rotation that died before its entry
    (keys / "index.key.next").chmod(0o600)
    assert issued.run("registry", "rotate-key", "--json").json()["epoch"] == 3
    assert issued.run("registry", "check").code == 0


def test_a_series_begins_anew_in_a_new_epoch(fresh: World) -> None:
    first = fresh.tag("E1", fresh.folder / "a.parquet", "--series").json()
    assert fresh.run("registry", "rotate-key").code == 0
    second = fresh.tag("E1", fresh.folder / "b.parquet", "--series").json()
    third = fresh.tag("E1", fresh.folder / "c.parquet", "--series").json()
    assert [r["epoch"] for r in (first, second, third)] == [1, 2, 2]
    assert first["series"] != second["series"] == third["series"]


def test_an_erasure_reaches_every_epoch(fresh: World) -> None:
    assert fresh.tag("E1", fresh.folder / "a.parquet").code == 0
    assert fresh.run("registry", "rotate-key").code == 0
    assert fresh.tag("E2", fresh.folder / "b.parquet").code == 0
    subject = fresh.folder / "subject.parquet"
    pq.write_table(pq.read_table(fresh.table).slice(7, 1), subject)
    answer = fresh.run("registry", "erase", "--subject-file", subject, "--json")
    assert answer.code == 0, answer.err
    assert answer.json()["versions"] == 2
    assert fresh.run("registry", "check").code == 0


def test_nothing_that_a_rotation_prints_is_a_key(fresh: World) -> None:
    answer = fresh.run("registry", "rotate-key", "--role", "index", "--role", "officer", "--json")
    said = json.dumps(answer.json()) + answer.err
    for path in (fresh.folder / "keys").glob("*.key"):
        body = path.read_text().splitlines()
        assert all(line not in said for line in body if len(line) > 20)
