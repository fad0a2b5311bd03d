"""Packing that was broken off goes on: a tar is written again only where its photos are others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from animal_classification.imaging import Limits
from animal_classification.scale.batch_photos import BatchPhotos
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.pack import EarlierPacks, Packer
from animal_classification.scale.plan import Plan, read_shard
from animal_classification.scale.plan_writer import publish, write_plan
from animal_classification.scale.retry import Retry
from animal_classification.scale.shard_reader import ShardReader, local_etag
from animal_classification.scale.storage import LocalFolder
from tests.support.predicting import wait_until
from tests.unit.scale.plans import empty_plan

RETRY = Retry()


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(str(tmp_path / "batch"))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Twenty-five small files."""
    made = [tmp_path / "photos" / f"{number:02d}.jpg" for number in range(25)]
    made[0].parent.mkdir()
    for number, path in enumerate(made):
        path.write_bytes(bytes([number]) * 100)
    return made


def listed(photos: list[Path], *, broken_off: bool = False) -> Iterator[PlannedPhoto]:
    for path in photos:
        status = path.stat()
        yield PlannedPhoto(path.name, str(path), status.st_size, local_etag(status))
    if broken_off:
        raise KeyboardInterrupt


def packed(folder: LocalFolder, photos: list[Path], *, broken_off: bool = False, processes: int = 1) -> Plan:
    packer = Packer(folder, RETRY, Limits(), EarlierPacks.of(folder))
    return write_plan(folder, empty_plan(10), listed(photos, broken_off=broken_off), packer, processes=processes)


def tars(folder: LocalFolder) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (folder.root / "pack").iterdir()}


def contents(folder: LocalFolder, plan: Plan) -> dict[str, object]:
    found: dict[str, object] = {}
    for number in range(plan.shards):
        shard = read_shard(folder, plan, number)
        with closing(ShardReader(shard, threads=1, retry=RETRY)) as reader:
            found |= {photo.name: reader.read(photo)[0] for photo in shard}
    return found


def test_what_is_packed_stays_and_what_has_changed_is_packed_again(folder: LocalFolder, photos: list[Path]) -> None:
    with pytest.raises(KeyboardInterrupt):
        packed(folder, photos, broken_off=True)
    first = tars(folder)
    assert sorted(first) == ["00000.tar", "00001.tar"]
    photos[12].write_bytes(b"another" * 20)
    os.utime(photos[12], ns=(1, 1))
    plan = packed(folder, photos)
    publish(folder, plan)
    second = tars(folder)
    assert {name for name in first if second[name] != first[name]} == {"00001.tar"}
    assert contents(folder, plan) == {path.name: path.read_bytes() for path in photos}


def test_shards_that_moved_are_packed_again(folder: LocalFolder, photos: list[Path]) -> None:
    with pytest.raises(KeyboardInterrupt):
        packed(folder, photos, broken_off=True)
    plan = packed(folder, photos[1:])
    assert contents(folder, plan) == {path.name: path.read_bytes() for path in photos[1:]}


def test_processes_pack_what_threads_do(folder: LocalFolder, photos: list[Path], tmp_path: Path) -> None:
    plan = packed(folder, photos, processes=2)
    assert contents(folder, plan) == {path.name: path.read_bytes() for path in photos}


PLANNER = """
import os, sys, threading
from pathlib import Path
from animal_classification.scale.plan_writer import write_plan
from animal_classification.scale.storage import LocalFolder
from tests.unit.scale.plans import empty_plan, names

def pack(number, photos):
    Path(sys.argv[1], str(os.getpid())).touch()
    threading.Event().wait()

if __name__ == "__main__":
    write_plan(LocalFolder(sys.argv[2]), empty_plan(1), names(2), pack, processes=2)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_processes_that_pack_end_with_a_plan_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "plan.py").write_text(PLANNER)
    (seen := tmp_path / "seen").mkdir()
    words = [sys.executable, str(tmp_path / "plan.py"), str(seen), str(tmp_path / "batch")]
    root = str(Path(__file__).parents[3])
    planner = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": root})
    with planner:
        wait_until(lambda: len(list(seen.iterdir())) == 2)
        planner.kill()
    numbers = [int(path.name) for path in seen.iterdir()]
    wait_until(lambda: not any(map(psutil.pid_exists, numbers)))


def test_a_page_takes_its_photos_from_tars_and_disks(folder: LocalFolder, photos: list[Path], tmp_path: Path) -> None:
    photos[3].unlink()
    photos[3].mkdir()  # cannot be packed, so that it stays by itself
    names = [photos[1].name, photos[24].name]
    plan = packed(folder, photos)
    photos[1].unlink()  # the tar has it
    place = tmp_path / "fetched"
    place.mkdir()
    found = BatchPhotos(folder, plan, place).find_all([*names, "never planned.jpg"])
    assert {name: path.read_bytes()[:1] for name, path in found.items()} == {names[0]: b"\x01", names[1]: b"\x18"}
