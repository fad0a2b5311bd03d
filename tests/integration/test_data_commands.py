"""``animals data`` as a person meets it: what is printed, what is written, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animal_classification import data
from animal_classification.cli import main as frame
from animal_classification.data import Manifest
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.data.drawing import draw, draw_classes


class Run:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Animals = Callable[..., Run]


@pytest.fixture
def animals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Animals:
    monkeypatch.setitem(frame.COMMANDS, "data", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*words: str | Path) -> Run:
        capsys.readouterr()
        code = frame.main(["data", *map(str, words)])
        out, err = capsys.readouterr()
        return Run(code, out, err)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = draw_classes(tmp_path / "photos", {"cat": 10, "dog": 10})
    (folder / "cat" / "0z.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    (folder / "dog" / "x.png").write_text("no photo")
    return folder


def test_inspect(animals: Animals, folder: Path, tmp_path: Path) -> None:
    run = animals("inspect", folder, "--no-embed", "--html", tmp_path / "page.html")
    assert run.code == 0
    assert "cat        11\ndog        10\nall        21\n" in run.out
    assert "exact copies: 1\n  cat/0.png, cat/0z.png: the same bytes, 2 times\n" in run.out
    assert "cannot be read: 1\n  dog/x.png: is text, not a photo\n" in run.out
    assert "<title>" in (tmp_path / "page.html").read_text()
    told = json.loads(animals("inspect", folder, "--no-embed", "--json").out)
    assert told["counts"] == {"unreadable": 1, "duplicate": 1}
    assert told["root"] == str(folder)


def test_only_those_who_need_to_know_look_twice(
    animals: Animals, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(*_: object, **__: object) -> None:
        raise AssertionError("reading the source has looked at every photo")

    monkeypatch.setattr(data, "scan", scan, raising=False)
    assert len(animals("version", folder).out) == 17
    assert animals("get", folder, tmp_path / "copied").code == 0


def test_clean_then_split(animals: Animals, folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    run = animals("clean", folder, "--no-embed", "-o", tmp_path / "clean.parquet")
    assert run.code == 0
    assert run.out == (
        "duplicate       cat/0z.png: the same bytes, 2 times; cat/0.png is kept\n"
        "unreadable      dog/x.png: is text, not a photo\n"
    )
    assert "kept 20 of 22 photos" in run.err
    run = animals("split", tmp_path / "clean.parquet", "-o", tmp_path / "split.parquet", "--seed", "3")
    assert run.code == 0
    assert run.out.splitlines() == [
        "class  train  val  test  photos",
        "cat        7    1     2      10",
        "dog        7    1     2      10",
        "all       14    2     4      20",
    ]
    manifest = Manifest.read(tmp_path / "split.parquet")
    assert manifest.version in run.err
    again = json.loads(animals("split", tmp_path / "split.parquet", "-o", tmp_path / "b.parquet", "--json").out)
    assert again["version"] == manifest.version
    assert any("20 photos keep the split" in note for note in again["notes"])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_model_looks_too(animals: Animals, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    for number, name in enumerate(("cat", "dog", "lion")):
        for index in range(12):
            colour = np.clip(np.eye(3)[number] * 200 + rng.normal(25, 12, (8, 8, 3)), 0, 255).astype(np.uint8)
            file = tmp_path / "photos" / (name if (number, index) != (0, 5) else "dog") / f"{name}-{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(colour).resize((64, 64), Image.Resampling.NEAREST).save(file)
    model = write_tiny_bundle(tmp_path / "tiny")
    told = json.loads(animals("inspect", tmp_path / "photos", "--model", model, "--json").out)
    wrong = [(f["paths"], f["suggestion"]) for f in told["findings"] if f["kind"] == "wrong_label"]
    assert wrong == [(["dog/cat-5.png"], "cat")]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["inspect", "nowhere"], 2, "no such file or folder: 'nowhere'"),
        (["inspect", "one", "--html", "one"], 2, "is a directory"),
        (["inspect", "one", "--model", "no-such-model"], 2, "no-such-model"),
        (["inspect", "empty"], 2, "has no classes"),
        (["split", "one", "-o", "m.parquet"], 2, "there is only one class ('cat')"),
        (["split", "one"], 2, "missing option"),
        (["split", "two", "-o", "one"], 1, "cannot write 'one': it is a folder"),
        (["split", "two", "-o", "m.parquet", "--test", "0.6", "--val", "0.4"], 2, "leave nothing to train on"),
        (["split", "two", "-o", "m.parquet", "--test", "1"], 2, "--test"),
        (["clean", "two", "-o", "m.parquet", "--keep", "cats"], 2, "no such kind to keep: 'cats'"),
        (["inspect", "t.csv"], 2, "no column for the label; it has 'file', 'labell'; nearest: 'labell'"),
        (["inspect", "broken.zip"], 1, "it is damaged, or no archive"),
    ],
)
def test_bad_calls_end_with_one_line(
    animals: Animals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_classes(tmp_path / "one", {"cat": 2})
    draw_classes(tmp_path / "two", {"cat": 2, "dog": 2})
    (tmp_path / "empty").mkdir()
    (tmp_path / "t.csv").write_text("file,labell\none/cat/0.png,cat\n")
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4" + bytes(100))
    run = animals(*words)
    assert (run.code, run.out) == (code, "")
    assert message in run.err
    assert run.err.count("\n") == 1


def test_names_that_terminals_obey_are_shown_harmlessly(animals: Animals, tmp_path: Path) -> None:
    folder = draw_classes(tmp_path / "photos", {"\x1b[31mred": 2, "[bold]x": 2})
    draw(folder / "[bold]x" / "a\nb.png", 9, (9, 9))
    run = animals("inspect", folder, "--no-embed")
    assert run.code == 0
    assert "\x1b" not in run.out
    assert "\\x1b[31mred" in run.out
    assert "[bold]x/a\\nb.png" in run.out
