"""Wrong calls and bad luck: one clear line, the right exit code, and no row lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from tests.support.predicting import PHOTOS, plant, read, start, wait_for_rows
from tests.support.tiny_bundle import write_tiny_bundle

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="permissions and signals")
NOBODY = 65534
# Everything is imported by a first run, because another user may not be allowed to read this Python.
AS_NOBODY = f"""
import os, sys
from animal_classification.cli.main import main
readable, *words = sys.argv[1:]
if os.geteuid() == 0:
    assert main(["predict", readable, "--quiet", "--format", "csv", *words[words.index("--model"):]]) == 0
    os.setgid({NOBODY})
    os.setuid({NOBODY})
sys.exit(main(words))
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(PHOTOS["cat"])
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other" / "photos").mkdir(parents=True)
    (tmp_path / "other" / "photos" / "notes.txt").write_text("hello")
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_line(capsys: Capture) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    (line,) = err.splitlines()
    assert line.startswith("animals: ")
    return line.removeprefix("animals: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no such file or folder: 'nowhere'"),
        (["photso"], "did you mean 'photos'?"),
        (["photos", "nowhere"], "no such file or folder: 'nowhere'"),
        (["photos/*.png"], "no photo matches 'photos/*.png'"),
        (["photos", "--model", "no/such/model"], "no/such/model"),
        (["photos", "--engine", "abacus"], "'abacus' is not one of 'auto', 'openvino', 'onnxruntime'"),
        (["photos", "--threads", "0"], "'--threads'"),
        (["photos", "--top-k", "many"], "'--top-k'"),
        (["photos", "--format", "ods"], "'--format'"),
        (["photos", "--output", "x.ods"], "ends in none of"),
        (["photos", "--output", "photos"], "ends in none of"),
        (["photos", "--output", "photos", "--format", "csv"], "is a folder"),
        (["photos", "--resume"], "name it with --output"),
        (["photos", "--dry-run"], "add --sort-into"),
        (["photos", "--sort-into", "photos"], "is, or holds, the folder 'photos'"),
        (["photos", "--sort-into", "."], "is, or holds, the folder 'photos'"),
        (["photos", "--sort-into", "notes.txt"], "is a file, not a folder"),
        (["photos", "--topk", "3"], "no such option '--topk'; did you mean '--top-k'?"),
        ([], "missing argument 'PATH...'"),
    ],
)
def test_wrong_calls(here: Path, model: str, words: list[str], message: str, capsys: Capture) -> None:
    before = sorted(here.rglob("*"))
    assert main(["predict", *([] if "--model" in words else ["--model", model]), *words]) == 2
    assert message in one_line(capsys)
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photos", "--output", "no/x.csv"], "there is no folder"),
        (["photos", "--sort-into", "no/sorted"], "there is no folder"),
        (["empty"], "no photos in 'empty'"),
        (["other", "--output", "x.csv"], "no photos in 'other', which holds 1 document"),
    ],
)
def test_work_that_cannot_be_done(here: Path, model: str, words: list[str], message: str, capsys: Capture) -> None:
    before = sorted(here.rglob("*"))
    assert main(["predict", "--model", model, *words, "--format", "jsonl"]) == 1
    assert message in one_line(capsys)
    assert sorted(here.rglob("*")) == before


def test_no_photos_do_not_replace_a_table(here: Path, model: str) -> None:
    Path("x.csv").write_text("precious")
    assert main(["predict", "empty", "--model", model, "--output", "x.csv", "--overwrite"]) == 1
    assert Path("x.csv").read_text() == "precious"


def test_nothing_readable_is_a_table_and_a_failure(here: Path, model: str, capsys: Capture) -> None:
    assert main(["predict", "bad.jpg", "notes.txt", "--model", model, "--output", "x.csv", "-q"]) == 1
    assert "none of the 2 photos could be read" in one_line(capsys)
    assert [row["path"] for row in read(Path("x.csv"))] == ["bad.jpg", "notes.txt"]
    assert all(row["error"] for row in read(Path("x.csv")))


