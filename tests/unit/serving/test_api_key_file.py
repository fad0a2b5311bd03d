"""The file of keys stays whose it was, and is changed by one process at a time."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from animal_classification.cli import keys as cli
from animal_classification.errors import OutputError, UsageError
from animal_classification.serving.middleware import api_key_file, api_keys
from animal_classification.serving.middleware.api_key_file import only_one, replace_whole
from animal_classification.serving.middleware.api_keys import Key, change_keys, new_key, read_keys, write_keys

posix = pytest.mark.skipif(sys.platform == "win32", reason="owners, modes and links of POSIX")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    write_keys(path, [new_key("a", ("predict",))[1]])
    return path


def create(path: Path, name: str = "b") -> Result:
    return CliRunner().invoke(cli.command, ["create", name, "--file", str(path)])


def revoke(path: Path, identity: str) -> Result:
    return CliRunner().invoke(cli.command, ["revoke", identity, "--file", str(path)])


def left_over(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir() if not entry.name.endswith(".lock"))


@posix
def test_the_mode_stays(path: Path) -> None:
    for mode in (0o640, 0o604, 0o600):
        path.chmod(mode)
        assert create(path, f"{mode:o}").exit_code == 0
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert len(read_keys(path)) == 4
    assert left_over(path) == ["keys.json"]


@posix
@as_root
def test_owner_and_group_stay_when_root_changes_it(path: Path) -> None:
    os.chown(path, 65534, 12345)
    path.chmod(0o440)
    (key,) = read_keys(path)
    assert revoke(path, key.id).exit_code == 0
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (65534, 12345, 0o440)
    assert read_keys(path) == []
    lock = (path.parent / ".keys.json.lock").stat()
    assert (lock.st_uid, stat.S_IMODE(lock.st_mode)) == (65534, 0o600), "the owner can change it later"


@posix
@as_root
def test_the_lock_of_a_first_key_is_its_folders(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    assert create(tmp_path / "keys.json").exit_code == 0
    assert (tmp_path / ".keys.json.lock").stat().st_uid == 65534


@posix
def test_who_cannot_keep_the_owner_leaves_the_file_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, mode: int) -> None:
        raise PermissionError(mode, "Operation not permitted")

    before = path.read_bytes()
    (key,) = read_keys(path)
    with only_one(path):
        pass
    monkeypatch.setattr(api_key_file, "_take_after", refuse)
    message = str(revoke(path, key.id).exception)
    assert "as its owner" in message
    assert path.read_bytes() == before
    assert left_over(path) == ["keys.json"]


@posix
def test_a_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "keys.json"
    link.symlink_to("../keys.json")
    assert create(link).exit_code == 0
    assert link.is_symlink()
    assert len(read_keys(path)) == len(read_keys(link)) == 2
    dangling = tmp_path / "elsewhere" / "later.json"
    dangling.symlink_to("../later.json")
    assert create(dangling).exit_code == 0
    assert dangling.is_symlink()
    assert len(read_keys(tmp_path / "later.json")) == 1


@posix
def test_a_hard_link_would_keep_the_revoked_key(path: Path, tmp_path: Path) -> None:
    os.link(path, tmp_path / "second.json")
    (key,) = read_keys(path)
    assert "hard links" in str(revoke(path, key.id).exception)
    assert read_keys(path) == [key]
    assert left_over(path) == ["keys.json", "second.json"]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes of Linux")
def test_access_lists_and_other_attributes_stay(path: Path) -> None:
    try:
        os.setxattr(path, "user.zoo", b"1")
    except OSError:
        pytest.skip("this disk has no extended attributes")
    assert create(path).exit_code == 0
    assert os.getxattr(path, "user.zoo") == b"1"


def test_an_access_list_that_cannot_stay_stops_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "listxattr"):
        pytest.skip("extended attributes of Linux")

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    before = path.read_bytes()
    monkeypatch.setattr(os, "getxattr", lambda *_: b"")
    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "listxattr", lambda _: ["security.selinux"])
    replace_whole(path, before)
    monkeypatch.setattr(os, "listxattr", lambda _: ["system.posix_acl_access"])
    with pytest.raises(OutputError, match="cannot be written"):
        replace_whole(path, b"")
    assert path.read_bytes() == before


def test_revoke_says_so_only_if_the_file_does(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (key,) = read_keys(path)
    monkeypatch.setattr(api_keys, "write_keys", lambda *_: None)  # such as a disk that forgets
    answer = revoke(path, key.id)
    assert "something else has just changed it" in str(answer.exception)
    assert "revoked" not in answer.stderr


def test_a_change_that_fails_changes_nothing(path: Path) -> None:
    def fail(_: list[Key]) -> list[Key]:
        raise UsageError("no")

    before = path.read_bytes()
    with pytest.raises(UsageError, match="no"):
        change_keys(path, fail)
    assert path.read_bytes() == before
    change_keys(path, lambda _: [])  # the lock is free again
    assert read_keys(path) == []


def test_who_waits_too_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key_file, "PATIENCE", 0.05)
    with only_one(path):
        answer = create(path)
    assert "others have been changing it" in str(answer.exception)
    assert answer.stdout == "", "no key is handed out that is not in the file"
    assert create(path).exit_code == 0


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    answer = create(tmp_path / "nowhere" / "keys.json")
    assert isinstance(answer.exception, OutputError)
    assert "cannot be locked" in str(answer.exception)
