"""Every kind of source, drawn small: what is found, and what is said about what is not."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from animal_classification.data import duckdb_parquet
from animal_classification.data.manifest import Manifest
from animal_classification.data.sources import Columns, SourceOptions, read_source
from animal_classification.errors import AnimalsError, UsageError
from tests.support.inodes import without_inodes
from tests.unit.data.drawing import draw, draw_classes


@pytest.fixture
def options(tmp_path: Path) -> SourceOptions:
    return SourceOptions(cache=tmp_path / "cache")


def found(manifest: Manifest) -> list[tuple[str, str, str | None]]:
    return [(row.path, row.label, row.split) for row in manifest]


def write_csv(file: Path, *rows: tuple[str, ...], separator: str = ",") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as text:
        csv.writer(text, delimiter=separator).writerows(rows)
    return file


def test_a_folder_for_each_class(tmp_path: Path, options: SourceOptions) -> None:
    folder = draw_classes(tmp_path / "photos", {"dog": 1, "cat": 2, "empty": 0})
    draw(folder / "cat" / "deeper" / "c.jpg", 9)
    draw(folder / "loose.png", 8)
    (folder / "cat" / "notes.txt").write_text("x")
    (folder / ".git").mkdir()
    manifest = read_source(folder, options)
    assert found(manifest) == [
        ("cat/0.png", "cat", None),
        ("cat/1.png", "cat", None),
        ("cat/deeper/c.jpg", "cat", None),
        ("dog/0.png", "dog", None),
    ]
    assert manifest.empty_classes == ("empty",)
    assert any("1 files are no photos" in note for note in manifest.notes)
    assert any("1 photos lie beside the class folders" in note for note in manifest.notes)
    row = manifest.rows[0]
    assert (row.width, row.height, row.problem) == (96, 72, None)
    assert row.bytes == (folder / row.path).stat().st_size


@pytest.mark.parametrize(
    "words", [("train", "val", "test"), ("Training", "valid", "testing"), ("train", "validation", "test")]
)
def test_a_folder_for_each_split_and_class(tmp_path: Path, options: SourceOptions, words: tuple[str, ...]) -> None:
    for number, word in enumerate(words):
        draw(tmp_path / "d" / word / "cat" / "a.png", number)
    draw(tmp_path / "d" / "inf" / "cat" / "b.png", 7)
    manifest = read_source(tmp_path / "d", options)
    assert {row.split: row.label for row in manifest} == {"train": "cat", "val": "cat", "test": "cat"}
    assert any("inf/ is no split that is known here: its 1 photos" in note for note in manifest.notes)


def test_a_folder_in_a_folder_is_entered(tmp_path: Path, options: SourceOptions) -> None:
    draw_classes(tmp_path / "outer" / "animals", {"cat": 1, "dog": 1})
    manifest = read_source(tmp_path / "outer", options)
    assert manifest.classes == ("cat", "dog")
    assert manifest.notes == ("read from animals/",)


def test_links_that_go_round_end(tmp_path: Path, options: SourceOptions) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 1, "dog": 1})
    (folder / "cat" / "round").symlink_to(folder / "cat", target_is_directory=True)
    assert len(read_source(folder, options)) == 2


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table(tmp_path: Path, options: SourceOptions, separator: str) -> None:
    draw(tmp_path / "a.png", 1)
    draw(tmp_path / "sub" / "b.png", 2)
    table = write_csv(
        tmp_path / "labels.csv",
        ("File Name", "Species", "site", "set"),
        ("a.png", " wild boar ", "north", "training"),
        (str(tmp_path / "sub" / "b.png"), "lynx", "", ""),
        separator=separator,
    )
    manifest = read_source(table, options)
    assert found(manifest) == [("a.png", "wild boar", "train"), ("sub/b.png", "lynx", None)]
    assert [row.group for row in manifest] == ["north", None]
    assert read_source(tmp_path, options).rows == manifest.rows or (tmp_path / "sub").is_dir()


def test_a_table_of_json_lines_and_parquet(tmp_path: Path, options: SourceOptions) -> None:
    draw(tmp_path / "a.png", 1)
    row = {"image": "a.png", "label": 3, "split": None}
    (tmp_path / "t.jsonl").write_text(f"{json.dumps(row)}\n\n", encoding="utf-8")
    duckdb_parquet.write_table(
        tmp_path / "t.parquet", [row], {"image": "VARCHAR", "label": "INTEGER", "split": "VARCHAR"}, ""
    )
    (tmp_path / "u.parquet").write_bytes((tmp_path / "t.parquet").read_bytes())
    expected = [("a.png", "3", None)]
    assert found(read_source(tmp_path / "t.jsonl", options)) == expected
    assert found(read_source(tmp_path / "t.parquet", SourceOptions(kind="table", cache=options.cache))) == expected


def test_columns_by_name_and_root(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", 1)
    table = write_csv(tmp_path / "t.csv", ("where", "what", "label"), ("a.png", "fox", "ignored"))
    options = SourceOptions(
        cache=tmp_path / "cache", root=tmp_path / "photos", columns=Columns(path="where", label="what")
    )
    assert found(read_source(table, options)) == [("a.png", "fox", None)]


def test_photos_beside_one_table(tmp_path: Path, options: SourceOptions) -> None:
    draw(tmp_path / "d" / "a.png", 1)
    write_csv(tmp_path / "d" / "labels.csv", ("file", "label"), ("a.png", "fox"))
    assert found(read_source(tmp_path / "d", options)) == [("a.png", "fox", None)]


def test_some_paths_of_a_table_are_not_there(tmp_path: Path, options: SourceOptions) -> None:
    draw(tmp_path / "a.png", 1)
    rows = (("a.png", "fox"), ("gone.png", "fox"), ("a.png", "fox"), ("a.png", ""))
    manifest = read_source(write_csv(tmp_path / "t.csv", ("path", "label"), *rows), options)
    assert [row.problem for row in manifest if row.path == "gone.png"] == ["is not there (moved, renamed or deleted?)"]
    assert any("1 of 4 paths are not there; first: 'gone.png'" in note for note in manifest.notes)
    assert any("1 rows repeat another" in note for note in manifest.notes)
    assert [row.problem for row in manifest if not row.label] == ["has no label"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("file", "speciess"), ("a.png", "x")],
            "no column for the label; it has 'file', 'speciess'; nearest: 'speciess'",
        ),
        ([("foto", "label"), ("a.png", "x")], "no column for the path; it has 'foto', 'label'; nearest: 'foto'"),
        (
            [("path", "label"), ("no.png", "x"), ("no2.png", "y")],
            "none of its 2 paths is there below .*; first: 'no.png'",
        ),
        ([("path", "label", "split"), ("a.png", "x", "holdout")], "the split 'holdout' is none of train"),
        ([("path", "label"), ("a.png",)], "row 2: 1 cells where the header has 2"),
        ([("path", "label")], "has no rows"),
        ([], "is empty"),
    ],
)
def test_what_tables_are_refused(
    tmp_path: Path, options: SourceOptions, rows: list[tuple[str, ...]], message: str
) -> None:
    draw(tmp_path / "a.png", 1)
    with pytest.raises(UsageError, match=message):
        read_source(write_csv(tmp_path / "t.csv", *rows), options)


@pytest.mark.parametrize(
    ("name", "data"), [("t.csv", b"\xff\xfe\xfa"), ("t.jsonl", b"{oops"), ("t.jsonl", b"[1]"), ("t.parquet", b"x")]
)
def test_what_is_no_table(tmp_path: Path, options: SourceOptions, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=r"t\.(csv|jsonl|parquet)"):
        read_source(tmp_path / name, options)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_imagefolder(tmp_path: Path, options: SourceOptions, suffix: str) -> None:
    for split in ("train", "test"):
        draw(tmp_path / "d" / split / "x.png", len(split))
        draw(tmp_path / "d" / split / "unnamed.png", 10 + len(split))
        file = tmp_path / "d" / split / f"metadata.{suffix}"
        if suffix == "csv":
            write_csv(file, ("file_name", "text", "label"), ("x.png", "t", "owl"))
        else:
            file.write_text(json.dumps({"file_name": "x.png", "label": "owl"}), encoding="utf-8")
    manifest = read_source(tmp_path / "d", options)
    assert found(manifest) == [("test/x.png", "owl", "test"), ("train/x.png", "owl", "train")]
    assert manifest.notes[-1] == "2 photos are not in the metadata and were left out"
    assert all("label is 'label'" in note for note in manifest.notes[:-1])


def test_imagefolder_without_labels_takes_the_folders(tmp_path: Path, options: SourceOptions) -> None:
    draw(tmp_path / "d" / "owl" / "x.png", 1)
    write_csv(tmp_path / "d" / "metadata.csv", ("file_name", "caption"), ("owl/x.png", "t"))
    assert found(read_source(tmp_path / "d", options)) == [("owl/x.png", "owl", None)]
    draw(tmp_path / "e" / "x.png", 1)
    write_csv(tmp_path / "e" / "metadata.csv", ("file_name", "caption"), ("x.png", "t"))
    with pytest.raises(UsageError, match="no column for the label"):
        read_source(tmp_path / "e", options)


def test_a_manifest_is_a_source(tmp_path: Path, options: SourceOptions) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 1, "dog": 1})
    manifest = read_source(folder, options)
    manifest.write(tmp_path / "m.parquet")
    assert read_source(tmp_path / "m.parquet", options).rows == manifest.rows
    draw(folder / "cat" / "0.png", 77, (50, 50))
    with pytest.raises(UsageError, match=r"1 photos have changed since it was written; first: 'cat/0.png'"):
        read_source(tmp_path / "m.parquet", options)
    shutil.rmtree(folder)
    with pytest.raises(UsageError, match=r"2 of 2 photos are not to be found .* first: 'cat/0.png'"):
        read_source(tmp_path / "m.parquet", options)


def test_labels_with_odd_characters(tmp_path: Path, options: SourceOptions) -> None:
    names = ["naïve 🦊", "a'b\"c", "=1+1", "[x]*?", "tab\there"]
    folder = draw_classes(tmp_path / "photos", dict.fromkeys(names, 1))
    manifest = read_source(folder, options)
    assert set(manifest.classes) == set(names)
    manifest.write(tmp_path / "m.parquet")
    assert set(Manifest.read(tmp_path / "m.parquet").classes) == set(names)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_not_unicode_is_a_problem(tmp_path: Path, options: SourceOptions) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 1, "dog": 1})
    shutil.copyfile(folder / "cat" / "0.png", os.fsencode(folder) + b"/cat/caf\xe9.png")
    manifest = read_source(folder, options)
    assert [row.problem for row in manifest if row.problem] == ["has a name that is not UTF-8; rename it"]
    manifest.write(tmp_path / "m.parquet")


def test_broken_photos_stay_as_rows(tmp_path: Path, options: SourceOptions) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 2, "dog": 1})
    file = folder / "cat" / "1.png"
    file.write_bytes(file.read_bytes()[:200])
    row = read_source(folder, options).rows[1]
    assert row.problem
    assert "cut short" in row.problem
    assert row.sha256
    assert row.bytes == 200


@pytest.mark.parametrize("turned", [1, 6])
def test_sizes_are_those_of_the_upright_photo(tmp_path: Path, options: SourceOptions, turned: int) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 0, "dog": 1})
    exif = Image.Exif()
    exif[0x0112] = turned
    Image.new("RGB", (801, 400), "red").save(folder / "cat" / "x.jpg", exif=exif)
    row = read_source(folder, options).rows[0]
    assert (row.width, row.height) == ((801, 400) if turned == 1 else (400, 801))


def test_nothing_usable(tmp_path: Path, options: SourceOptions) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "classes" / "cat").mkdir(parents=True)
    draw(tmp_path / "loose" / "x.png", 1)
    (tmp_path / "notes.txt").write_text("x")
    cases: dict[str, str] = {
        "empty": "has no classes: it holds no folder",
        "classes": "its 1 class folders are empty",
        "loose": "1 photos lie in it without a folder that names them",
        "notes.txt": "a file of no kind that is read here",
        "clases": "did you mean '.*classes'",
    }
    for name, message in cases.items():
        with pytest.raises(UsageError, match=message):
            read_source(tmp_path / name, options)
    with pytest.raises(UsageError, match="no such kind of source"):
        read_source(tmp_path, SourceOptions(kind="zoo"))


def test_a_folder_that_may_not_be_read(tmp_path: Path, options: SourceOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 1, "dog": 1})
    scandir = os.scandir

    def refuse(path: Any) -> Any:  # as root, permissions refuse nothing
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(AnimalsError, match=r"cannot read the folder .*dog.*Permission denied") as refusal:
        read_source(folder, options)
    assert refusal.value.exit_code == 1


def test_a_mount_without_inodes_loses_no_folder(
    tmp_path: Path, options: SourceOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 1, "dog": 1})
    draw(folder / "cat" / "deeper" / "c.jpg", 9)
    draw(folder / "cat" / "further" / "d.jpg", 10)
    without_inodes(monkeypatch)
    assert len(read_source(folder, options)) == 4


@pytest.mark.parametrize("options", [SourceOptions(boxes=Path("md.json")), SourceOptions(blanks=True)])
def test_boxes_and_blanks_are_not_ignored_without_a_file_of_another_program(
    tmp_path: Path, options: SourceOptions
) -> None:
    with pytest.raises(UsageError, match=r"say which with kind \(megadetector, camtrap-dp"):
        read_source(tmp_path, options)


def test_a_file_of_another_program_asks_for_its_kind(tmp_path: Path) -> None:
    (tmp_path / "md.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"needs its kind \(megadetector, "):
        read_source(tmp_path / "md.json")
