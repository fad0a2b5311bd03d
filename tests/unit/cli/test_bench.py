"""``animals bench predict``: what it computes, prints and leaves behind; no contestant runs here."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from animal_classification.cli import bench
from animal_classification.cli.main import main
from animal_classification.errors import AnimalsError, UsageError
from benchmarks.predict import contestants, photos, processes, report, run, tuning
from benchmarks.predict.processes import Measured

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it measures processes as POSIX counts them")

TUNED = {"workers": 1, "threads": 2, "batch": 16, "channels_last": True, "draft": True, "uint8": False}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files that are called photos; nobody decodes them."""
    place = tmp_path / "zoo"
    (place / "cats").mkdir(parents=True)
    for name in ("lion.JPEG", "tench.jpg", "cats/tabby.png"):
        (place / name).write_bytes(name.encode())
    (place / "notes.txt").write_text("no photo")
    return place


class Machine:
    """Takes the place of processes: writes what a contestant would, at a given speed."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.works: set[Path] = set()
        self.others = 0.01
        self.speeds = {"ours": 190.0, "torch_loop": 50.0}

    def run_module(
        self, python: Path, module: str, options: Sequence[str], work: Path, env: Mapping[str, str] | None = None
    ) -> Measured:
        assert python.is_absolute()
        assert env is not None
        self.works.add(work)
        self.order.append(module)
        return Measured(9.0, 350.0, self.others, self._report(module, list(options)))

    def _report(self, module: str, options: list[str]) -> dict[str, Any]:
        if module == "floor":
            return {"decode": 0.001, "inference": 0.004, "batch": 8, "cores": 2, "engine": "openvino"}
        if module == "torch_search":
            return {"tried": [{"settings": TUNED | {"batch": batch}, "photos_per_second": batch} for batch in (8, 16)]}
        names = sorted(path.name for path in Path(options[options.index("--output") - 1]).iterdir())
        rows = [f"{name},n{number % 2}" for number, name in enumerate(names)]
        Path(options[options.index("--output") + 1]).write_text("\n".join(["path,label_id", *rows]))
        return {
            "seconds": len(names) / self.speeds[module],
            "versions": {"torch": "2"} if module == "torch_loop" else {},
        }


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    fake = Machine()
    monkeypatch.setattr(contestants, "run_module", fake.run_module)
    monkeypatch.setattr(tuning, "run_module", fake.run_module)
    monkeypatch.setattr(run, "why_no_torch", lambda python: None)
    monkeypatch.setattr("benchmarks.predict.machine.has_bf16", lambda: True)
    return fake


def measure(folder: Path, **options: Any) -> dict[str, Any]:
    return run.run(run.Options(folder, **{"photos": 10, "repeat": 2, "memory": (10, 20), **options}), lambda line: None)


def test_contestants_take_turns_and_leave_nothing_behind(folder: Path, machine: Machine) -> None:
    measured = measure(folder)
    turns = machine.order[-14:-2]  # before: tuning; after: memory
    assert turns == ["floor", "ours", "torch_loop", "torch_loop", "ours", "torch_loop"] * 2
    assert machine.order[-2:] == ["ours", "ours"]
    assert not any(work.exists() for work in machine.works)
    assert [row["key"] for row in measured["rows"]] == [
        "ours", "ours-openvino", "torch", "torch-tuned", "torch-bf16", "floor",
    ]  # fmt: skip
    assert measured["distinct"] == 3
    assert measured["versions"]["torch"] == "2"


def test_the_floor_is_the_sum_of_both_costs(folder: Path, machine: Machine) -> None:
    measured = measure(folder)
    floor = next(row for row in measured["rows"] if row["key"] == "floor")
    assert floor["photos_per_second"]["median"] == pytest.approx(200)
    share = next(promise for promise in measured["promises"] if "cores allow" in promise["what"])
    assert share["measured"] == pytest.approx(0.95)
    assert share["kept"]


def test_what_was_measured_is_printed_also_when_a_promise_is_broken(folder: Path, machine: Machine) -> None:
    machine.speeds["torch_loop"] = 120.0
    table = report.render(measure(folder))
    assert "at least 1.9 times the tuned PyTorch loop" in table
    assert [line.split("|")[2:4] for line in table.splitlines() if "1.9 times" in line] == [[" 1.58     ", " NO   "]]
    assert "Same first answer as PyTorch loop, tuned on 100.0% of the photos" in table
    assert "bfloat16 (not float32)" in table


def test_other_jobs_on_the_machine_are_reported(folder: Path, machine: Machine) -> None:
    assert "Warning" not in report.render(measure(folder))
    machine.others = 0.4
    measured = measure(folder)
    assert "other jobs took up to 40% of the cores" in measured["warnings"][0]
    assert measured["warnings"][0] in report.render(measured)


def test_without_torch_its_rows_say_how_to_get_it(
    folder: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "why_no_torch", lambda python: "install it")
    measured = measure(folder)
    assert "| PyTorch loop, tuned " in report.render(measured)
    assert [row["settings"] for row in measured["rows"] if "photos_per_second" not in row] == ["install it"] * 2
    assert not any("PyTorch" in promise["what"] for promise in measured["promises"])


def test_an_interpreter_without_torch_is_found_out(tmp_path: Path) -> None:
    assert "cannot be started" in str(tuning.why_no_torch(tmp_path / "none"))
    stub = script(tmp_path, "echo \"ModuleNotFoundError: No module named 'timm'\" >&2; exit 1")
    assert "No module named 'timm'" in str(tuning.why_no_torch(stub))
    assert tuning.why_no_torch(script(tmp_path, "exit 0")) is None


def test_the_best_finalist_is_taken(folder: Path, machine: Machine, tmp_path: Path) -> None:
    said: list[str] = []
    tuned = tuning.tune(
        Path(sys.executable), photos.fill(tmp_path / "few", [folder / "lion.JPEG"], 4), 2, tmp_path, said.append
    )
    assert tuned.settings["batch"] == 16
    assert tuned.contestant.settings.startswith("1 workers, 2 threads, batches of 16, channels-last, draft decoding, ")
    assert json.loads(tuned.contestant.options[1]) == tuned.settings
    assert said[-1] == f"torch's best settings: {tuned.contestant.settings}"


@pytest.mark.parametrize(("memory", "kept"), [((590.0, 600.0), True), ((500.0, 520.0), False), ((590.0, 601.0), False)])
def test_memory_is_bounded_and_flat(memory: tuple[float, float], kept: bool) -> None:
    peaks = [{"photos": count, "peak_mb": peak} for count, peak in zip((10_000, 20_000), memory, strict=True)]
    assert all(promise["kept"] for promise in report.promises([], peaks)) == kept


def test_folders_are_filled_with_files_that_are_no_links(folder: Path, tmp_path: Path) -> None:
    filled = photos.fill(tmp_path / "many", photos.list_photos(folder), 7)
    files = sorted(filled.iterdir())
    assert [file.name[7:] for file in files[:4]] == ["tabby.png", "lion.JPEG", "tench.jpg", "tabby.png"]
    assert len(files) == 7
    assert not any(file.is_symlink() for file in files)
    assert files[0].samefile(folder / "cats" / "tabby.png")


def test_where_links_are_refused_each_photo_is_copied_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def only_within(source: Path, target: Path) -> None:
        if source.is_relative_to(folder):
            raise OSError("another disk")
        link(source, target)

    monkeypatch.setattr(os, "link", only_within)
    filled = photos.fill(tmp_path / "many", photos.list_photos(folder), 9)
    assert len({file.stat().st_ino for file in filled.iterdir()}) == 3
    assert {file.read_bytes() for file in filled.iterdir()} == {b"cats/tabby.png", b"lion.JPEG", b"tench.jpg"}


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photos in"):
        photos.list_photos(tmp_path)


def script(folder: Path, body: str) -> Path:
    """Something to run in the place of Python; its last argument is where the report goes."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_process_is_measured_from_outside(tmp_path: Path) -> None:
    stub = script(tmp_path, 'for last; do :; done; echo "{\\"seconds\\": $ANSWER}" > "$last"')
    measured = processes.run_module(stub, "ours", ["x"], tmp_path, {"ANSWER": "42"})
    assert measured.report == {"seconds": 42}
    assert 0 < measured.wall < 60
    # Until a child becomes another program it counts the pages of its parent, here a worker of pytest of any size.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    assert 0 < measured.peak_mb < max(500, 1.1 * own)
    # No upper bound: the system counts in hundredths of a second, and this took about one.
    assert measured.others is None or measured.others >= 0


