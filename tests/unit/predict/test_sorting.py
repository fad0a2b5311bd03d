"""A folder per animal: nothing is overwritten, repeated or put outside."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.errors import OutputError, UsageError
from animal_classification.predict.sorting import WAYS, Sorter, Way, folder_name, refuse_overlap
from tests.support.inodes import without_inodes

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "in" / "other").mkdir(parents=True)
    path = tmp_path / "in" / "a.jpg"
    path.write_bytes(b"one")
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("way", WAYS)
def test_each_way(tmp_path: Path, photo: Path, way: Way) -> None:
    placed = Sorter(str(tmp_path / "out"), way).place(str(photo), "red fox")
    target = tmp_path / "out" / "red fox" / "a.jpg"
    assert placed.target == target
    assert placed.outcome == ("copied" if way == "copy" else "linked")
    assert target.read_bytes() == b"one"
    assert target.is_symlink() == (way == "symlink")
    assert (not target.is_symlink() and target.samefile(photo)) == (way == "link")
    assert photo.exists()


@pytest.mark.parametrize("way", WAYS)
def test_doing_it_again_changes_nothing(tmp_path: Path, photo: Path, way: Way) -> None:
    other = photo.parent / "other" / "a.jpg"
    other.write_bytes(b"two")
    for _ in range(3):
        sorter = Sorter(str(tmp_path / "out"), way)
        for source in (photo, other):
            sorter.place(str(source), "fox")
        assert tree(tmp_path / "out") == {"fox/a.jpg": b"one", "fox/a-2.jpg": b"two"}
    assert sorter.outcomes == {"already there": 2}


def test_a_stranger_with_the_same_name_is_not_overwritten(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "out" / "fox").mkdir(parents=True)
    (tmp_path / "out" / "fox" / "a.jpg").write_bytes(b"mine")
    (tmp_path / "out" / "fox" / "a-2.jpg").mkdir()
    Sorter(str(tmp_path / "out"), "copy").place(str(photo), "fox")
    assert tree(tmp_path / "out") == {"fox/a.jpg": b"mine", "fox/a-3.jpg": b"one"}


def test_a_file_that_appears_at_the_last_moment_is_not_overwritten(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "fox" / "a.jpg"
    real = os.path.lexists

    def lexists(path: Path) -> bool:
        there = real(path)
        if path == target and not there:
            target.write_bytes(b"mine")
        return there

    monkeypatch.setattr("os.path.lexists", lexists)
    Sorter(str(tmp_path / "out"), "copy").place(str(photo), "fox")
    assert tree(tmp_path / "out") == {"fox/a.jpg": b"mine", "fox/a-2.jpg": b"one"}


@pytest.mark.parametrize("way", ["copy", "link"])
def test_disks_without_hard_links(tmp_path: Path, photo: Path, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    sorter = Sorter(str(tmp_path / "out"), way)
    assert sorter.place(str(photo), "fox").outcome == "copied"
    assert sorter.place(str(photo), "fox").outcome == "already there"
    assert tree(tmp_path / "out") == {"fox/a.jpg": b"one"}


def test_a_dry_run_writes_nothing_and_sees_collisions(tmp_path: Path, photo: Path) -> None:
    other = photo.parent / "other" / "a.jpg"
    other.write_bytes(b"two")
    sorter = Sorter(str(tmp_path / "out"), "copy", dry_run=True)
    placed = [sorter.place(str(source), "fox") for source in (photo, other, photo)]
    assert [(one.target.name, one.outcome) for one in placed] == [
        ("a.jpg", "copied"), ("a-2.jpg", "copied"), ("a.jpg", "already there"),
    ]  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_photo_that_is_gone_is_counted(tmp_path: Path, photo: Path) -> None:
    sorter = Sorter(str(tmp_path / "out"), "copy")
    photo.unlink()
    assert sorter.place(str(photo), "fox").outcome == "failed"
    assert tree(tmp_path / "out") == {}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_planted_link_does_not_lead_outside(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fox").symlink_to(tmp_path / "outside")
    with pytest.raises(OutputError, match="not a folder"):
        Sorter(str(tmp_path / "out"), "copy").place(str(photo), "fox")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_full_disk_ends_the_run(tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    sorter = Sorter(str(tmp_path / "out"), "copy")
    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(OutputError, match="the disk is full"):
        sorter.place(str(photo), "fox")
    assert tree(tmp_path / "out") == {}


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f".animals-{2**22 + 1}.tmp").touch()
    (tmp_path / "out" / f".animals-{os.getppid()}.tmp").touch()
    Sorter(str(tmp_path / "out"), "copy")
    left = {f".animals-{os.getppid()}.tmp"} if os.name != "nt" else None
    assert left is None or {path.name for path in (tmp_path / "out").iterdir()} == left


def test_places_that_cannot_be_sorted_into(tmp_path: Path, photo: Path) -> None:
    with pytest.raises(UsageError, match="is a file"):
        Sorter(str(photo), "copy")
    with pytest.raises(OutputError, match="there is no folder"):
        Sorter(str(tmp_path / "a" / "b"), "copy")


def test_folders_that_would_be_read_again(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for into in ("in", ".", "in/../in"):
        with pytest.raises(UsageError, match="--sort-into"):
            refuse_overlap(str(tmp_path / into), [str(tmp_path / "in")])
    refuse_overlap(str(tmp_path / "in" / "sorted"), [str(tmp_path / "in")])
    refuse_overlap(str(tmp_path / "sorted"), [str(tmp_path / "in")])


@given(st.text())
def test_folder_names_are_safe_everywhere(animal: str) -> None:
    name = folder_name(animal)
    assert name
    assert not set(name) & set('<>:"/\\|?*')
    assert name.isprintable() or all(ord(character) >= 32 for character in name)
    assert name == name.rstrip(". ")
    assert not name.startswith(".")
    assert name.split(".")[0].lower() not in RESERVED
    assert len(name.encode("utf-8", "surrogatepass")) <= 101


@pytest.mark.parametrize("name", ["lion", "not an animal", "sulphur-crested cockatoo", "African elephant", "أسد"])
def test_good_names_stay_as_they_are(name: str) -> None:
    assert folder_name(name) == name


def test_work_grows_with_the_photos_and_not_with_their_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = []
    for card in range(60):
        (tmp_path / f"card{card}").mkdir()
        sources.append(tmp_path / f"card{card}" / "IMG_0001.JPG")
        sources[-1].write_bytes(b"%03d" % card)
    asked: list[Path] = []
    real = os.path.lexists

    def counted(path: Path) -> bool:
        asked.append(path)
        return real(path)

    monkeypatch.setattr("os.path.lexists", counted)
    for expected in ("copied", "already there"):
        sorter = Sorter(str(tmp_path / "out"), "copy")
        asked.clear()
        assert {sorter.place(str(source), "fox").outcome for source in sources} == {expected}
        assert len(asked) <= 4 * len(sources)
    assert len(tree(tmp_path / "out")) == 60


def test_a_mount_without_inodes_loses_no_photo(tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = photo.parent / "other" / "a.jpg"
    other.write_bytes(b"two")
    without_inodes(monkeypatch)
    sorter = Sorter(str(tmp_path / "out"), "link")
    for source in (photo, other):
        sorter.place(str(source), "fox")
    assert sorted(tree(tmp_path / "out").values()) == [b"one", b"two"]
