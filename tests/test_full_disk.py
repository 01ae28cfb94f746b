"""A disk that fills up at any point of a commit: one sentence, nothing half entered; with room again all is well."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.audit import check
from pipeline.registry import create
from schemas.errors import RegistryError
from tests.conftest import mount_small
from tests.registry_support import CONTRACT, Place, enter, new_export, new_place, stage

STEP = 24  # KiB; with ever more of them left it fails at opening, at the job's folder, at either file, at the commit


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    mount_small(folder := tmp_path / "disk", "size=8m")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Leave so many KiB; the file that takes the rest."""
    free = os.statvfs(disk)
    (ballast := disk / "ballast").write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - 1_024 * left)))
    return ballast


def test_a_disk_that_fills_up_anywhere_is_told_and_enters_nothing(tmp_path: Path, disk: Path) -> None:
    keys = new_place(tmp_path).keys
    create(str(disk / "registry"))
    place = Place(str(disk / "registry"), keys)
    enter(place, "X-0", range(100))
    (parts := tmp_path / "parts").mkdir()
    stage(parts, range(3_000))
    said = []
    for left in range(0, 1_024, STEP):
        ballast, name = fill(disk, left), f"X-{left + 1}"
        try:
            with place.open() as registry, registry.job([name], ()):
                registry.prepare([new_export(place, name)], parts, CONTRACT)
                registry.issue([name])
            said.append("")
        except RegistryError as error:
            said.append(str(error))
        ballast.unlink()
        with place.open() as registry:
            registry.recover()
            entered = dict(zip(*(registry.exports()[n].to_pylist() for n in ("export_id", "state")), strict=True))
            assert entered == {"X-0": "issued"} | ({} if said[-1] else {name: "issued"})
            assert check(registry, place.store.issuer_public(), place.store.officer_private()) == []
        if not said[-1]:
            break
    *told, entered_at_last = said
    assert entered_at_last == ""
    assert len(told) >= 4
    assert all("free some space" in one for one in told), told
