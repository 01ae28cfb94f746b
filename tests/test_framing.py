"""A short run of benchmarks/framing.py: nobody is framed without the officer's key; what custody says where it must."""

from pathlib import Path

import pytest

from benchmarks import forgeries
from benchmarks.framing import Forger, campaign, guesses

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> forgeries.Office:
    return forgeries.build(tmp_path_factory.mktemp("framing") / "office")


def test_marks_that_are_guessed_or_learnt_from_verdicts_name_no_innocent(office: forgeries.Office) -> None:
    forger = Forger(office)
    assert guesses(forger, 0, 24)["named"] == 0
    assert campaign(forger, 0, 20)["named"] == 0


def test_an_altered_registry_names_no_innocent_and_the_officers_key_does(
    office: forgeries.Office, tmp_path: Path
) -> None:
    found = {(one["attack"], one["witnessed"]): one for one in forgeries.attacked(office, tmp_path / "round", 0)}
    stolen = found.pop(("with the officer's key", True))
    assert stolen["said"] == "own copy"
    assert all(stolen["custody"].values())
    assert len(found) == 2 * len(forgeries.ATTACKS)
    for (_, witnessed), one in found.items():
        assert not (one["custody"] and all(one["custody"].values()))
        if witnessed:
            assert one["said"] != "own copy"
        if one["said"] not in ("refused", "nothing"):
            assert (one["custody"]["acknowledged"], one["custody"]["witnessed"]) == (False, False)
