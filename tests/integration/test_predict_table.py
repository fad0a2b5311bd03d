"""``animals predict`` from photos to tables: what is in them, and what is said."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from animal_classification.predict.table import columns
from tests.support.predicting import PHOTOS, read, run
from tests.support.tiny_bundle import write_tiny_bundle

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not take")
Capture = pytest.CaptureFixture[str]

HOSTILE = [
    b"with space.jpg",
    b" space at both ends.jpg ",
    b"quo\"te's.jpg",
    b"new\nline.jpg",
    b"carriage\rreturn.jpg",
    b"comma,semi;colon\ttab.jpg",
    "🦁.jpg".encode(),
    "أسد.jpg".encode(),
    b"caf\xe9.jpg",
    rb"caf\xe9.jpg",
    b"=1+1.jpg",
    b"-rf.jpg",
    b"+x.jpg",
    b"@x.jpg",
    b"\x1b[31mred\x07.jpg",
    "\u202egpj.jpg".encode(),
    b"back\\slash.jpg",
    b"%s{0}$HOME`id`.jpg",
    b"[bold]x[-bold].jpg",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    groups = {"cat": "feline > small cat", "lion": "feline > big cat"}
    return str(write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny", groups=groups))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "lion.jpg").write_bytes(PHOTOS["lion"])
    (folder / "sub" / "cat.jpg").write_bytes(PHOTOS["cat"])
    (folder / "sub" / "grey.jpg").write_bytes(PHOTOS["not an animal"])
    (folder / "broken.jpg").write_bytes(PHOTOS["dog"][:50])
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("hello")
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_folder_becomes_a_table(photos: Path, model: str, capsys: Capture) -> None:
    assert main(["predict", "photos", "--model", model, "--output", "x.csv", "--top-k", "2"]) == 0
    rows = read(Path("x.csv"))
    assert [row["path"] for row in rows] == ["broken.jpg", "empty.jpg", "lion.jpg", "sub/cat.jpg", "sub/grey.jpg"]
    assert list(rows[0]) == columns(2)
    assert rows[0]["error"]
    assert rows[1]["error"]
    lion = rows[2]
    assert (lion["label"], lion["label_id"], lion["group"], lion["unknown"]) == ("lion", "lion-id", "feline", "false")
    assert float(lion["probability"]) > 0.99
    assert (lion["model"], lion["model_version"], lion["error"]) == ("tiny", "1", "")
    assert rows[4]["unknown"] == "true"
    out, err = capsys.readouterr()
    assert out == ""
    assert "5 photos in" in err
    assert "unreadable     2" in err
    assert "not an animal  1" in err
    assert "not looked at: 1 document (--all-files gives each a row)" in err
    assert (lion["answer"], rows[1]["answer"], rows[4]["answer"]) == ("lion", "", "not an animal")
    assert list(lion)[:3] == ["path", "answer", "answer_probability"]


def test_every_format_says_the_same(photos: Path, model: str) -> None:
    for ending in ("csv", "xlsx", "json", "jsonl", "parquet"):
        assert main(["predict", "photos", "--model", model, "--output", f"x.{ending}", "--quiet"]) == 0
    tables = {ending: read(Path(f"x.{ending}")) for ending in ("csv", "json", "jsonl", "parquet")}
    assert tables["json"] == tables["jsonl"]
    for csv, row, parquet in zip(tables["csv"], tables["json"], tables["parquet"], strict=True):
        assert list(csv) == list(parquet)
        assert csv["path"] == row["path"] == parquet["path"]
        assert csv["error"] == (row["error"] or "")
        assert parquet["error"] == row["error"]
        if row["error"] is None:
            assert float(csv["probability"]) == row["probability"] == parquet["probability"]
            assert row["top"][0] == {name: row[name] for name in ("label", "label_id", "probability")}
            assert csv["label_3"] == row["top"][2]["label"] == parquet["label_3"]
            assert parquet["label_5"] is None
            assert csv["label_5"] == ""
        else:
            assert row["top"] == row["set"] == []
            assert parquet["label"] is parquet["unknown"] is parquet["set"] is None


@POSIX
@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_hostile_names_have_their_row_in_every_format(tmp_path: Path, model: str, ending: str) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    raw = [name for name in HOSTILE if name.endswith(b".jpg")]
    for name in raw:
        Path(folder, os.fsdecode(name)).write_bytes(PHOTOS["cat"])
    output = tmp_path / f"x.{ending}"
    done = run("predict", folder, "--model", model, "--output", output)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"\x1b" not in done.stderr
    names = [row["path"].removeprefix("./") for row in read(output)]
    shown = {name.decode("utf-8", "backslashreplace") if name != rb"caf\xe9.jpg" else r"caf\\xe9.jpg" for name in raw}
    assert set(names) == shown
    assert len(names) == len(raw)
    again = run("predict", folder, "--model", model, "--output", output, "--resume")
    assert again.returncode == 0
    assert [row["path"].removeprefix("./") for row in read(output)] == names


@POSIX
def test_hostile_names_do_nothing_to_a_terminal(tmp_path: Path, model: str) -> None:
    import pty

    folder = tmp_path / "p"
    folder.mkdir()
    for name in HOSTILE:
        Path(folder, os.fsdecode(name)).write_bytes(PHOTOS["cat"] if b"x" in name else b"no")
    for words in (
        [],
        ["--format", "csv"],
        ["--format", "jsonl"],
        ["--json"],
        ["--sort-into", str(tmp_path / "s"), "--dry-run"],
    ):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "100"}
        done = run("predict", folder, "--model", model, *words, stdout=theirs, env=environment)
        os.close(theirs)
        shown = drain(ours)
        assert done.returncode == 0
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "\u202e" not in shown
        assert "new\\nline" in shown  # in JSON too, where it is an escape
        assert "أسد" in shown


def drain(terminal: int) -> str:
    """What was shown on a pseudo-terminal whose other end is closed."""
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # what Linux says at the end
            piece = b""
        if not piece:
            os.close(terminal)
            return shown.decode("utf-8")
        shown += piece


def test_a_pipe_gets_csv_and_the_summary_goes_elsewhere(photos: Path, model: str, capsys: Capture) -> None:
    assert main(["predict", "photos", "--model", model, "--top-k", "1"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("path,answer,")
    assert len(out.splitlines()) == 6
    assert "5 photos" in err


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv"])
def test_standard_output_in_any_text_format(photos: Path, model: str, kind: str, capsys: Capture) -> None:
    assert main(["predict", "photos", "--model", model, "--output", "-", "--format", kind, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    Path(f"y.{kind}").write_text(out, encoding="utf-8", newline="")
    assert len(read(Path(f"y.{kind}"))) == 5


def test_json_is_one_object_and_nothing_else(photos: Path, model: str, capsys: Capture) -> None:
    assert main(["predict", "photos", "--model", model, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["photos"], found["unreadable"], found["unknown"], found["skipped"]) == (5, 2, 1, 1)
    assert found["animals"] == {"cat": 1, "lion": 1}
    assert found["output"] is None
    assert found["seconds"] > 0
    assert found["rate"] > 0
    assert [row["path"] for row in found["predictions"]][2] == "lion.jpg"
    assert main(["predict", "photos", "--model", model, "--json", "--output", "x.jsonl"]) == 0
    with_file = json.loads(capsys.readouterr().out)
    assert with_file["output"] == "x.jsonl"
    assert "predictions" not in with_file
    assert read(Path("x.jsonl")) == found["predictions"]


def test_groups_and_animals_are_what_a_person_is_told(tmp_path: Path, capsys: Capture) -> None:
    careful = write_tiny_bundle(
        tmp_path / "careful", groups={"cat": "pet", "dog": "pet"}, rollup={"threshold": 0.9},
        unknown={"method": "max_probability", "threshold": 0.2},
    )  # fmt: skip
    (tmp_path / "grey.jpg").write_bytes(PHOTOS["not an animal"])
    assert main(["predict", str(tmp_path / "grey.jpg"), "--model", str(careful), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["animals"] == {"animal": 1}


def test_files_folders_and_patterns_together(photos: Path, model: str, capsys: Capture) -> None:
    words = ["photos/lion.jpg", "photos/sub", "photos/**/*.jpg", "photos/notes.txt"]
    assert main(["predict", *words, "--model", model, "--output", "-", "--format", "jsonl", "-q"]) == 0
    names = [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()]
    assert names == [
        "photos/lion.jpg", "photos/sub/cat.jpg", "photos/sub/grey.jpg", "photos/broken.jpg", "photos/empty.jpg",
        "photos/notes.txt",
    ]  # fmt: skip


def test_tables_in_the_folder_of_the_photos_are_not_read(
    photos: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    for _ in range(2):
        assert main(["predict", ".", "--model", model, "--output", "x.jpg", "--format", "jsonl", "-q"]) == 0
        names = [json.loads(line)["path"] for line in Path("x.jpg").read_text().splitlines()]
        assert names == ["broken.jpg", "empty.jpg", "lion.jpg", "sub/cat.jpg", "sub/grey.jpg"]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_both_engines_and_any_number_of_threads(photos: Path, model: str, engine: str) -> None:
    for threads in ("1", "3"):
        output = f"{engine}{threads}.csv"
        words = ["--engine", engine, "--threads", threads, "--output", output, "-q"]
        assert main(["predict", "photos", "--model", model, *words]) == 0
        assert [row["label"] for row in read(Path(output))] == ["", "", "lion", "cat", read(Path(output))[4]["label"]]


def test_a_reader_that_goes_away_ends_it_quietly(photos: Path, model: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = run("predict", photos, "--model", model, stdout=theirs)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, b"")


@POSIX
def test_odd_surroundings(photos: Path, model: str) -> None:
    full = Path("/dev/full")
    if full.exists():
        with full.open("wb") as file:
            done = run("predict", photos, "--model", model, "--json", "-q", stdout=file)
        assert done.returncode == 1
        assert done.stderr == b"animals: cannot write to the standard output: no space left on device\n"
    shutil.copy(photos / "lion.jpg", photos / "أسد.jpg")
    plain = {**os.environ, "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = run("predict", photos, "--model", model, env=plain)
    assert done.returncode == 0
    assert "أسد.jpg".encode() in done.stdout
