"""Files and folders that are the old one or the new one, never half of either."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animal_classification.common import atomic

BYTES = st.binary(max_size=40)
STEPS = ("open", "half", "chmod", "sync", "rename")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refuse(number: int) -> Any:
    def system_call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return system_call


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))


@given(
    old=st.none() | BYTES,
    new=BYTES,
    failing=st.sampled_from((*STEPS, "nothing")),
    existing=st.sampled_from(("replace", "keep", "refuse")),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_old_or_new_never_half_and_nothing_is_left(
    tmp_path: Path, old: bytes | None, new: bytes, failing: str, existing: atomic.Existing
) -> None:
    target = tmp_path / "x.json"
    target.unlink(missing_ok=True)
    if old is not None:
        target.write_bytes(old)
    with pytest.MonkeyPatch.context() as patch:
        if failing == "sync":
            patch.setattr(atomic, "sync", refuse(errno.EIO))
        if failing == "chmod":
            patch.setattr(os, "chmod", refuse(errno.EPERM))
        if failing == "rename":
            patch.setattr(os, "replace", refuse(errno.EACCES))
            patch.setattr(os, "link", refuse(errno.EIO))
        try:
            with atomic.new_file(target, existing=existing) as temporary:
                if failing == "open":
                    raise KeyboardInterrupt
                with temporary.open("wb") as file:
                    file.write(new[: len(new) // 2])
                    if failing == "half":
                        raise OSError(errno.ENOSPC, "disk full")
                    file.write(new[len(new) // 2 :])
            done = True
        except (OSError, KeyboardInterrupt):
            done = False
    assert names(tmp_path) == ([] if old is None and not done else ["x.json"])
    if old is not None and (not done or existing != "replace"):
        assert target.read_bytes() == old
    elif done:
        assert target.read_bytes() == new
    assert done == (failing in ("nothing", "chmod") and not (existing == "refuse" and old is not None))


WRITER = """
import sys
from pathlib import Path
from animal_classification.common.atomic import new_file

