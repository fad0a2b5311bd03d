"""What words on the command line stand for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.data.discovery import PhotoPaths, WalkLog, from_table_name, table_name
from animal_classification.errors import UsageError
from tests.support.inodes import without_inodes

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not take")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plant(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def names(*words: str, log: WalkLog | None = None) -> list[str]:
    return [photo.name for photo in PhotoPaths(words).walk(log)]


def test_a_folder_is_read_with_its_subfolders_in_the_order_of_the_full_names(here: Path) -> None:
    plant("p/b.jpg", "p/a/z.PNG", "p/a.jpg", "p/a-b/c.jpg", "p/a0/d.jpg", "p/a/y/x.jpeg")
    assert names("p") == sorted(["b.jpg", "a/z.PNG", "a.jpg", "a-b/c.jpg", "a0/d.jpg", "a/y/x.jpeg"])


def test_paths_lead_to_the_files(here: Path) -> None:
    plant("p/a/b.jpg", "c.jpg")
    assert [Path(photo.path) for photo in PhotoPaths(["p", "c.jpg"]).walk()] == [Path("p/a/b.jpg"), Path("c.jpg")]


def test_hidden_things_are_skipped_and_others_counted(here: Path) -> None:
    plant("p/a.jpg", "p/.b.jpg", "p/.trash/c.jpg", "p/notes.txt", "p/s/Thumbs.db")
    log = WalkLog()
    assert names("p", log=log) == ["a.jpg"]
    assert log.skipped == {"document": 1, "other file": 1}
    assert not log.lost


def test_all_files_are_looked_at_on_request(here: Path) -> None:
    plant("p/a.jpg", "p/.b.jpg", "p/film.MP4", "p/notes")
    log = WalkLog()
    found = [photo.name for photo in PhotoPaths(["p"], all_files=True).walk(log)]
    assert found == ["a.jpg", "film.MP4", "notes"]
    assert not log.skipped


def test_what_is_hidden_is_read_when_it_is_named(here: Path) -> None:
    plant(".p/a.jpg", ".c.jpg")
    assert names(".p") == ["a.jpg"]
    assert names(".c.jpg") == [".c.jpg"]


def test_one_folder_gives_relative_names_and_several_words_give_names_as_typed(here: Path) -> None:
    plant("p/a.jpg", "q/a.jpg", "c.jpg")
    assert names("./p/") == ["a.jpg"]
    assert names("p", "./q//", f"{here}/c.jpg") == ["p/a.jpg", "q/a.jpg", f"{here.as_posix()}/c.jpg"]
    assert names(".", "q/a.jpg") == ["c.jpg", "p/a.jpg", "q/a.jpg"]
    assert names("./c.jpg") == ["c.jpg"]
    os.chdir("p")
    assert names("..", "../c.jpg") == ["../p/a.jpg", "../q/a.jpg", "../c.jpg"]


def test_a_file_is_taken_whatever_it_is_called(here: Path) -> None:
    plant("photo", "x.dat")
    assert names("photo", "x.dat", "photo") == ["photo", "x.dat"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("p/*.jpg", ["p/a.jpg"]),
        ("p/*", ["p/a.jpg", "p/b.png", "p/q/c.jpg", "p/q/r/d.jpg"]),
        ("p/**/*.jpg", ["p/a.jpg", "p/q/c.jpg", "p/q/r/d.jpg"]),
        ("p/**", ["p/a.jpg", "p/b.png", "p/q/c.jpg", "p/q/r/d.jpg"]),
        ("**/q/*.jpg", ["p/q/c.jpg"]),
        ("*/q", ["p/q/c.jpg", "p/q/r/d.jpg"]),
        ("p/[ab].*", ["p/a.jpg", "p/b.png"]),
        ("p/?.png", ["p/b.png"]),
        (".h*/e.jpg", [".h/e.jpg"]),
        ("**/**/d.jpg", ["p/q/r/d.jpg"]),
        ("./p/../p/*.jpg", ["p/../p/a.jpg"]),
    ],
)
def test_patterns(here: Path, pattern: str, found: list[str]) -> None:
    plant("p/a.jpg", "p/b.png", "p/q/c.jpg", "p/q/r/d.jpg", ".h/e.jpg", "p/.x.jpg", "p/notes.txt")
    assert names(pattern) == found


def test_an_absolute_pattern(here: Path) -> None:
    plant("p/a.jpg")
    assert names(f"{here}/*/a.*") == [f"{here.as_posix()}/p/a.jpg"]


@POSIX
def test_a_file_by_that_very_name_comes_before_a_pattern(here: Path) -> None:
    plant("a[1].jpg", "a1.jpg", "p*/b.jpg", "pq/c.jpg")
    assert names("a[1].jpg") == ["a[1].jpg"]
    assert names("p*") == ["b.jpg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "no such file or folder: 'nothing'"),
        ([""], "no such file or folder: ''"),
        (["photso"], "did you mean 'photos'"),
        (["photos/*.png"], "no photo matches 'photos/*.png'"),
        (["nowhere/*.png"], "no such folder: 'nowhere'"),
        (["a\0b"], "no such file or folder"),
        (["x" * 5000], "no such file or folder"),
        (["photos", "photos/*.txt"], "no photo matches"),
    ],
)
def test_words_that_stand_for_nothing(here: Path, words: list[str], message: str) -> None:
    plant("photos/a.jpg", "photos/notes.txt")
    with pytest.raises(UsageError) as raised:
        PhotoPaths(words)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "words", [("p", "p/q"), ("p/q", "p"), ("p", "p/q/b.jpg"), ("p", "p/*/b.jpg"), ("p/*/b.jpg", "p")]
)
def test_what_is_named_twice_has_one_row(here: Path, words: tuple[str, ...]) -> None:
    plant("p/a.jpg", "p/q/b.jpg")
    assert sorted(names(*words)) == ["p/a.jpg", "p/q/b.jpg"]


def test_the_same_folder_under_two_names_is_read_once(here: Path) -> None:
    plant("p/a.jpg")
    assert names("p", str(here / "p")) == ["p/a.jpg"]
    assert sorted(names("p/*.jpg", "p/a.*")) == ["p/a.jpg"]


def test_walking_again_gives_the_same(here: Path) -> None:
    plant("p/a.jpg", "p/q/b.jpg")
    photos = PhotoPaths(["p"])
    assert list(photos.walk()) == list(photos.walk())


@POSIX
def test_circles_of_links_end_and_every_photo_has_one_row(here: Path) -> None:
    plant("p/a.jpg", "p/q/b.jpg", "elsewhere/c.jpg", "elsewhere/d/e.jpg")
    for link, to in {
        "p/loop": "p",
        "p/q/up": "p",
        "p/0-sibling": "p/q",
        "p/out": "elsewhere",
        "p/out2": "elsewhere/d",
        "elsewhere/back": "p",
    }.items():
        Path(link).symlink_to(here / to, target_is_directory=True)
    assert names("p") == ["a.jpg", "q/b.jpg", "out/c.jpg", "out/d/e.jpg"]


@POSIX
def test_links_to_photos_are_photos_even_when_they_lead_nowhere(here: Path) -> None:
    plant("x.jpg", "p/b.jpg")
    Path("p/a.jpg").symlink_to(here / "x.jpg")
    Path("p/c.jpg").symlink_to("gone.jpg")
    Path("p/d.jpg").symlink_to("d.jpg")
    assert names("p") == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert names("p/c.jpg") == ["p/c.jpg"]


@POSIX
def test_a_pipe_is_a_row_in_a_folder_and_an_error_by_name(here: Path) -> None:
    plant("p/a.jpg")
    os.mkfifo("p/pipe.jpg")
    assert names("p") == ["a.jpg", "pipe.jpg"]
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        PhotoPaths(["p/pipe.jpg"])


def test_our_own_output_is_no_photo_and_not_counted(here: Path) -> None:
    plant("p/a.jpg", "p/out.jpg", "p/q/out.jpg", "p/sorted/lion/a.jpg")
    photos = PhotoPaths(["p"], leave_out=[Path("p/out.jpg")])
    photos.leave_out_folder("p/sorted")
    assert [photo.name for photo in photos.walk()] == ["a.jpg", "q/out.jpg"]


def test_a_folder_that_vanishes_is_told_and_the_others_are_read(here: Path) -> None:
    plant("p/a.jpg", "p/b/c.jpg", "p/d.jpg")
    log = WalkLog()
    walk = PhotoPaths(["p"]).walk(log)
    assert next(walk).name == "a.jpg"
    Path("p/b/c.jpg").unlink()
    Path("p/b").rmdir()
    assert [photo.name for photo in walk] == ["d.jpg"]
    assert log.lost == {str(Path("p/b")): "it is not there any more"}


def test_a_folder_deeper_than_the_recursion_limit(here: Path) -> None:
    depth = sys.getrecursionlimit() // 2 + 300
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.jpg").touch()
    os.chdir(here)
    assert len(names("d")) == 1


@POSIX
def test_names_that_are_not_utf8_are_escaped_without_loss(here: Path) -> None:
    raw = [b"p/caf\xe9.jpg", "p/café.jpg".encode(), rb"p/caf\xe9.jpg", b"p/back\\slash.jpg"]
    Path("p").mkdir()
    for name in raw:
        os.close(os.open(name, os.O_CREAT))
    found = list(PhotoPaths(["p"]).walk())
    assert sorted(os.fsencode(photo.path) for photo in found) == sorted(raw)
    assert {photo.name for photo in found} == {r"caf\xe9.jpg", "café.jpg", r"caf\\xe9.jpg", "back\\slash.jpg"}


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_no_two_names_become_one(first: bytes, second: bytes) -> None:
    names = [table_name(raw.decode("utf-8", "surrogateescape")) for raw in (first, second)]
    assert (names[0] == names[1]) == (first == second)
    assert all(name.encode("utf-8") for name in names if name)


@given(
    st.lists(st.sampled_from([b"\\", b"x", b"e9", b"u", b"d800", b"\xe9", "é".encode(), b"a"]), max_size=8).map(
        b"".join
    )
)
def test_a_name_leads_back_to_its_file(raw: bytes) -> None:
    path = os.fsdecode(raw)
    assert from_table_name(table_name(path)) == path


@given(st.from_regex(r"(\\|x|f|é|u|d|8|0|\udcff|\ud800){0,9}", fullmatch=True))
def test_escaped_names_can_be_told_from_plain_ones(name: str) -> None:
    shown = table_name(name)
    shown.encode("utf-8")
    other = shown  # a file really called so
    assert shown == name or table_name(other) != shown


@POSIX
def test_a_mount_without_inodes_loses_no_folder_and_ends(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant("p/a/x.jpg", "p/b/y.jpg", "p/b/c/z.jpg")
    Path("p/b/round").symlink_to(Path("p").absolute())
    without_inodes(monkeypatch)
    assert names("p") == ["a/x.jpg", "b/c/z.jpg", "b/y.jpg"]
