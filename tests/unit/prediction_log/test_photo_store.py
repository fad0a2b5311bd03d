"""Photos that are kept: by hash and nothing else, within their bounds."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from animal_classification.errors import UsageError
from animal_classification.prediction_log import photo_keeper
from animal_classification.prediction_log.database_errors import LogDatabaseError
from animal_classification.prediction_log.photo_keeper import PhotoKeeper
from animal_classification.prediction_log.photo_store import (
    PhotoBucket,
    PhotoFolder,
    PhotoStore,
    PhotoStoreError,
    changed,
    photos_at,
)
from tests.unit.prediction_log.test_writer import wait_until

DAY = 86400.0


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
    assert folder.sweep(most_bytes=450, days=0).deleted == 6
    assert [number for number in range(10) if folder.having([name(number)])] == [0, 7, 8, 9]
    assert folder.sweep(most_bytes=450, days=900 / 86400).deleted == 3
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
    monkeypatch.setattr(photo_keeper, "WAITING_BYTES", 25)
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


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PhotoStore]:
    if request.param == "folder":
        yield PhotoFolder(tmp_path)
    else:
        store = photos_at("memory://zoo/photos")
        assert isinstance(store, PhotoBucket)
        yield store
        store.filesystem.rm("/", recursive=True)


def aged(store: PhotoStore, number: int, ago: float) -> None:
    """As if the photo had been seen so many seconds ago."""
    if isinstance(store, PhotoBucket):
        seen(store, name(number), ago)
    else:
        assert isinstance(store, PhotoFolder)
        path = store.path(name(number))
        assert path is not None
        os.utime(path, (time.time() - ago,) * 2)


def test_photos_that_somebody_wants_stay_whatever_their_age(store: PhotoStore) -> None:
    for number in range(10):
        store.put(name(number), bytes(100))
        aged(store, number, 10 * DAY - number)
    asked: list[set[str]] = []

    def wanted(photos: Collection[str]) -> Collection[str]:
        asked.append(set(photos))
        return {name(0), name(5)}

    assert store.sweep(most_bytes=1000, days=20, wanted=wanted) == (0, 1000)
    assert asked == [], "nobody is asked where nothing has to go"
    assert store.sweep(most_bytes=450, days=0, wanted=wanted) == (6, 400)
    assert store.having(map(name, range(10))) == {name(number) for number in (0, 5, 8, 9)}
    assert store.sweep(most_bytes=10**6, days=5, wanted=wanted) == (2, 200)
    assert store.sweep(most_bytes=0, days=5, wanted=wanted) == (0, 200)
    assert store.having(map(name, range(10))) == {name(0), name(5)}
    assert store.sweep(most_bytes=10**6, days=5, wanted=lambda _: ()) == (2, 0)


def test_a_photo_is_deleted_once(store: PhotoStore) -> None:
    store.put(name(1), b"lion")
    store.put(name(2), b"lion")
    assert store.delete(name(1))
    assert not store.delete(name(1))
    assert not store.delete("../../etc/passwd")
    assert store.having([name(1), name(2)]) == {name(2)}


def test_where_wanted_photos_fill_all_room_new_ones_are_not_kept(
    store: PhotoStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        store.put(name(number), bytes(100))
    wanted = {name(number) for number in range(3)}
    keeper = PhotoKeeper(store, lambda data: data, most_bytes=250, days=0, wanted=lambda _: wanted)
    wait_until(lambda: "new photos are not kept" in caplog.text)
    keeper.keep(name(4), bytes(100))
    keeper.close(30)
    assert store.having(map(name, range(9))) == wanted
    assert caplog.text.count("300 bytes, more than photo_bytes (250)") == 1
    keeper = PhotoKeeper(store, lambda data: data, most_bytes=450, days=0, wanted=lambda _: wanted)
    keeper.keep(name(4), bytes(100))
    keeper.close(30)
    assert store.having(map(name, range(9))) == {*wanted, name(4)}, "there is room again"


def test_where_nobody_can_say_what_is_wanted_nothing_goes(store: PhotoStore, caplog: pytest.LogCaptureFixture) -> None:
    def gone(_: Collection[str]) -> Collection[str]:
        raise LogDatabaseError("the database is gone")

    for number in range(3):
        store.put(name(number), bytes(100))
        aged(store, number, 10 * DAY)
    keeper = PhotoKeeper(store, lambda data: data, most_bytes=250, days=1, wanted=gone)
    wait_until(lambda: "old photos could not be deleted: the database is gone" in caplog.text)
    keeper.keep(name(4), bytes(100))
    keeper.close(30)
    assert store.having(map(name, range(9))) == {name(0), name(1), name(2)}


@pytest.fixture
def bucket() -> Iterator[PhotoBucket]:
    store = photos_at("memory://zoo/photos")
    assert isinstance(store, PhotoBucket)
    yield store
    store.filesystem.rm("/", recursive=True)


def seen(store: PhotoBucket, photo: str, ago: float) -> None:
    """As if it had been written so many seconds ago."""
    path = f"{store.root}/{photo[:2]}/{photo}"
    store.filesystem.store[path].created = datetime.now(UTC) - timedelta(seconds=ago)


def test_photos_in_a_bucket_are_those_of_every_replica(bucket: PhotoBucket) -> None:
    other = photos_at("memory://zoo/photos/")
    assert (bucket.read(name(1)), bucket.having([name(1)]), bucket.touch(name(1))) == (None, set(), False)
    keeper = PhotoKeeper(bucket, lambda data: data[:4], most_bytes=10**6, days=1)
    assert keeper.keep(name(1), b"lioness")
    keeper.close(30)
    assert other.read(name(1)) == b"lion"
    assert other.having([name(1), name(2), "../zoo"]) == {name(1)}
    assert other.touch(name(1))
    seen(bucket, name(1), 2 * 86400)
    assert not other.touch(name(1)), "it is written again, so that it is young again"


def test_a_bucket_keeps_its_bounds_and_whatever_else_is_in_it(bucket: PhotoBucket) -> None:
    for number in range(10):
        bucket.put(name(number), bytes(100))
        seen(bucket, name(number), 1000 - number)
    others = ["zoo/photos/readme.txt", "zoo/other/" + name(3), "zoo/photos/" + name(4), "zoo/photos/zz/" + name(5)]
    for path in others:
        bucket.filesystem.pipe_file(path, bytes(1000))
    assert bucket.sweep(most_bytes=450, days=0).deleted == 6
    assert bucket.having(map(name, range(10))) == {name(number) for number in range(6, 10)}
    seen(bucket, name(7), 86400)
    assert bucket.sweep(most_bytes=450, days=0.5).deleted == 1
    assert all(bucket.filesystem.exists(path) for path in others)
    assert PhotoBucket("memory://new", bucket.filesystem, "/new").sweep(most_bytes=0, days=1).deleted == 0


def test_a_bucket_that_cannot_be_reached_is_told_of(bucket: PhotoBucket, caplog: pytest.LogCaptureFixture) -> None:
    class Gone:
        def __getattr__(self, _: str) -> object:
            raise RuntimeError("401: who are you?\nAsk somebody.")

    gone = PhotoBucket("gs://zoo/photos", Gone(), "zoo/photos")
    with pytest.raises(PhotoStoreError, match=r"gs://zoo/photos: cannot be reached \(RuntimeError: 401") as caught:
        gone.read(name(1))
    assert "gs://" not in caught.value.reason, "the address is nobody's business"
    assert gone.having([name(1)]) == set()
    keeper = PhotoKeeper(gone, lambda data: data, most_bytes=10, days=1)
    keeper.keep(name(1), b"lion")
    keeper.close(30)
    assert "a photo could not be kept: 401: who are you?" in caplog.text
    assert "old photos could not be deleted: 401" in caplog.text


@pytest.mark.parametrize("url", ["lions://zoo", "memory+lions://x"])
def test_what_is_no_place_is_told_of(url: str) -> None:
    with pytest.raises(UsageError, match="photos_url"):
        photos_at(url)


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    assert photos_at(tmp_path.as_uri()) == PhotoFolder(tmp_path) == photos_at(str(tmp_path))


@pytest.mark.parametrize(
    "info",
    [
        {"mtime": 1700000000.0},
        {"updated": "2023-11-14T22:13:20Z"},
        {"LastModified": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)},
        {"created": datetime(2023, 11, 14, 22, 13, 20)},
        {"mtime": "never", "updated": "2023-11-14T22:13:20+00:00"},
    ],
)
def test_when_an_object_was_changed(info: dict[str, object]) -> None:
    assert changed(info) == 1700000000
    assert changed({}) == pytest.approx(time.time(), abs=60)


def test_old_photos_go_soon_after_a_start(tmp_path: Path) -> None:
    folder = PhotoFolder(tmp_path)
    for number in range(2):
        folder.put(name(number), b"lion")
    path = folder.path(name(0))
    assert path is not None
    os.utime(path, (1, 1))
    torn = path.with_name(f".{name(3)}.77.88")  # of a process that was killed
    torn.write_bytes(b"li")
    os.utime(torn, (1, 1))
    foreign = path.with_name("holiday.jpg")
    foreign.write_bytes(b"mine")
    os.utime(foreign, (1, 1))
    keeper = PhotoKeeper(folder, lambda _: None, most_bytes=10**6, days=1)
    deadline = time.monotonic() + 30
    while folder.having([name(0)]) or torn.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    keeper.close(30)
    assert folder.having([name(1)])
    assert foreign.exists(), "what is no photo of ours is not ours to delete"
