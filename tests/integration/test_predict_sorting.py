"""``animals predict --sort-into``."""

from __future__ import annotations

import contextlib
import json
import random
import sys
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from tests.support.predicting import PHOTOS, plant, run, start, wait_for_rows
from tests.support.tiny_bundle import write_tiny_bundle

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    for path, content in {
        "a.jpg": PHOTOS["cat"],
        "x/a.jpg": PHOTOS["cat"] + b"\0",
        "x/b.jpg": PHOTOS["lion"],
        "y/a.jpg": PHOTOS["cat"],
        "chair.jpg": PHOTOS["not an animal"],
        "broken.jpg": b"no photo",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SORTED = {
    "cat/a.jpg": PHOTOS["cat"],
    "cat/a-2.jpg": PHOTOS["cat"] + b"\0",
    "lion/b.jpg": PHOTOS["lion"],
    "not an animal/chair.jpg": PHOTOS["not an animal"],
}


@pytest.mark.parametrize("way", ["--copy", "--link", "--symlink", None])
def test_a_folder_per_animal(photos: Path, model: str, way: str | None, capsys: Capture) -> None:
    before = tree(photos)
    words = ["predict", "photos", "--model", model, "--sort-into", "sorted", "--output", "x.csv"]
    for count in range(3):
        assert main([*words, *([way] if way else [])]) == 0
        assert tree(Path("sorted")) == SORTED
        err = capsys.readouterr().err
        assert "1 unreadable left where they are" in err
        assert ("5 already there" if count else f"4 {'linked' if way in ('--link', '--symlink') else 'copied'}") in err
    assert tree(photos) == before
    assert Path("sorted/lion/b.jpg").is_symlink() == (way == "--symlink")
    assert Path("sorted/lion/b.jpg").samefile("photos/x/b.jpg") == (way in ("--link", "--symlink"))


def test_a_dry_run_tells_and_writes_nothing(photos: Path, model: str, capsys: Capture) -> None:
    before = sorted(photos.parent.rglob("*"))
    words = ["predict", "photos", "--model", model, "--sort-into", "sorted", "--dry-run", "--output", "x.csv"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    into = (photos.parent / "sorted").resolve()
    assert out.splitlines() == [
        f"a.jpg -> {into / 'cat' / 'a.jpg'}",
        "broken.jpg: stays where it is (is text, not a photo)",
        f"chair.jpg -> {into / 'not an animal' / 'chair.jpg'}",
        f"x/a.jpg -> {into / 'cat' / 'a-2.jpg'}",
        f"x/b.jpg -> {into / 'lion' / 'b.jpg'}",
        f"y/a.jpg -> {into / 'cat' / 'a.jpg'} (already there)",
    ]
    assert "would sort into" in err
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sorted"] == {"into": str(into), "dry_run": True, "copied": 4, "already there": 1}
    assert found["moves"][0] == {"path": "a.jpg", "to": str(into / "cat" / "a.jpg"), "outcome": "copied"}
    assert sorted(photos.parent.rglob("*")) == before


def test_a_folder_inside_the_photos_is_not_read_again(photos: Path, model: str, capsys: Capture) -> None:
    for _ in range(2):
        assert main(["predict", "photos", "--model", model, "--sort-into", "photos/by animal", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["photos"] == 6
    assert tree(photos / "by animal") == SORTED


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_run_that_goes_on_sorts_every_photo_once(tmp_path: Path, model: str) -> None:
    folder, output, into = tmp_path / "p", tmp_path / "x.csv", tmp_path / "sorted"
    plant(folder, 300)
    words = ["predict", folder, "--model", model, "--output", output, "--sort-into", into, "--quiet", "--threads", "1"]
    words += ["--engine", "onnxruntime"]
    chance = random.Random(1)
    kills = 0
    while True:
        with start(*words, *(["--resume"] if kills else [])) as process:
            wait_for_rows(tmp_path / "x.csv.partial", 60 * kills + chance.randrange(60), process)
            process.kill()
            process.communicate()
        if process.returncode == 0:
            break
        kills += 1
    assert kills >= 2
    expected = run("predict", folder, "--model", model, "--sort-into", tmp_path / "undisturbed", "--quiet")
    assert expected.returncode == 0
    assert tree(into) == tree(tmp_path / "undisturbed")
    assert len(tree(into)) == 300 - len(range(0, 300, 23))


def test_folders_are_kept_on_request(photos: Path, model: str) -> None:
    words = ["predict", "photos", "--model", model, "--sort-into", "sorted", "--keep-folders", "--output", "x.csv"]
    for _ in range(2):
        assert main(words) == 0
        assert tree(Path("sorted")) == {
            "cat/a.jpg": PHOTOS["cat"],
            "cat/x/a.jpg": PHOTOS["cat"] + b"\0",
            "cat/y/a.jpg": PHOTOS["cat"],
            "lion/x/b.jpg": PHOTOS["lion"],
            "not an animal/chair.jpg": PHOTOS["not an animal"],
        }


def test_folders_are_kept_in_a_field_run_if_names_repeat(photos: Path, model: str) -> None:
    words = ["predict", "--model", model, "--event-gap", "1h", "--output", "x.csv"]
    assert main([*words, "photos/x", "photos/chair.jpg", "--sort-into", "apart"]) == 0
    assert set(tree(Path("apart"))) == {"cat/a.jpg", "lion/b.jpg", "not an animal/chair.jpg"}
    assert main([*words, "photos", "--sort-into", "sorted"]) == 0
    assert {"cat/a.jpg", "cat/x/a.jpg", "cat/y/a.jpg"} < set(tree(Path("sorted")))


def test_kept_folders_stay_below_the_animal(photos: Path, model: str) -> None:
    (photos / "x" / "deep").mkdir()
    (photos / "x" / "deep" / "c.jpg").write_bytes(PHOTOS["dog"])
    words = ["--model", model, "--sort-into", "../../sorted", "--keep-folders"]
    with contextlib.chdir(photos / "x"):
        assert main(["predict", "../y", "deep", "../../photos/chair.jpg", *words, "--output", "../../x.csv"]) == 0
    found = set(tree(Path("sorted")))
    assert {"cat/_/y/a.jpg", "dog/deep/c.jpg"} < found
    assert len(found) == 3


def test_keeping_folders_without_sorting_is_refused(photos: Path, model: str, capsys: Capture) -> None:
    assert main(["predict", "photos", "--model", model, "--keep-folders"]) == 2
    assert "--keep-folders says how to sort: add --sort-into DIR" in capsys.readouterr().err
