"""Coded canaries: held exactly when the code says so, sealed in the registry, read by presence, never when fed back."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import World

from pipeline.keystore import KeyStore
from pipeline.pool import open_pool, present, ready_pool
from pipeline.registry import Registry
from pipeline.sealing import open_secret
from pipeline.storage import attach
from schemas.contract import parse
from schemas.errors import IntegrityError, KeyFileError, RegistryError
from watermarking.canaries import Profile
from watermarking.fingerprint_code import code_word
from watermarking.keys import IndexKey
from watermarking.selection import plan

KEY = "customer_no"
Write = Callable[[pa.Table, Path], Path]


def planted(world: World, recipient: str) -> pa.Table:
    """The rows of a copy that the source has not."""
    copy, source = pq.read_table(world.folder / f"{recipient}.parquet"), pq.read_table(world.table)
    return copy.filter(pc.invert(pc.is_in(copy[KEY], value_set=source[KEY].combine_chunks())))


def pool_and_words(world: World) -> tuple[list[dict[str, object]], dict[str, np.ndarray], dict[str, int]]:
    """Everybody of the pool; the pool's part of each recipient's code word; how many canaries are each one's alone."""
    keys = KeyStore(world.folder / "keys")
    officer = keys.officer_private()
    assert officer is not None
    marks = plan(parse(world.contract.read_bytes(), "c"), IndexKey(keys.index_key()))
    with Registry.open(str(world.folder / "registry")) as registry:
        people = open_pool(registry, [officer], "bank")
        sealed = registry.sealed(registry.exports()["export_id"].to_pylist()).to_pylist()
    opened = {row["recipient"]: open_secret(officer, row) for row in sealed}
    words = {who: code_word(one.secret, marks.p)[marks.pool.offset :] for who, one in opened.items()}
    return people, words, {who: len(one.canaries) for who, one in opened.items()}


def test_a_copy_holds_exactly_those_of_the_pool_that_its_code_word_says(shared: World) -> None:
    people, words, alone = pool_and_words(shared)
    assert len(people) >= 8
    for who in ("E1", "E2", "E3"):
        held = set(planted(shared, who)[KEY].to_pylist())
        coded = [one["values"][KEY] in held for one in people]
        assert coded == (words[who][: len(people)] == 1).tolist()
        assert len(held) == sum(coded) + alone[who]


def nothing_taken(kind: str, cells: pa.Array) -> np.ndarray:
    """Of a table that holds nothing."""
    return np.zeros(len(cells), dtype=bool)


def test_people_made_for_a_copy_that_fails_enter_no_pool_and_keep_nobody_waiting(fresh: World) -> None:
    keys, contract = KeyStore(fresh.folder / "keys"), parse(fresh.contract.read_bytes(), "c")
    real, rng = Profile(contract, pq.read_table(fresh.table).slice(0, 200)), np.random.default_rng(1)
    with Registry.open(str(fresh.folder / "registry"), issuer=keys.issuer()) as registry:
        with pytest.raises(ZeroDivisionError), ready_pool(registry, keys, real, 20, nothing_taken, rng, None):
            raise ZeroDivisionError
        assert registry.pool("bank") == []
        with ready_pool(registry, keys, real, 20, nothing_taken, rng, None) as second:
            assert registry.pool("bank") == []
        assert sum(batch["people"] for batch in registry.pool("bank")) == len(second.rank) > 0
        with ready_pool(registry, keys, real, 20, nothing_taken, rng, None) as third, registry.alone("pool"):
            assert third.canaries.table.equals(second.canaries.table)  # and nobody waits for a pool that is not to grow


