"""A lock that ends with its process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from animal_classification.common import file_lock
from animal_classification.common.file_lock import lock, locked

HOLDER = """
import sys
from pathlib import Path
from animal_classification.common.file_lock import locked

print(locked(Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["kill", "close"])
def test_a_lock_ends_with_its_process_however_it_ends(tmp_path: Path, end: str) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"who holds it")
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert locked(path) is None
        assert path.read_bytes() == b"who holds it"  # others can read it, on Windows too
        if end == "kill":
            process.kill()
        else:
            process.stdin.close()
        process.wait(timeout=60)
    descriptor = locked(path)
    assert descriptor is not None
    os.close(descriptor)


def test_one_at_a_time_in_one_process_too(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    descriptor = locked(path)
    assert descriptor is not None
    assert locked(path) is None
    assert locked(path, needed=False) is None
    os.close(descriptor)
    with path.open("r+b") as file:
        assert lock(file.fileno())
        assert locked(path) is None


@pytest.mark.skipif(os.name == "nt", reason="nobody can delete what is open")
def test_a_lock_on_a_file_that_lost_its_name_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, deleted = tmp_path / "lock", []

    def holder_was_just_done(descriptor: int, *, needed: bool) -> bool:
        if len(deleted) < 2:
            path.unlink()
            deleted.append(descriptor)
        return lock(descriptor, needed=needed)

    monkeypatch.setattr(file_lock, "lock", holder_was_just_done)
    descriptor = locked(path)
    assert descriptor is not None
    assert len(deleted) == 2
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    os.close(descriptor)


@pytest.mark.skipif(os.name == "nt", reason="the system call is POSIX's")
def test_a_disk_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(OSError, match="lock"):
        locked(tmp_path / "lock")
    assert len(list(Path("/dev/fd").iterdir())) == before
    descriptor = locked(tmp_path / "lock", needed=False)
    assert descriptor is not None
    os.close(descriptor)


def test_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        locked(tmp_path / "gone" / "lock")
