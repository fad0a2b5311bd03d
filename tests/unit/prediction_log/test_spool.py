"""Files that rows wait in: appended by many threads, bounded, taken over from the dead."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from animal_classification.errors import OutputError
from animal_classification.prediction_log import spool as spools
from animal_classification.prediction_log.spool import Spool, orphans, segments, waiting
from animal_classification.prediction_log.writer import batches
from tests.support.log_records import record

BOUND = 10**9


def lines(spool: Spool) -> list[bytes]:
    return [line for segment in segments(spool.root, spool.name) for line in segment.read_bytes().splitlines()]


def test_rows_wait_in_their_order_over_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 100)
    spool = Spool(tmp_path, BOUND)
    for number in range(50):
        assert spool.append(b"%03d %s\n" % (number, b"x" * 20))
    closed = spool.rotate()
    assert len(closed) > 5
    assert [int(line[:3]) for line in lines(spool)] == list(range(50))
    assert waiting(tmp_path).bytes == spool.waiting_bytes == 50 * 25
    for segment in closed:
        spool.remove(segment)
    assert spool.waiting_bytes == 0
    spool.close()
    assert list(tmp_path.iterdir()) == [], "a lock stays"


def test_no_row_of_many_threads_is_torn(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BOUND)

    def write(name: bytes) -> None:
        for _ in range(500):
            spool.append(name * 400 + b"\n")

    threads = [threading.Thread(target=write, args=(b"%d" % number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.rotate()
    found = lines(spool)
    assert len(found) == 2000
    assert {len(set(line)) for line in found} == {1}


def test_what_is_shipped_is_never_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that `rotate` gives out is read and deleted: whatever came into it afterwards would be lost."""
    spool = Spool(tmp_path, BOUND)
    spool.append(b"before\n")
    list_files, begun = segments, threading.Event()

    def write() -> None:
        begun.set()
        spool.append(b"meanwhile\n")

    writer = threading.Thread(target=write)

    def slowly(root: Path, name: str) -> list[Path]:
        writer.start()
        assert begun.wait(10)
        writer.join(0.2)  # it may come through here, or has to wait
        return list_files(root, name)

    monkeypatch.setattr(spools, "segments", slowly)
    shipped = []
    closed = spool.rotate()
    monkeypatch.undo()
    for segment in closed:
        shipped += segment.read_bytes().splitlines()
        writer.join(0.2)
        spool.remove(segment)
    writer.join(10)
    spool.append(b"after\n")
    assert (shipped, lines(spool)) == ([b"before"], [b"meanwhile", b"after"])


def test_what_is_beyond_the_bound_is_not_taken(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100)
    assert [spool.append(b"x" * 39 + b"\n") for _ in range(4)] == [True, True, False, False]
    (segment,) = spool.rotate()
    spool.remove(segment)
    assert spool.append(b"x" * 39 + b"\n")


def test_half_a_line_on_a_full_disk_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, BOUND)
    assert spool.append(b"whole\n")
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:3]))
    assert not spool.append(b"torn off\n")
    monkeypatch.undo()
    assert spool.append(b"whole too\n")
    spool.rotate()
    assert lines(spool) == [b"whole", b"whole too"]


def test_damaged_lines_are_counted_and_the_others_are_there(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BOUND)
    good = [record(), record()]
    for line in (good[0].to_line(), b"00000000 {}\n", good[1].to_line(), good[0].to_line()[:20]):
        spool.append(line)
    (segment,) = spool.rotate()
    assert list(batches(segment, 10)) == [(good, 2)]
    assert sum(damaged for _, damaged in batches(segment, 1)) == 2


def _die(folder: str) -> None:
    Spool(Path(folder), BOUND).append(b"last words\n")
    os._exit(9)


def test_the_living_take_over_from_the_dead_and_from_nobody_else(tmp_path: Path) -> None:
    mine, living = Spool(tmp_path, BOUND), Spool(tmp_path, BOUND)
    living.append(b"I live\n")
    dead = multiprocessing.get_context("spawn").Process(target=_die, args=(str(tmp_path),))
    dead.start()
    dead.join()
    found = []
    for files in orphans(tmp_path, mine.name):
        for segment in files:
            found += segment.read_bytes().splitlines()
            segment.unlink()
    assert found == [b"last words"]
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {mine.name, living.name}
    assert waiting(tmp_path).files == 1


def test_what_nobody_added_to_for_too_long_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 10)
    dead, living, mine = (Spool(tmp_path, BOUND) for _ in range(3))
    for spool in (dead, living, mine):
        for number in range(2):
            spool.append(b"%09d\n" % number)  # a file each, which is closed
    dead.close()
    mine.append(b"open\n")
    for path in tmp_path.glob("*1.rows"):
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    assert mine.forget_older(3) == 0
    assert mine.forget_older(1) == 2
    assert (lines(dead), lines(living)) == ([b"000000001"], [b"000000000", b"000000001"])
    assert lines(mine) == [b"000000001", b"open"]
    mine.look()
    assert mine.waiting_bytes == 15
    assert mine.all_bytes == waiting(tmp_path).bytes == 45


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="prediction log cannot be written here"):
        Spool(tmp_path / "file" / "log", BOUND)
