"""write: whole or not at all, whatever happens in between."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from animal_classification.bundle import BundleInfo, load, write
from animal_classification.common import atomic
from animal_classification.errors import BundleError, BundleInvalidError, BundleNotFoundError, OutputError, UsageError
from tests.support.tiny_bundle import tiny_model, write_tiny_bundle

Files = dict[str, bytes | Path]
REPOSITORY = Path(__file__).parents[3]


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_round_trip(tmp_path: Path, info: BundleInfo, files: Files) -> None:
    target = tmp_path / "new" / "zoo"
    written = write(target, info, {**files, "plots/a.png": b"png"})
    assert written == load(target)
    assert written.info.files.keys() == {*files, "plots/a.png"}
    assert written.info == info.model_copy(update={"files": written.info.files})
    assert _names(target.parent) == ["zoo"]


def test_the_same_content_has_the_same_identity(tmp_path: Path, info: BundleInfo, files: Files) -> None:
    first = write(tmp_path / "a", info, files)
    second = write(str(tmp_path / "b"), info, dict(reversed(files.items())))
    assert first.sha256 == second.sha256


def test_an_empty_directory_may_be_used(tmp_path: Path, info: BundleInfo, files: Files) -> None:
    (tmp_path / "empty").mkdir()
    assert write(tmp_path / "empty", info, files) == load(tmp_path / "empty")


def test_relative_and_file_urls(
    tmp_path: Path, info: BundleInfo, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert write("here", info, files).path == tmp_path / "here"
    assert write(f"file://{tmp_path}/there", info, files) == load(f"file://{tmp_path}/there")


def test_a_bundle_is_replaced_only_when_allowed(tiny: Path, tmp_path: Path, info: BundleInfo, files: Files) -> None:
    target = write_tiny_bundle(tmp_path / "zoo", version="1")
    (target / "notes.txt").write_text("of version 1", encoding="utf-8")
    second = info.model_copy(update={"version": "2"})
    with pytest.raises(UsageError, match="already holds a bundle; choose another name, or allow it"):
        write(target, second, files)
    assert load(target).info.version == "1"
    write(target, second, files, overwrite=True)
    assert load(target).info.version == "2"
    assert not (target / "notes.txt").exists()
    assert _names(tmp_path) == ["tiny", "zoo"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_peoples_files_are_never_replaced(
    tmp_path: Path, info: BundleInfo, files: Files, *, overwrite: bool
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"jpeg")
    with pytest.raises(UsageError, match=r"holds files and no bundle\.json, so it is not a bundle"):
        write(tmp_path / "photos", info, files, overwrite=overwrite)
    with pytest.raises(UsageError, match="is a file; choose another name"):
        write(tmp_path / "photos" / "cat.jpg", info, files, overwrite=overwrite)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    with pytest.raises(UsageError, match="is a link; name the directory itself"):
        write(tmp_path / "link", info, files, overwrite=overwrite)
    assert _names(tmp_path / "photos") == ["cat.jpg"]


@pytest.mark.parametrize("name", ["../x", "/x", "a\\b", "bundle.json", ".x"])
def test_names_are_checked_before_anything_is_written(
    tmp_path: Path, info: BundleInfo, files: Files, name: str
) -> None:
    with pytest.raises(BundleInvalidError):
        write(tmp_path / "deep" / "zoo", info, {**files, name: b"x"})
    assert not list((tmp_path / "deep").glob("**/*"))
    assert not (tmp_path / "x").exists()


def test_a_model_is_needed(tmp_path: Path, info: BundleInfo) -> None:
    with pytest.raises(UsageError, match=r"files must have model.onnx \(got README.md\)"):
        write(tmp_path / "zoo", info, {"README.md": b"x"})


def test_what_would_not_load_is_not_written(tmp_path: Path, info: BundleInfo) -> None:
    with pytest.raises(BundleInvalidError, match="logits is float32"):
        write(tmp_path / "zoo", info, {"model.onnx": tiny_model(9)})
    with pytest.raises(BundleInvalidError, match="plain JSON values only"):
        write(tmp_path / "zoo", info.model_copy(update={"config": {"a": object()}}), {"model.onnx": tiny_model(3)})
    assert _names(tmp_path) == ["tiny"]


def test_a_source_that_is_missing(tmp_path: Path, info: BundleInfo, files: Files) -> None:
    with pytest.raises(OutputError, match=r"zoo: cannot be written \(.*gone.*\); check the free space"):
        write(tmp_path / "zoo", info, {**files, "README.md": tmp_path / "gone"})
    assert _names(tmp_path) == ["tiny"]


def test_what_the_disk_changed_is_noticed(
    tmp_path: Path, info: BundleInfo, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a disk would that loses the end of a file."""

    def lose_the_end(path: Path) -> None:
        if path.name == "README.md":
            path.write_bytes(path.read_bytes()[:-1])

    monkeypatch.setattr(atomic, "sync", lose_the_end)
    with pytest.raises(BundleInvalidError, match=r"README.md: its sha256 is"):
        write(tmp_path / "zoo", info, files)
    assert _names(tmp_path) == ["tiny"]


@pytest.mark.parametrize("failing", range(5))
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_error_in_the_middle_leaves_what_was_there(
    tmp_path: Path,
    info: BundleInfo,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    failing: int,
    error: BaseException,
) -> None:
    target = write_tiny_bundle(tmp_path / "zoo", version="old")
    before = load(target)
    calls = iter(range(100))

    def sync(path: Path) -> None:
        if next(calls) == failing:
            raise error

    monkeypatch.setattr(atomic, "sync", sync)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write(target, info, files, overwrite=True)
    assert load(target) == before
    assert _names(tmp_path) == ["tiny", "zoo"]


KILLED = """
import os, signal, sys
from pathlib import Path
from animal_classification.bundle import load, write
from animal_classification.common import atomic

source, target, step = load(sys.argv[1]), sys.argv[2], int(sys.argv[3])
real_sync, calls = atomic.sync, iter(range(100))

def sync(path):
    if next(calls) == step:
        os.kill(os.getpid(), signal.SIGKILL)
    real_sync(path)

atomic.sync = sync
info = source.info.model_copy(update={"version": "new"})
write(target, info, {name: source.path / name for name in info.files}, overwrite=True)
"""


@pytest.mark.parametrize(("step", "version"), [(1, "old"), (3, "old"), (4, "old"), (5, "new")])
def test_kill_minus_nine_leaves_the_old_or_the_new(tmp_path: Path, tiny: Path, step: int, version: str) -> None:
    target = write_tiny_bundle(tmp_path / "zoo", version="old")
    _killed(tiny, target, step)
    assert load(target).info.version == version


def test_kill_minus_nine_leaves_nothing_where_nothing_was(tmp_path: Path, tiny: Path) -> None:
    _killed(tiny, tmp_path / "zoo", 2)
    with pytest.raises(BundleNotFoundError):
        load(tmp_path / "zoo")
    for leftover in tmp_path.glob(".zoo.*"):  # what was being written when the process died
        with pytest.raises(BundleError):
            load(leftover)


def _killed(source: Path, target: Path, step: int) -> None:
    command = [sys.executable, "-c", KILLED, str(source), str(target), str(step)]
    process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)
    assert process.returncode == -signal.SIGKILL, process.stderr
