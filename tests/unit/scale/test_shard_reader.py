"""Photos are read ahead within bounds, in any order of asking, and neighbours in a tar at once."""

from __future__ import annotations

import os
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from animal_classification.errors import AnimalsError, ImageError
from animal_classification.imaging import Limits
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.pack import Packer
from animal_classification.scale.retry import Retry
from animal_classification.scale.shard_reader import (
    AHEAD_BYTES,
    BLOCK_BYTES,
    ShardReader,
    blocks,
    check_local,
    local_etag,
)
from animal_classification.scale.storage import LocalFolder

RETRY = Retry(sleep=lambda _: None)


def planned(folder: Path, number: int, size: int = 100) -> list[PlannedPhoto]:
    found = []
    for index in range(number):
        path = folder / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([index % 256]) * size)
        found.append(PlannedPhoto(path.name, str(path), size, local_etag(path.stat())))
    return found


def test_a_tar_gives_back_what_was_packed_in_any_order(tmp_path: Path) -> None:
    photos = planned(tmp_path / "photos", 50)
    folder = LocalFolder(str(tmp_path / "batch"))
    Path(photos[7].path).unlink()
    packed = Packer(folder, RETRY, Limits())(0, photos)
    assert [photo.offset is None for photo in packed] == [index == 7 for index in range(50)]
    tar = folder.place("pack/00000.tar")
    there = [PlannedPhoto(p.name, tar, p.size, p.etag, p.offset) for p in packed if p.offset is not None]
    with closing(ShardReader(there, threads=1, retry=RETRY)) as reader, ThreadPoolExecutor(4) as pool:
        data = list(pool.map(lambda photo: reader.read(photo)[0], reversed(there)))
    assert data == [Path(tmp_path / "photos" / photo.name).read_bytes() for photo in reversed(there)]
    with tarfile.open(tar) as again:  # any other program reads it as well
        assert len(again.getmembers()) == 49
        assert again.extractfile(again.getmembers()[0]).read() == b"\0" * 100


def test_neighbours_are_one_read_and_strangers_are_not() -> None:
    inside = [PlannedPhoto(str(i), "a.tar", BLOCK_BYTES // 3, "", i * BLOCK_BYTES) for i in range(4)]
    alone = [PlannedPhoto("x", "gs://b/x", 5, "1"), PlannedPhoto("y", "gs://b/y", 5, "1")]
    found = [[photo.name for photo in block.photos] for block in blocks([*inside, *alone], 1 << 30)]
    assert found == [["0", "1", "2"], ["3"], ["x"], ["y"]]


class Memory:
    """A bucket in memory that says how much of it is being held."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[str] = []
        self.lock = threading.Lock()

    def read_object(self, photo: PlannedPhoto) -> bytes:
        with self.lock:
            self.asked.append(photo.name)
        return bytes(self.size)


def test_no_more_is_read_ahead_than_the_bounds_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [PlannedPhoto(str(i), f"gs://b/{i}", AHEAD_BYTES // 4, "1") for i in range(20)]
    store = Memory(1)
    with closing(ShardReader(photos, threads=1, retry=RETRY, limits=Limits(max_bytes=AHEAD_BYTES))) as reader:
        monkeypatch.setattr(reader, "_stores", store)
        for done, photo in enumerate(photos, start=1):
            reader.read(photo)
            assert len(store.asked) <= done + 4
    assert sorted(store.asked, key=int) == [photo.name for photo in photos]


def test_a_store_that_never_answers_fails_the_shard_and_not_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def read_object(self, _: PlannedPhoto) -> bytes:
            raise ConnectionError("reset")

    photo = PlannedPhoto("a", "gs://b/a", 1, "1")
    with closing(ShardReader([photo], threads=1, retry=RETRY)) as reader:
        monkeypatch.setattr(reader, "_stores", Silent())
        with pytest.raises(AnimalsError, match="no answer in 6 tries") as caught:
            reader.read(photo)
        assert not isinstance(caught.value, ImageError)


def test_an_object_beyond_the_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = PlannedPhoto("a", "gs://b/a", 1000, "1")
    with closing(ShardReader([photo], threads=1, retry=RETRY, limits=Limits(max_bytes=10))) as reader:
        monkeypatch.setattr(reader, "_stores", None)
        found, _ = reader.read(photo)
    assert isinstance(found, ImageError)
    assert found.reason == "has 1,000 bytes; the limit is 10"


def test_what_changed_on_a_disk(tmp_path: Path) -> None:
    photo = planned(tmp_path, 1)[0]
    assert check_local(photo) is None
    os.utime(photo.path, ns=(1, 1))
    assert check_local(photo).reason == "changed since the plan"
    Path(photo.path).unlink()
    assert check_local(photo).reason == "it is not there any more"