for number in range(10**9):
    with new_file(Path(sys.argv[1])) as temporary, temporary.open("wb") as file:
        for _ in range(64):
            file.write(b"%010d" % number * 400)
            file.flush()
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_kill_minus_nine_leaves_a_whole_file_and_readers_never_see_half(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    deadline = time.monotonic() + 60
    with subprocess.Popen([sys.executable, "-c", WRITER, str(target)]) as process:
        seen: set[bytes] = set()
        while len(seen) < 5 and time.monotonic() < deadline:
            if target.exists():
                data = target.read_bytes()
                assert data == data[:10] * 400 * 64
                seen.add(data[:10])
        while not list(tmp_path.glob("*.tmp")) and time.monotonic() < deadline:
            pass
        process.send_signal(signal.SIGKILL)
    assert len(seen) == 5
    data = target.read_bytes()
    assert data == data[:10] * 400 * 64
    (tmp_path / ".x.bin.backup").touch()
    atomic.remove_leftovers(target)
    assert names(tmp_path) == [".x.bin.backup", "x.bin"]


def test_the_content_is_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    real = os.replace

    def replaced(source: Path, target: Path) -> None:
        calls.append(("rename", Path(target).name))
        real(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(atomic, "sync", lambda path: calls.append(("sync", path.suffix or path.name)))
    atomic.write_bytes(b"new", tmp_path / "x.json")
    assert calls == [("sync", ".tmp"), ("rename", "x.json"), ("sync", tmp_path.name)]
    calls.clear()
    atomic.write_bytes(b"new", tmp_path / "x.json", durable=False)
    assert calls == [("rename", "x.json")]


@pytest.mark.skipif(os.name == "nt", reason="permissions and links of POSIX")
def test_permissions_and_links_stay(tmp_path: Path) -> None:
    secret = tmp_path / "real" / "secret.json"
    atomic.write_bytes(b"old", secret)
    secret.chmod(0o600)
    link = tmp_path / "link.json"
    link.symlink_to(secret)
    atomic.write_bytes(b"new", link)
    assert link.is_symlink()
    assert secret.read_bytes() == b"new"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert names(secret.parent) == ["secret.json"]


def test_folders_above_are_made_unless_they_must_be_there(tmp_path: Path) -> None:
    atomic.write_bytes(b"x", tmp_path / "a" / "b" / "x")
    with pytest.raises(FileNotFoundError), atomic.new_file(tmp_path / "c" / "x", parents=False) as temporary:
        temporary.write_bytes(b"x")
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="255 bytes is what Linux takes")
@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "[a]*?"])
def test_a_name_may_be_as_long_as_the_file_system_takes_and_hold_any_letter(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    atomic.write_bytes(b"x", target)
    with atomic.new_file(target) as temporary:
        temporary.write_bytes(b"whole")
        os.link(temporary, temporary.with_name(temporary.name.replace(".tmp", "x.tmp")))  # as kill -9 leaves it
    assert len(names(tmp_path)) == 2
    atomic.remove_leftovers(target)
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("links", [True, False])
def test_the_first_one_wins(tmp_path: Path, request: pytest.FixtureRequest, *, links: bool) -> None:
    if not links:
        request.getfixturevalue("no_links")
    target = tmp_path / "blob"
    atomic.write_bytes(b"first", target, existing="refuse")
    with pytest.raises(FileExistsError):
        atomic.write_bytes(b"second", target, existing="refuse")
    atomic.write_bytes(b"second", target, existing="keep")
    assert target.read_bytes() == b"first"
    assert names(tmp_path) == ["blob"]


def test_a_second_name_or_a_copy(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "a").write_bytes(b"a")
    atomic.link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").samefile(tmp_path / "b")
    request.getfixturevalue("no_links")
    atomic.link_or_copy(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"a"
    assert not (tmp_path / "a").samefile(tmp_path / "c")


@pytest.mark.parametrize(("readers", "replaced"), [(2, True), (4, False)])
def test_windows_waits_for_whoever_reads_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: int, *, replaced: bool
) -> None:
    """There a file that is open cannot be replaced; here the system call is made to answer so."""
    target = tmp_path / "x"
    target.write_bytes(b"old")
    real, calls = os.replace, iter(range(100))

    def replace(source: Path, to: Path) -> None:
        if next(calls) < readers:
            raise PermissionError(errno.EACCES, "in use")
        real(source, to)

    monkeypatch.setattr(atomic, "_RETRY_AFTER_SECONDS", (0, 0, 0))
    monkeypatch.setattr(os, "replace", replace)
    try:
        atomic.write_bytes(b"new", target)
    except PermissionError:
        assert not replaced
    assert target.read_bytes() == (b"new" if replaced else b"old")
    assert names(tmp_path) == ["x"]


def test_a_folder_that_cannot_be_synced_is_none_of_our_business_but_a_broken_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refuse(errno.EINVAL))
    atomic.sync(tmp_path)
    (tmp_path / "x").touch()
    with pytest.raises(OSError, match="Invalid"):
        atomic.sync(tmp_path / "x")
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="error"):
        atomic.sync(tmp_path)


def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    return tmp_path / "new", tmp_path / "old"


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_anothers_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    new, old = folders(tmp_path)
    atomic.put_folder(new, old, existing="replace")
    assert names(tmp_path) == ["old"]
    assert names(old) == ["new"]


def test_without_an_exchange_the_old_one_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    (tmp_path / "old").mkdir()
    with pytest.raises(FileNotFoundError):
        atomic.put_folder(tmp_path / "never-made", tmp_path / "old", existing="replace")
    assert names(tmp_path) == ["old"]


def test_a_folder_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    new, old = folders(tmp_path)
    with pytest.raises(OSError, match="not empty"):
        atomic.put_folder(new, old, existing="refuse")
    atomic.put_folder(new, old, existing="keep")
    assert names(old) == ["old"]


@pytest.mark.parametrize("existing", ["replace", "keep", "refuse"])
def test_a_new_folder_is_whole_or_nowhere(tmp_path: Path, existing: atomic.Existing) -> None:
    target = tmp_path / "above" / "zoo"
    with suppress(KeyboardInterrupt), atomic.new_folder(target, existing=existing) as temporary:
        (temporary / "half").touch()
        raise KeyboardInterrupt
    assert names(tmp_path / "above") == []
    target.mkdir()  # an empty one is in nobody's way
    with atomic.new_folder(target, existing=existing) as temporary:
        (temporary / "whole").touch()
    assert names(tmp_path / "above") == ["zoo"]
    assert names(target) == ["whole"]


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux's")
def test_linux_exchanges_in_one_step(tmp_path: Path) -> None:
    new, old = folders(tmp_path)
    assert atomic._exchange(new, old)
    assert names(old) == ["new"]
    assert not atomic._exchange(new, tmp_path / "never-made")