def test_a_strangers_file_is_not_taken_for_a_journal(here: Path, model: str, capsys: Capture) -> None:
    Path("x.csv.partial").write_text("my diary\n")
    assert main(["predict", "photos", "--model", model, "--output", "x.csv"]) == 2
    assert "some other file" in one_line(capsys)
    assert Path("x.csv.partial").read_text() == "my diary\n"


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_going_on_with_something_else_is_refused(here: Path, model: str, ending: str, capsys: Capture) -> None:
    Path(f"x.{ending}").write_text("not a table\n")
    assert main(["predict", "photos", "--model", model, "--output", f"x.{ending}", "--resume"]) == 2
    assert "cannot go on with" in one_line(capsys)
    assert Path(f"x.{ending}").read_text() == "not a table\n"
    assert not Path(f"x.{ending}.partial").exists()


@POSIX
def test_a_folder_that_vanishes_meanwhile(tmp_path: Path, model: str) -> None:
    folder, output = tmp_path / "photos", tmp_path / "x.jsonl"
    plant(folder, 1200, per_folder=1200)
    words = ["predict", folder, "--model", model, "--output", output, "--threads", "1", "--quiet"]
    for _ in range(10):  # it may be done before the folder is gone, where other work keeps this test waiting
        with start(*words) as process:
            wait_for_rows(tmp_path / "x.jsonl.partial", 20, process)
            process.send_signal(signal.SIGSTOP)
            folder.rename(tmp_path / "elsewhere")
            process.send_signal(signal.SIGCONT)
            _, errors = process.communicate()
        if process.returncode != 0:
            break
        (tmp_path / "elsewhere").rename(folder)
    assert process.returncode == 1
    (line,) = errors.decode().splitlines()
    assert line == (
        f"animals: cannot read the folder {str(folder / '000')!r} (it is not there any more): "
        "its photos are missing from the result"
    )
    rows = read(output)
    assert 20 <= len(rows) < 1200
    assert [row["path"] for row in rows] == [f"000/{index:05d}.jpg" for index in range(len(rows))]
    assert all((row["error"] is None) == (index % 23 != 0) for index, row in enumerate(rows))
    (tmp_path / "elsewhere").rename(folder)
    assert main([*map(str, words), "--resume"]) == 0
    assert [row["path"] for row in read(output)] == [f"000/{index:05d}.jpg" for index in range(1200)]


@pytest.mark.usefixtures("unmeasured")
@POSIX
def test_what_may_not_be_read(tmp_path: Path) -> None:
    """As another user where this one may read everything."""
    root = os.geteuid() == 0
    place = Path("/tmp" if root else tmp_path, f"animals-test-{os.getpid()}")
    place.mkdir()
    try:
        folder = place / "photos"
        for name in ("closed/a.jpg", "open/b.jpg", "open/c.jpg", "unreachable/d.jpg"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(PHOTOS["cat"])
        model = write_tiny_bundle(place / "tiny")
        (place / "out").mkdir()
        readable = folder / "open" / "b.jpg"
        if root:
            for path in (place, *place.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        (folder / "open" / "c.jpg").chmod(0)
        (folder / "unreachable").chmod(0o400)
        (folder / "closed").chmod(0)

        def call(*words: object) -> tuple[int, list[str]]:
            whole = ["predict", *words, "--model", model, "--quiet"]
            done = subprocess.run(
                [sys.executable, "-c", AS_NOBODY, str(readable), *map(str, whole)],
                capture_output=True, check=False,
            )  # fmt: skip
            assert b"Traceback" not in done.stderr
            return done.returncode, done.stderr.decode().splitlines()

        output = place / "out" / "x.csv"
        code, errors = call(folder, "--output", output)
        assert code == 1
        assert errors == [
            f"animals: cannot read the folder {str(folder / 'closed')!r} (permission denied): "
            "its photos are missing from the result"
        ]
        errors_by_path = {row["path"]: row["error"] for row in read(output)}
        assert list(errors_by_path) == ["open/b.jpg", "open/c.jpg", "unreachable/d.jpg"]
        assert errors_by_path["open/b.jpg"] == ""
        assert "permission denied" in errors_by_path["open/c.jpg"]
        assert "permission denied" in errors_by_path["unreachable/d.jpg"]
        assert call(folder / "closed") == (
            1,
            [
                f"animals: cannot read the folder {str(folder / 'closed')!r} (permission denied): "
                "its photos are missing from the result"
            ],
        )
        (place / "out").chmod(0o500)
        for words in (["--output", place / "out" / "y.csv"], ["--sort-into", place / "out" / "s"]):
            code, errors = call(folder / "open", *words)
            assert (code, len(errors)) == (1, 1)
            assert "permission denied" in errors[0]
    finally:
        for path in place.rglob("*"):
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(place)
