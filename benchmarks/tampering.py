"""Single alterations of a registry and of a case: how many are found with their place, and false alarms without any.

    python -m benchmarks.tampering [--alterations 360] [--untouched 300] [--folder FOLDER]

Each alteration is drawn with a fixed seed and made in a fresh copy. Whoever alters has write access to everything and
no private key, except for the `insider`, who holds the issuer's key, back-dates an export and signs the chain anew from
there; the first head that was noted outside since then finds that. Left out are columns that no signature covers.
Untouched are states of five registries that grow by tagging, tracing, acknowledging and compacting, and as many cases.
The folder keeps what was measured, so that an interrupted run goes on where it stopped. Bars: every alteration found by
a message that names its place; no alarm in an untouched state.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.alterations import altered
from benchmarks.attribution import State
from benchmarks.office import machine
from pipeline import pool, trace_log
from pipeline.audit import check
from pipeline.bundle import ENVELOPE, verify_bundle, write_bundle
from pipeline.custody import chain_digests
from pipeline.ledger import Log
from pipeline.places import place_of
from pipeline.storage import attached
from pipeline.witness import Head, head_of
from tests.registry_support import Place, enter, new_place

_EXAMINER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@dataclass(frozen=True)
class Made:
    """A registry, a case, and the heads of the chain that a witness noted, one after each entry."""

    place: Place
    case: Path
    heads: tuple[Head, ...]


def build(folder: Path) -> Made:
    """Five exports, a pool of coded canaries, an acknowledgement's note, three traces; and a case."""
    place = new_place(folder)
    for number in range(5):
        enter(place, f"X-{number}", range(20 * number, 20 * number + 40), f"E{number}", idempotency_key=f"K{number}")
    with place.open() as registry:
        person = [{"values": {"phone": ["0"]}, "bounds": {}}]
        registry.add_to_pool(pool._batch(place.store, person, dataset="bank", first=0, people=1, shape="shape"))
        registry.note("acknowledge", "X-1", {"export": "X-1", "by": "recipient", "name": "E1"})
        for number in range(3):
            _trace(registry, f"C-{number}", f"{number // 2}" * 64)
        with registry.snapshot() as con:
            digests = chain_digests(con)
    heads = [head_of({n: digests[n] for n in range(1, last + 1)}) for last in digests]
    return Made(place, make_case(folder / "case", np.random.default_rng(1)), tuple(heads))


def _trace(registry: Any, case_id: str, sample: str) -> None:
    at, log = datetime.now(UTC), Log("anna", trace_log.signer(_EXAMINER))
    registry.begin_attempt(sample, case_id, at, log)
    registry.spend(case_id, 1e-8, at.year, 1e-4, log)


def make_case(case: Path, rng: np.random.Generator) -> Path:
    """A signed case with files of random bytes."""
    (case / "sample").mkdir(parents=True)
    verdict = {
        "schema": "leaktrace.verdict/1", "case_id": "C-1", "created_at": "2026-11-23T10:00:00+00:00", "version": "0",
        "attempt": 1, "authenticity": {"verdict": "ours"}, "attribution": {"verdict": "lead", "candidates": []},
    }  # fmt: skip
    (case / "verdict.json").write_text(json.dumps(verdict))
    for name in ("report.html", "rows.parquet", "sample/post.txt", "sample/more.csv"):
        (case / name).write_bytes(rng.bytes(int(rng.integers(1, 800))))
    write_bundle(case, _EXAMINER, {"number": 5, "digest": "ab" * 32})
    return case


# -- the registry ----------------------------------------------------------------------------------------------------


def registry_alterations(made: Made, numbers: Iterable[int], seed: int) -> list[tuple[str, str, bool]]:
    """Kind and place of each alteration, and whether the check names it; every one is made in a fresh copy."""
    out = []
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "registry"
            shutil.copytree(made.place.registry, copy)
            with attached(place_of(str(copy))) as con:
                kind, said, names = altered(con, copy, made.place, np.random.default_rng([seed, number]))
            problems = audit(Place(str(copy), made.place.keys), *made.heads)
        out.append((kind, said, any(map(names, problems))))
    return out


def audit(place: Place, *heads: Head) -> list[str]:
    """What registry check says, with every key of the officer's machine."""
    keys = place.store
    with place.open() as registry:
        return check(
            registry, keys.issuer_public(), keys.officers(), heads=heads, examiners=(_EXAMINER.public_key(),),
            pool_key=keys.pool_key(),
        )  # fmt: skip


# -- the case --------------------------------------------------------------------------------------------------------


def case_alterations(case: Path, numbers: Iterable[int], seed: int) -> list[tuple[str, str, bool]]:
    """One file of the case altered, removed, added, replaced or exchanged, or all signed anew by a stranger."""
    out, acts = [], ("bit", "bit", "bit", "removed", "added", "link", "exchanged", "another key")
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "case"
            shutil.copytree(case, copy)
            act = str(rng.choice(acts))
            name, said = _case_altered(copy, act, rng)
            problems = verify_bundle(copy, _EXAMINER.public_key())
        out.append((f"case: {act}", said, any(name in problem for problem in problems)))
    return out


