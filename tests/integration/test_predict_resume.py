"""Killed, interrupted, torn and starved runs go on where they were, and end as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import signal
import sys
from contextlib import closing
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from animal_classification.predict.writers.table_file import TableFile
from tests.support.predicting import plant, read, run, start, stop_midway, wait_for_rows
from tests.support.tiny_bundle import write_tiny_bundle

NUMBER = 1000
ONE = ("--threads", "1", "--engine", "onnxruntime")  # slow enough to be caught, and quick to start
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    plant(folder, NUMBER)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model: Path, photos: Path) -> dict[str, bytes]:
    """What each format looks like when nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    tables = {}
    for ending in ("csv", "jsonl", "parquet"):
        done = run("predict", photos, "--model", model, "--output", folder / f"x.{ending}", "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        tables[ending] = (folder / f"x.{ending}").read_bytes()
    return tables


def lines(errors: str) -> list[str]:
    assert "Traceback" not in errors
    return errors.splitlines()


@POSIX
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_kill_9_again_and_again(
    tmp_path: Path, model: Path, photos: Path, undisturbed: dict[str, bytes], ending: str
) -> None:
    output, journal = tmp_path / f"x.{ending}", tmp_path / f"x.{ending}.partial"
    chance = random.Random(ending)
    kills, rows = 0, 0
    while True:
        words = ["predict", photos, "--model", model, "--output", output, *ONE, "--quiet"]
        with start(*words, *(["--resume"] if kills else [])) as process:
            rows += chance.randrange(NUMBER // 20, NUMBER // 3)
            wait_for_rows(journal, rows, process)
            process.kill()
            _, errors = process.communicate()
        if process.returncode == 0:
            break
        assert (process.returncode, errors) == (-signal.SIGKILL, b"")
        assert not output.exists()
        rows = max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0
        kills += 1
    assert kills >= 2
    assert sorted(tmp_path.iterdir()) == [output]
    if ending == "parquet":  # its bytes may depend on how DuckDB cut the work
        reference = tmp_path / "reference.parquet"
        reference.write_bytes(undisturbed[ending])
        assert read(output) == read(reference)
    else:
        assert output.read_bytes() == undisturbed[ending]


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_is_done_and_goes_on(
    tmp_path: Path, model: Path, photos: Path, undisturbed: dict[str, bytes], number: signal.Signals
) -> None:
    output, journal = tmp_path / "x.csv", tmp_path / "x.csv.partial"
    words = ["predict", photos, "--model", model, "--output", output, *ONE]
    code, out, errors = stop_midway(words, journal, 100, number, before=lambda: output.unlink(missing_ok=True))
    assert (code, out) == (130, "")
    done = len(read(output))
    assert 100 <= done < NUMBER
    (line,) = lines(errors)
    assert line == f"animals: interrupted: {done} of {NUMBER} done, kept in {str(output)!r}; go on with --resume"
    assert undisturbed["csv"].startswith(output.read_bytes())
    refused = run(*words)
    assert refused.returncode == 2
    assert "add --resume" in lines(refused.stderr.decode())[0]
    assert run(*words, "--resume").returncode == 0
    assert output.read_bytes() == undisturbed["csv"]
    assert sorted(tmp_path.iterdir()) == [output]


@POSIX
def test_an_interrupted_run_leaves_the_table_of_an_earlier_one(tmp_path: Path, model: Path, photos: Path) -> None:
    output = tmp_path / "x.csv"
    words = ["predict", photos, "--model", model, "--output", output, *ONE]
    code, _, errors = stop_midway(
        [*words, "--overwrite"],
        tmp_path / "x.csv.partial",
        20,
        signal.SIGINT,
        before=lambda: output.write_bytes(b"precious"),
    )
    assert code == 130
    assert "stays as it was; go on with --resume" in lines(errors)[0]
    assert output.read_bytes() == b"precious"
    assert run(*words, "--resume", "--quiet").returncode == 0
    assert len(read(output)) == NUMBER


@POSIX
def test_an_interrupted_stream_is_whole(tmp_path: Path, model: Path, photos: Path) -> None:
    words = ["predict", photos, "--model", model, "--format", "json", *ONE]
    with (tmp_path / "x.json").open("wb") as file, start(*words, stdout=file) as process:
        wait_for_rows(tmp_path / "x.json", 20, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    rows = read(tmp_path / "x.json")
    assert lines(errors.decode()) == [f"animals: interrupted: {len(rows)} of {NUMBER} done"]


def test_two_runs_cannot_write_the_same_table(
    tmp_path: Path, model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "x.csv"
    words = ["predict", str(photos), "--model", str(model), "--output", str(output)]
    with closing(TableFile(str(output), "csv")):
        for extra in ([], ["--resume"]):
            assert main([*words, *extra]) == 1
            (line,) = lines(capsys.readouterr().err)
            assert "another run is writing" in line
    assert main([*words, "--quiet"]) == 0
    assert len(read(output)) == NUMBER


@pytest.mark.usefixtures("unmeasured")
@POSIX
def test_a_full_disk_leaves_rows_to_go_on_with(
    tmp_path: Path, model: Path, photos: Path, undisturbed: dict[str, bytes]
) -> None:
    import resource

    output = tmp_path / "x.csv"
    words = ["predict", photos, "--model", model, "--output", output, "--quiet"]
    limited = run(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000)))
    assert limited.returncode == 1
    (line,) = lines(limited.stderr.decode())
    assert "the disk is full; what is done is kept: make room and go on with --resume" in line
    assert (tmp_path / "x.csv.partial").stat().st_size == 150_000
    assert run(*words, "--resume").returncode == 0
    assert output.read_bytes() == undisturbed["csv"]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_a_finished_table_gets_the_new_photos(tmp_path: Path, model: Path, ending: str) -> None:
    folder, output = tmp_path / "p", tmp_path / f"x.{ending}"
    plant(folder, 30)
    words = ["predict", str(folder), "--model", str(model), "--output", str(output), "--quiet"]
    assert main(words) == 0
    before = read(output)
    shutil.copy(folder / "000" / "00001.jpg", folder / "000" / "00000-new.jpg")
    assert main([*words, "--resume"]) == 0
    after = read(output)
    assert after[:-1] == before
    assert after[-1]["path"] == "000/00000-new.jpg"
    assert main([*words, "--resume"]) == 0
    assert read(output) == after


@POSIX
def test_going_on_needs_the_same_options(
    tmp_path: Path, photos: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "x.csv"
    other = write_tiny_bundle(tmp_path / "other", version="2")
    words = ["predict", photos, "--output", output, *ONE]
    stop_midway([*words, "--model", model], tmp_path / "x.csv.partial", 5, signal.SIGKILL)
    kept = (tmp_path / "x.csv.partial").read_bytes()
    for changed, message in (
        (["--model", other], "begun with model tiny 1"),
        (["--model", model, "--top-k", "2"], "begun with --top-k 5, not 2"),
        (["--model", model, "--sort-into", tmp_path / "s"], "begun with --sort-into nothing"),
        (["--model", model, tmp_path], "begun with the paths"),
    ):
        assert main([*map(str, [*words, "--resume", *changed])]) == 2
        (line,) = lines(capsys.readouterr().err)
        assert message in line
    assert (tmp_path / "x.csv.partial").read_bytes() == kept