def test_a_failed_process_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AnimalsError, match=r"^ours under .* ended with 3: it broke$"):
        processes.run_module(script(tmp_path, "echo first >&2; echo it broke >&2; exit 3"), "ours", [], tmp_path)
    with pytest.raises(AnimalsError, match="ended with 0: no word"):
        processes.run_module(script(tmp_path, "exit 0"), "ours", [], tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_contestant_and_its_children(
    tmp_path: Path, number: int, request: pytest.FixtureRequest
) -> None:
    # Whoever is started in the background by a shell ignores SIGINT.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, usual))
    before = signal.getsignal(signal.SIGTERM)
    stub = script(tmp_path, f"sleep 100 & echo $! > {tmp_path}/child; kill -{int(number)} {os.getpid()}; wait")
    with pytest.raises(KeyboardInterrupt), processes.terminate_like_interrupt():
        processes.run_module(stub, "ours", [], tmp_path)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while running(child):
        assert time.monotonic() < deadline, "the contestant's child is still there"
        time.sleep(0.01)
    assert signal.getsignal(signal.SIGTERM) is before


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_table_goes_between_the_markers() -> None:
    text = f"before\n{report.START}\nold\n{report.END}\nafter"
    assert report.insert(text, r"new \1") == f"before\n{report.START}\n\nnew \\1\n\n{report.END}\nafter"
    assert report.insert("no markers", "new") is None
    assert report.insert(f"{report.END} {report.START}", "new") is None


def test_prints_the_table_and_updates_the_docs(
    folder: Path, machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = tmp_path / "benchmarks.md"
    docs.write_text(f"{report.START}\n{report.END}\n")
    words = ["bench", "predict", str(folder), "--photos", "6", "--repeat", "1", "--memory", "20,10"]
    assert main([*words, "--update-docs", str(docs)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("6 photos (3 different, 0 MB), median of 1, ")
    assert captured.out in docs.read_text().replace(f"\n\n{report.END}", "\n")
    assert "round 1 of 1: animals predict: 190.0 photos/s" in captured.err


def test_json_is_one_object(folder: Path, machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "predict", str(folder), "--photos", "6", "--memory", "0", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"][0]["photos_per_second"]["median"] == pytest.approx(190)
    assert printed["memory"] == []


def test_the_folder_is_that_of_the_test_data(
    folder: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANIMALS_TEST_DATA", str(folder.parent))
    assert main(["bench", "predict"]) == 2
    assert "name a FOLDER, or set ANIMALS_TEST_DATA" in capsys.readouterr().err
    folder.rename(folder.parent / "imagenet_animals")
    assert main(["bench", "predict", "--photos", "3", "--memory", "0"]) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--memory", "many"], "--memory takes numbers joined by commas, such as 10000,20000; not 'many'"),
        (["--update-docs", "notes.txt"], "has no place for the table"),
        (["--photos", "0"], "--photos"),
    ],
)
def test_a_wrong_call_is_one_line(
    folder: Path,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["bench", "predict", str(folder), *words]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert machine.order == []


def test_outside_a_checkout_it_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "_PACKAGE", tmp_path / "lib" / "site-packages" / "animal_classification")
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "predict", str(folder)]) == 2
    assert capsys.readouterr().err == (
        "animals: the benchmarks are not part of the package: run this in a checkout of the source\n"
    )