def _case_altered(case: Path, act: str, rng: np.random.Generator) -> tuple[str, str]:
    files = sorted(path for path in case.rglob("*") if path.is_file())
    path = files[int(rng.integers(len(files)))]
    name = path.relative_to(case).as_posix()
    if act == "another key":
        (case / ENVELOPE).unlink()
        write_bundle(case, Ed25519PrivateKey.generate(), {"number": 5, "digest": "ab" * 32})
        return ENVELOPE, act
    if act == "added":
        added = f"sample/{rng.bytes(4).hex()}.txt"
        (case / added).write_bytes(b"x")
        return added, f"{added}: added"
    body = bytearray(path.read_bytes())
    if act == "bit":
        at, bit = int(rng.integers(len(body))), int(rng.integers(8))
        body[at] ^= 1 << bit
        path.write_bytes(bytes(body))
        return name, f"{name}, byte {at}, bit {bit}"
    path.unlink()
    if act == "link":
        (case.parent / "elsewhere").write_bytes(bytes(body))
        path.symlink_to(case.parent / "elsewhere")
    elif act == "exchanged":
        other = next(one for one in files if one != path)
        path.write_bytes(other.read_bytes())
        other.write_bytes(bytes(body))
        name = ENVELOPE if other.name == ENVELOPE else name  # what is said of an envelope that is none
    return name, f"{name}: {act}"


# -- untouched -------------------------------------------------------------------------------------------------------


def false_alarms(count: int, seed: int) -> list[str]:
    """What the checks say of untouched states of one registry, and of as many cases: nothing, if all is well."""
    alarms: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        place = new_place(Path(folder))
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            _grow(place, number, rng)
            alarms += audit(place)
            case = make_case(Path(folder) / f"case-{number}", rng)
            alarms += verify_bundle(case, _EXAMINER.public_key())
    return alarms


def _grow(place: Place, number: int, rng: np.random.Generator) -> None:
    """One thing that an office does on a day."""
    if number % 3 == 0:
        first = int(rng.integers(200))
        enter(place, f"X-{number}", range(first, first + int(rng.integers(5, 60))), f"E{number % 7}")
        return
    with place.open() as registry:
        if number % 30 == 29:
            registry.compact(0, lambda size: None)
        elif number % 3 == 1:
            _trace(registry, f"C-{number}", f"{number % 5}" * 64)
        else:
            registry.note("acknowledge", f"X-{number - 2}", {"export": f"X-{number - 2}", "by": "log", "name": "mail"})


# -- what comes out --------------------------------------------------------------------------------------------------


def measured(alterations: int, untouched: int, state: State) -> dict[str, Any]:
    """What was tried by kind, what was not found with its place, and false alarms; a few dozen at a time."""
    tried: list[tuple[str, str, bool]] = []
    alarms: list[str] = []
    of_cases = alterations // 3
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder))
        for at in range(0, alterations - of_cases, 30):
            numbers = range(at, min(at + 30, alterations - of_cases))
            part = state.measured(f"registry {numbers}", partial(registry_alterations, made, numbers, 6))
            tried += [tuple(one) for one in part]
        part = state.measured(f"cases {of_cases}", partial(case_alterations, made.case, range(of_cases), 6))
        tried += [tuple(one) for one in part]
    for at in range(0, untouched, 60):
        count = min(60, untouched - at)
        alarms += state.measured(f"untouched {at} {count}", partial(false_alarms, count, 7 + at))
    return {
        "alterations": len(tried),
        "kinds": dict(sorted(Counter(kind for kind, _, _ in tried).items())),
        "missed": [said for _, said, found in tried if not found],
        "untouched": untouched,
        "false_alarms": alarms,
    }


def main() -> None:
    """Print what was measured; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Alterations that are found.")
    parser.add_argument("--alterations", type=int, default=360)
    parser.add_argument("--untouched", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="keeps what was measured, and the figures as results.md")
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    state = State(options.folder / "state.json" if options.folder else None)
    found = measured(options.alterations, options.untouched, state)
    text = _written(found)
    print(text)
    if options.folder:
        (options.folder / "results.md").write_text(text, "utf-8")
    sys.exit(bool(found["missed"] or found["false_alarms"]))


def _written(found: dict[str, Any]) -> str:
    lines = [
        "# Tampering: single alterations of a registry and of a case",
        "",
        f"`python -m benchmarks.tampering`; {machine()}",
        "",
        f"- {found['alterations']} alterations of {len(found['kinds'])} kinds, each in a fresh copy: "
        f"{len(found['missed'])} not found by a message that names the place (bar: none of at least 300).",
        f"- {found['untouched']} untouched states of growing registries and as many cases: "
        f"{len(found['false_alarms'])} false alarms (bar: none in 300).",
        *(f"- missed: {said}" for said in found["missed"]),
        *(f"- false alarm: {said}" for said in found["false_alarms"]),
        "",
        "| kind | tried |",
        "|---|---|",
        *(f"| {kind} | {number} |" for kind, number in found["kinds"].items()),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
