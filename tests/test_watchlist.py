"""`leaktrace watchlist`: every canary, nobody's name unless asked for, and whose canary it is that rings."""

import csv
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from stix2validator import ValidationOptions, validate_string

from tests.conftest import World


def canaries(world: World, recipient: str) -> list[dict]:
    """The rows of a copy that the source does not have."""
    known = set(pq.read_table(world.table)["customer_no"].to_pylist())
    rows = pq.read_table(world.folder / f"{recipient}.parquet").to_pylist()
    return [row for row in rows if row["customer_no"] not in known]


def phones_of(world: World, recipient: str) -> set[str]:
    return {str(canary["phone"]) for canary in canaries(world, recipient)}


def alone(world: World, recipient: str) -> set[str]:
    """Phones of the canaries that only this copy holds."""
    others = {phone for name in {"E1", "E2", "E3"} - {recipient} for phone in phones_of(world, name)}
    return phones_of(world, recipient) - others


def listed(world: World, tmp_path: Path, *more: str) -> str:
    answer = world.run("watchlist", "-o", tmp_path / "list", *more)
    assert answer.code == 0, answer.err
    return (tmp_path / "list").read_text("utf-8")


def test_the_list_holds_every_canary_and_no_customer(shared: World, tmp_path: Path) -> None:
    rows = list(csv.DictReader(listed(shared, tmp_path).splitlines()))
    phones = {row["value"] for row in rows if row["column"] == "phone"}
    assert phones >= {phone for name in ("E1", "E2", "E3") for phone in phones_of(shared, name)}
    assert not phones & set(map(str, pq.read_table(shared.table)["phone"].to_pylist()))
    assert {row["column"] for row in rows} >= {"customer_no", "phone", "email", "national_id"}
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o600


def test_the_list_says_who_received_a_canary_only_when_asked(shared: World, tmp_path: Path) -> None:
    assert "E1" not in listed(shared, tmp_path)
    (tmp_path / "list").unlink()
    rows = list(csv.DictReader(listed(shared, tmp_path, "--with-exports").splitlines()))
    of_e1 = {row["value"] for row in rows if row["recipient"] == "E1" and row["column"] == "phone"}
    assert of_e1
    assert of_e1 <= alone(shared, "E1")
    coded = {row["value"] for row in rows if not row["recipient"] and row["column"] == "phone"}
    assert phones_of(shared, "E1") <= of_e1 | coded  # a coded canary is no single copy's
    assert all(row["exports"].startswith("X-") for row in rows if row["recipient"])


def test_text_and_mail_lists_have_one_value_a_line(shared: World, tmp_path: Path) -> None:
    expected = {str(c["email"]).lower() for name in ("E1", "E2", "E3") for c in canaries(shared, name)}
    assert set(listed(shared, tmp_path, "--format", "mail").split()) >= expected - {"none"}
    (tmp_path / "list").unlink()
    assert {str(c["phone"]) for c in canaries(shared, "E2")} <= set(listed(shared, tmp_path, "--format", "txt").split())


def test_a_stix_bundle_has_one_indicator_an_identifier(shared: World, tmp_path: Path) -> None:
    bundle = json.loads(listed(shared, tmp_path, "--format", "stix"))
    assert bundle["type"] == "bundle"
    ids = [one["id"] for one in bundle["objects"]]
    assert len(set(ids)) == len(ids) > 50
    for one in bundle["objects"]:
        assert one["type"] == "indicator"
        assert one["spec_version"] == "2.1"
        assert re.fullmatch(r"indicator--[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one["id"])
        assert re.fullmatch(r"\[[a-z-]+:value = '[^']+'\]", one["pattern"])
    found = validate_string(json.dumps(bundle), ValidationOptions(version="2.1"))
    assert found.is_valid, [str(error) for error in found.errors][:3]


def test_a_file_is_not_overwritten_unless_told(shared: World, tmp_path: Path) -> None:
    first = listed(shared, tmp_path, "--format", "txt")
    assert shared.run("watchlist", "-o", tmp_path / "list").code == 1
    assert (tmp_path / "list").read_text() == first
    assert shared.run("watchlist", "-o", tmp_path / "list", "--replace").code == 0


@pytest.mark.parametrize("written", ["{}", " +86 {}", "0086-{}"])
def test_a_ringing_phone_leads_to_its_copy(shared: World, written: str) -> None:
    rows = listed(shared, shared.folder, "--with-exports", "--replace").splitlines()
    unique = {row["value"] for row in csv.DictReader(rows) if row["recipient"] == "E2" and row["column"] == "phone"}
    answer = shared.run("watchlist", "hit", written.format(min(unique & alone(shared, "E2"))), "--json")
    assert answer.code == 0, answer.err
    (hit,) = answer.json()["hits"]
    assert hit["recipient"] == "E2"
    assert 0 < hit["bound"] < 1e-6


def test_a_coded_canarys_phone_leads_to_every_copy_that_holds_it(shared: World) -> None:
    held = {name: phones_of(shared, name) for name in ("E1", "E2", "E3")}
    common = sorted(held["E1"] & held["E2"] | held["E1"] & held["E3"] | held["E2"] & held["E3"])
    assert common
    for phone in common:
        hits = shared.run("watchlist", "hit", phone, "--json").json()["hits"]
        assert {hit["recipient"] for hit in hits} == {name for name, phones in held.items() if phone in phones}


def test_a_customers_phone_leads_to_nobody(shared: World) -> None:
    phone = str(pq.read_table(shared.table)["phone"][0].as_py())
    answer = shared.run("watchlist", "hit", phone, "--json")
    assert answer.json() == {"hits": []}
    assert phone not in answer.out + answer.err


def test_without_the_officers_key_there_is_no_list(issued: World, tmp_path: Path) -> None:
    (issued.folder / "keys" / "officer.key").unlink()
    answer = issued.run("watchlist", "-o", tmp_path / "list")
    assert answer.code == 1
    assert "officer.key is not at hand" in answer.err
    assert list(tmp_path.glob("*list*")) == []
    assert issued.run("watchlist", "hit", "1").code == 1