def test_people_made_while_the_lock_was_lost_do_not_enter_over_those_of_another(
    fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, contract = KeyStore(fresh.folder / "keys"), parse(fresh.contract.read_bytes(), "c")
    real, rng = Profile(contract, pq.read_table(fresh.table).slice(0, 200)), np.random.default_rng(1)
    monkeypatch.setattr(Registry, "alone", lambda registry, name: nullcontext())
    with Registry.open(str(fresh.folder / "registry"), issuer=keys.issuer()) as registry:
        mine = ready_pool(registry, keys, real, 20, nothing_taken, rng, None)
        mine.__enter__()
        with ready_pool(registry, keys, real, 20, nothing_taken, rng, None) as theirs:
            pass
        with pytest.raises(RegistryError, match="another command has just made coded canaries"):
            mine.__exit__(None, None, None)
        (batch,) = registry.pool("bank")
        assert batch["people"] == len(theirs.rank)
        again = batch | {"sha256": registry.notes("pool")[0]["sha256"]}
        registry.add_to_pool(again)  # a commit that was reported lost, but was not
        assert len(registry.pool("bank")) == len(registry.notes("pool")) == 1


def test_coded_canaries_in_a_sample_are_counted_for_their_copy(shared: World, tmp_path: Path, write_sample) -> None:
    people, words, _ = pool_and_words(shared)
    numbers = pa.array([one["values"][KEY] for one in people])
    rows = planted(shared, "E1")
    coded = rows.filter(pc.is_in(rows[KEY], value_set=numbers))
    source = pq.read_table(shared.folder / "E1.parquet")
    real = source.filter(pc.invert(pc.is_in(source[KEY], value_set=rows[KEY].combine_chunks()))).slice(0, 30)
    case = tmp_path / "case"
    sample = write_sample(pa.concat_tables([real, coded]), tmp_path / "leak.csv")
    answer = shared.run("trace", sample, "-o", case, "--json")
    verdict = answer.json()
    assert verdict["authenticity"]["rows"]["canary"] == coded.num_rows
    assert verdict["exposed"]["people"] == real.num_rows  # nobody need be told of a canary
    best = verdict["attribution"]["candidates"][0]
    assert best["recipient"] == "E1"
    assert best["canaries"] == {"unique": 0, "coded": coded.num_rows}
    channel = {one["name"]: one for one in best["evidence"]["channels"]}["coded_canaries"]
    assert (channel["read"], channel["agreeing"]) == (coded.num_rows, coded.num_rows)


def test_masked_canaries_are_recognised(shared: World, tmp_path: Path, write_sample: Write) -> None:
    rows = planted(shared, "E2").select(["name", "national_id", "phone"])
    hidden = {
        "name": rows["name"],
        "national_id": [f"{v[:6]}********{v[-4:]}" for v in rows["national_id"].to_pylist()],
        "phone": [f"{v[:3]}****{v[-4:]}" for v in rows["phone"].to_pylist()],
    }
    sample = write_sample(pa.table(hidden), tmp_path / "masked.csv")
    verdict = shared.run("trace", sample, "-o", tmp_path / "case", "--json").json()
    assert verdict["authenticity"]["rows"]["canary"] == rows.num_rows
    assert {c["recipient"] for c in verdict["attribution"]["candidates"] if c["strength"] == "conclusive"} == {"E2"}


def test_a_canary_may_refer_to_what_is_there_but_not_have_it(shared: World) -> None:
    rows, text = planted(shared, "E1"), shared.contract.read_text("utf-8")
    referring = text.replace("- name: card_no\n", "- name: card_no\n        relationships: [{to: cards.card_no}]\n")
    assert referring != text

    def cards_are_taken(kind: str, cells: pa.Array) -> np.ndarray:
        return np.full(len(cells), kind == "card")

    assert rows.num_rows
    assert present(rows, parse(text.encode(), "c"), cards_are_taken).all()
    assert not present(rows, parse(referring.encode(), "c"), cards_are_taken).any()


def test_the_registry_shows_no_canary_with_or_without_the_index_key(shared: World) -> None:
    people, _, _ = pool_and_words(shared)
    told = [str(value) for one in people for value in one["values"].values() if value and len(str(value)) > 8]
    blob = b"".join(path.read_bytes() for path in (shared.folder / "registry").rglob("*") if path.is_file())
    assert told
    assert not [value for value in told if value.encode() in blob]


def test_the_pool_needs_its_key_and_the_index_key_is_not_it(issued: World, tmp_path: Path) -> None:
    keys = issued.folder / "keys"
    (keys / "pool.key").write_bytes((keys / "index.key").read_bytes())
    answer = issued.tag("E9", tmp_path / "e9.parquet")
    assert answer.code == 1
    assert "pool.key does not open" in answer.err
    (keys / "pool.key").unlink()
    answer = issued.tag("E9", tmp_path / "e9.parquet")
    assert answer.code == 1
    assert "pool.key is missing" in answer.err
    assert not (tmp_path / "e9.parquet").exists()


def test_a_pool_grows_and_keeps_whom_it_had(fresh: World, tmp_path: Path) -> None:
    text = fresh.contract.read_text("utf-8")
    fresh.contract.write_text(
        text.replace("leaktraceCanaryDensity\n    value: 0.005", "leaktraceCanaryDensity\n    value: 0.05")
    )
    small = tmp_path / "small.parquet"
    pq.write_table(pq.read_table(fresh.table).slice(0, 200), small)
    assert fresh.tag("E1", tmp_path / "a.parquet", source=small).code == 0
    before, _, _ = pool_and_words(fresh)
    assert fresh.tag("E2", tmp_path / "b.parquet").code == 0
    after, _, _ = pool_and_words(fresh)
    assert after[: len(before)] == before
    assert len(after) > len(before)


def test_canaries_that_were_fed_back_count_for_none(issued: World, tmp_path: Path, write_sample: Write) -> None:
    """A tagged file becomes the source of another copy: all of its canaries are rows like others there."""
    assert issued.tag("E7", tmp_path / "e7.parquet", source=issued.folder / "E1.parquet").code == 0
    rows = planted(issued, "E1").select(["name", "phone", "email"])
    verdict = issued.run("trace", write_sample(rows, tmp_path / "c.csv"), "-o", tmp_path / "case", "--json").json()
    named = {c["recipient"] for c in verdict["attribution"]["candidates"] if c["strength"] == "conclusive"}
    assert named == set()
    assert verdict["authenticity"]["rows"]["canary"] == 0


def test_a_pool_that_the_chain_did_not_enter_is_refused(issued: World) -> None:
    keys = KeyStore(issued.folder / "keys")
    officer = keys.officer_private()
    assert officer is not None
    with Registry.open(str(issued.folder / "registry"), issuer=keys.issuer()) as registry:
        registry.rewrite("test", lambda con: con.execute("UPDATE lake.pool SET first = 1") and None)
        with pytest.raises((IntegrityError, KeyFileError)):
            open_pool(registry, [officer], "bank")


def test_the_watchlist_has_coded_canaries_too(shared: World, tmp_path: Path) -> None:
    people, _, _ = pool_and_words(shared)
    assert shared.run("watchlist", "-o", tmp_path / "list.txt", "--format", "txt").code == 0
    listed = set((tmp_path / "list.txt").read_text("utf-8").split())
    assert all(one["values"]["phone"] in listed for one in people)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM lake.pool", "is missing"),
        ("INSERT INTO lake.pool SELECT * FROM lake.pool", "is there 2 times"),
        ("UPDATE lake.pool SET dataset = 'other'", "no entry of the chain knows it"),
        ("UPDATE lake.pool SET people = people + 1", "the number of people"),
        ("UPDATE lake.pool SET officer = sealed", "sealed to the officer"),
        ("UPDATE lake.pool SET sealed = officer", "sealed under pool.key"),
        ("UPDATE lake.pool SET shape = 'x'", "sealed under pool.key"),
    ],
)
def test_an_altered_pool_is_found_by_the_check(issued: World, statement: str, words: str) -> None:
    con = attach(issued.folder / "registry")
    con.execute(statement)
    con.close()
    answer = issued.run("registry", "check")
    assert answer.code == 3
    assert "pool, " in answer.err
    assert words in answer.err


def test_a_tagger_without_the_pool_key_is_told_and_makes_none_beside_the_officers(issued: World) -> None:
    """Another dataset has no pool yet; a second pool.key would part the machines for ever."""
    keys, tagger = issued.folder / "keys", issued.folder / "tagger"
    tagger.mkdir()
    for name in ("index.key", "officer.pub"):
        shutil.copy(keys / name, tagger / name)
    made = issued.run("--keys", tagger, "init", "--tagger")
    assert made.code == 0
    assert "Copy pool.key" in made.out
    another = issued.folder / "another.yaml"
    another.write_text(issued.contract.read_text("utf-8").replace("id: bank", "id: another"), "utf-8")
    command = ["tag", issued.table, "--contract", another, "--recipient", "E9", "--purpose", "test", "--no-quality"]
    refused = issued.run("--keys", tagger, *command, "-o", issued.folder / "E9.parquet")
    assert refused.code == 1
    assert "pool.key is missing" in refused.err
    shutil.copy(keys / "pool.key", tagger / "pool.key")
    assert "Copy pool.key" not in issued.run("--keys", tagger, "init", "--tagger").out
    assert issued.run("--keys", tagger, *command, "-o", issued.folder / "E9.parquet").code == 0
