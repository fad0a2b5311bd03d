"""Photos that are kept: by hash and nothing else, within their bounds."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from animal_classification.prediction_log import photos
from animal_classification.prediction_log.photos import PhotoFolder, PhotoKeeper


def name(number: int) -> str:
    return f"{number:064x}"


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "ab/../cd", "A" * 64, "a" * 63, "/" * 64, f"{'a' * 64}\n"])
def test_what_is_no_hash_is_not_looked_for(tmp_path: Path, bad: str) -> None:
    folder = PhotoFolder(tmp_path)
    assert folder.path(bad) is None
    assert folder.read(bad) is None
    assert folder.having([bad]) == set()
    assert not folder.touch(bad)


def test_the_oldest_go_first_and_what_is_seen_again_is_young(tmp_path: Path) -> None:
    folder = PhotoFolder(tmp_path)
    for number in range(10):
        folder.put(name(number), bytes(100))
        path = folder.path(name(number))
        assert path is not None
        os.utime(path, (time.time() - 1000 + number, time.time() - 1000 + number))
    assert folder.touch(name(0))
    assert folder.sweep(most_bytes=450, days=0) == 6
    assert [number for number in range(10) if folder.having([name(number)])] == [0, 7, 8, 9]
    assert folder.sweep(most_bytes=450, days=900 / 86400) == 3
    assert folder.read(name(0)) == bytes(100)


def test_a_keeper_keeps_and_shrinks_and_survives_a_bad_photo(tmp_path: Path) -> None:
    def shrink(data: bytes) -> bytes | None:
        if data == b"bomb":
            raise MemoryError
        return None if data == b"text" else data[:2]

    folder = PhotoFolder(tmp_path)
    keeper = PhotoKeeper(folder, shrink, most_bytes=10**6, days=1)
    for number, data in enumerate([b"bomb", b"text", b"photo"]):
        assert keeper.keep(name(number), data)
    keeper.close(30)
    assert [folder.read(name(number)) for number in range(3)] == [None, None, b"ph"]


def test_photos_for_which_there_is_no_time_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "WAITING_BYTES", 25)
    keeper = PhotoKeeper(PhotoFolder(tmp_path), lambda data: data, most_bytes=10**6, days=1)
    assert not keeper.keep(name(1), bytes(26))
    assert keeper.keep(name(2), bytes(25))
    keeper.close(30)


def test_a_full_folder_makes_room_at_once(tmp_path: Path) -> None:
    folder = PhotoFolder(tmp_path)
    keeper = PhotoKeeper(folder, lambda data: data, most_bytes=1000, days=0)
    for number in range(100):
        keeper.keep(name(number), bytes(100))
    keeper.close(30)
    size = sum(path.stat().st_size for path in tmp_path.glob("??/*"))
    assert size <= 1100
