"""The forecast agrees with simulated leaks, and says what a contract can do."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import World

from benchmarks.forecasting import layout, named
from watermarking.forecast import Scenario, chance_of, forecast, scenarios


@pytest.mark.parametrize("scenario", [s for s in scenarios(()) if s.name != "values normalised"], ids=lambda s: s.name)
def test_it_agrees_with_simulated_leaks(scenario: Scenario) -> None:
    """At the rows of 50% and 99% the simulated share is on the right side; 30 trials, right but once in 1e5."""
    offered = layout(sites=4.0, exports=10_000)
    half, _, sure = forecast(offered, scenario).marks_only
    assert half is not None
    assert sure is not None
    assert named(scenario, int(half * 0.7), 4, 10_000, trials=30) <= 0.8
    assert named(scenario, int(sure * 1.3) + 1, 4, 10_000, trials=30) >= 0.8


def test_more_exports_fewer_sites_and_a_stricter_alpha_need_more_rows() -> None:
    verbatim = Scenario("verbatim")
    usual = forecast(layout(4.0, 1_000), verbatim).marks_only[1] or 0
    assert (forecast(layout(4.0, 1_000_000), verbatim).marks_only[1] or 0) > usual
    assert (forecast(layout(2.0, 1_000), verbatim).marks_only[1] or 0) > 1.5 * usual
    assert (forecast(layout(4.0, 1_000, alpha=1e-9), verbatim).marks_only[1] or 0) > usual
    assert forecast(layout(0.0, 1_000), verbatim).marks_only == (None, None, None)


def test_a_block_holds_a_canary_for_sure_and_random_rows_by_chance() -> None:
    rows = forecast(layout(0.0, 1_000, canaries=0.01), Scenario("verbatim"))
    assert rows.block[2] is not None
    assert rows.block[2] <= 100
    assert rows.random[2] == pytest.approx(np.log(0.01) / np.log(0.99), rel=0.05)
    assert forecast(layout(0.0, 1_000, canaries=0.01), Scenario("two", 2, "row")).random == (None, None, None)


def test_chances_grow_with_the_rows() -> None:
    chances = [chance_of(layout(4.0, 1_000), Scenario("verbatim"), rows) for rows in range(2, 30)]
    assert all(b >= a - 0.02 for a, b in zip(chances, chances[1:], strict=False))
    assert chances[0] < 0.01
    assert chances[-1] > 0.99


def test_the_command_says_rows_and_advice_and_draws_a_chart(shared: World, tmp_path: Path) -> None:
    chart = tmp_path / "f.svg"
    base = ["forecast", "--contract", shared.contract, "--exports", "1000", "--file", shared.table]
    answer = shared.run(*base, "--rows", "20", "40", "--chart", chart)
    assert answer.code == 0, answer.err
    assert re.search(r"verbatim +\d+", answer.out)
    assert "without address" in answer.out
    assert "Canary density 0.50% costs 5,000 fictitious rows" in answer.out
    assert "Most depends on column address" in answer.out
    assert chart.read_text("utf-8").startswith("<svg ")
    document = shared.run(*base, "--rows", "20", "--json").json()
    verbatim = document["scenarios"][0]
    assert verbatim["random"]["50%"] <= verbatim["random"]["90%"] <= verbatim["random"]["99%"]
    assert document["chances"][0]["rows"] == 20
    assert {s["name"] for s in document["scenarios"]} >= {"values normalised", "three who know p"}
    assert shared.run(*base, "--chart", chart).code == 1  # nothing is overwritten


def test_without_a_file_every_row_is_taken_to_have_every_site(shared: World) -> None:
    with_file, without = (
        shared.run("forecast", "--contract", shared.contract, "--exports", "10", "--json", *more).json()
        for more in (("--file", shared.table), ())
    )
    assert without["sites_per_row"] > with_file["sites_per_row"]


def test_wrong_numbers_are_refused(shared: World) -> None:
    assert shared.run("forecast", "--contract", shared.contract, "--exports", "0").code == 2
    assert shared.run("forecast", "--contract", shared.folder / "none.yaml", "--exports", "5").code == 1
