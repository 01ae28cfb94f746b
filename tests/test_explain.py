"""How the evidence adds up: channels, carriers, what was set aside, and the picture of innocents' scores."""

import numpy as np
import pytest
from conftest import World

from pipeline.keystore import KeyStore
from schemas.contract import parse
from watermarking.evidence import CanaryHits, Examination, examine
from watermarking.explain import Channel, Evidence, evidence_of, sentences, set_aside_of
from watermarking.fingerprint_code import code_word
from watermarking.keys import IndexKey
from watermarking.readings import Readings, merge
from watermarking.selection import Plan, plan
from watermarking.tails import HitColumns

NONE = CanaryHits(0, 0, 0.0)


@pytest.fixture(scope="module")
def marks(_issued: World) -> Plan:
    return plan(parse(_issued.contract.read_bytes(), "c"), IndexKey(KeyStore(_issued.folder / "keys").index_key()))


def coded(marks: Plan, word: np.ndarray, count: int) -> Readings:
    """`count` of the copy's own coded canaries, present in the sample."""
    held = marks.pool.offset + np.flatnonzero(word[marks.pool.offset :] == 1)[:count]
    ones = np.ones(count, dtype=np.int64)
    return Readings(ones * marks.pool.number, held, 0 * ones, ones)


def sample(marks: Plan, word: np.ndarray, rows: int, seed: int) -> Readings:
    """Symbols of a copy at every site of the plan."""
    rng = np.random.default_rng(seed)
    parts = []
    for _, site in marks.sites():
        position = site.offset + rng.integers(0, site.size, rows)
        ones = word[position].astype(np.int64)
        parts.append(merge([Readings(np.full(rows, site.number), position, 1 - ones, ones)]))
    return merge(parts)


def examined(marks: Plan, readings: Readings) -> Examination:
    return examine(readings, marks.p, family=100, attempt=1, present_only=(marks.pool.number,))


def test_channels_and_carriers_say_what_was_read_and_agrees(marks: Plan) -> None:
    word = code_word(b"g" * 32, marks.p)
    readings = merge([sample(marks, word, 30, seed=1), coded(marks, word, 5)])
    examination = examined(marks, readings)
    found = examination.assess(word[None])
    said = evidence_of(examination, marks, word, int(found.model[0]), NONE)
    assert [channel.name for channel in said.channels] == ["marks", "coded_canaries"]
    symbols = 30 * len(marks.sites())
    assert (said.channels[0].read, said.channels[0].agreeing) == (symbols, symbols)
    assert (said.channels[1].read, said.channels[1].agreeing) == (5, 5)
    assert sum(one.sites_read for one in said.carriers) == symbols
    assert {one.carrier for one in said.carriers} == {marked.carrier.name for marked in marks.columns}
    words = sentences(said, [])
    assert words[0].startswith(f"Marks: {symbols} of the {symbols} symbols that could be read are this copy's")
    assert any("holds 5 of the 5 that are in the sample" in one for one in words)


def test_a_unique_canary_is_a_channel_of_its_own_and_adds_to_the_whole(marks: Plan) -> None:
    word, hits = code_word(b"g" * 32, marks.p), CanaryHits(50, 1, 1e-10)
    examination = examined(marks, sample(marks, word, 3, seed=2))
    found = examination.assess(np.stack([word, word]), HitColumns.of([hits, NONE]))
    said = evidence_of(examination, marks, word, int(found.model[0]), hits)
    unique = next(channel for channel in said.channels if channel.name == "unique_canaries")
    assert (unique.read, unique.agreeing) == (50, 1)
    assert unique.log10_p == pytest.approx(np.log10(50 * 1e-10) + examination.log_paid, abs=1e-6)
    assert found.log10_p_adjusted[0] < found.log10_p_adjusted[1] - 3


def test_coded_canaries_count_by_presence_and_never_by_absence(marks: Plan) -> None:
    word = code_word(b"g" * 32, marks.p)
    lacking = word.copy()
    lacking[marks.pool.offset :] = 0
    few, more = (examined(marks, merge([sample(marks, word, 6, 3), coded(marks, word, n)])) for n in (0, 12))
    p_few, p_more = (float(one.assess(word[None]).log10_p_adjusted[0]) for one in (few, more))
    assert p_more < p_few - 2
    assert float(few.assess(lacking[None]).log10_p_adjusted[0]) == pytest.approx(p_few)


def test_the_pool_is_never_taken_for_a_rewritten_carrier(marks: Plan) -> None:
    word = code_word(b"g" * 32, marks.p)
    examination = examined(marks, coded(marks, word, 200))
    assert examination.gone == ()
    assert examination.kept.count() == 200


def test_a_rewritten_carrier_is_named_with_its_reason(marks: Plan) -> None:
    word = code_word(b"g" * 32, marks.p)
    readings = sample(marks, word, 60, seed=4)
    first = marks.columns[0].sites[0].number
    both = readings.zeros + readings.ones
    hit = readings.site == first
    rewritten = Readings(
        readings.site, readings.position, np.where(hit, 0, readings.zeros), np.where(hit, both, readings.ones)
    )
    (gone,) = set_aside_of(examined(marks, rewritten), marks)
    assert gone["symbol"] == 1
    assert gone["readings"] == 60
    assert gone["column"] == marks.columns[0].column.kind
    assert str(gone["carrier"]).startswith(marks.columns[0].carrier.name)


def test_the_picture_of_innocents_falls_and_the_source_lies_beyond_it(marks: Plan) -> None:
    word = code_word(b"g" * 32, marks.p)
    examination = examined(marks, sample(marks, word, 20, seed=5))
    said = evidence_of(examination, marks, word, 0, NONE)
    scores, chances = np.array(said.tail).T
    assert 20 <= len(scores) <= 40
    assert (np.diff(scores) > 0).all()
    assert (np.diff(chances) <= 0).all()
    assert said.score <= scores[-1]
    assert np.interp(said.score, scores, chances) < -10


def test_a_bound_in_words_is_never_smaller_than_the_bound() -> None:
    for log10_p, said in ((-9.19, "1 in 10^9.1 "), (-0.04, "no bound below 1 "), (0.0, "no bound below 1 ")):
        words = sentences(Evidence((Channel("marks", log10_p, 1.0, 9, 9),), (), 1.0, ()), [])
        assert said in words[0]
