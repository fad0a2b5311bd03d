"""``metrics.csv``: exact, complete after a kill, and one sequence after going on."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from animal_classification.tracking.csv_tracker import CsvTracker, read_metrics
from animal_classification.tracking.metric_names import plain_name
from animal_classification.tracking.run_state import Logged, recall, remember


def test_numbers_are_exact_and_there_at_once(tmp_path: Path) -> None:
    tracker = CsvTracker(tmp_path, resumed=False)
    tracker.log_metrics({"train/loss": 0.1 + 0.2, 'test/recall/a "b", c\nd': 1e-300}, step=1)
    assert read_metrics(tmp_path / "metrics.csv") == {  # not closed: a kill now would lose nothing
        "train/loss": {1: 0.30000000000000004},
        'test/recall/a "b", c\nd': {1: 1e-300},
    }
    tracker.close(failed=False)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["step", "name", "value"]


def test_a_run_that_goes_on_cuts_off_what_it_repeats(tmp_path: Path) -> None:
    first = CsvTracker(tmp_path, resumed=False)
    for step in (1, 2, 3):
        first.log_metrics({"train/loss": 1.0}, step=step)
        first.log_metrics({'val/"odd"\nname': 1.0}, step=step)
    first.close(failed=True)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("4,train/lo")  # killed while it wrote
    second = CsvTracker(tmp_path, resumed=True)
    second.log_metrics({"train/loss": 2.0}, step=2)  # from the checkpoint after step 1
    second.log_metrics({'val/"odd"\nname': 2.0}, step=2)
    second.close(failed=False)
    expected = {1: 1.0, 2: 2.0}
    assert read_metrics(tmp_path / "metrics.csv") == {"train/loss": expected, 'val/"odd"\nname': expected}


def test_a_run_that_goes_on_after_its_last_step_keeps_all(tmp_path: Path) -> None:
    first = CsvTracker(tmp_path, resumed=False)
    first.log_metrics({"train/loss": 1.0}, step=1)
    first.close(failed=True)
    second = CsvTracker(tmp_path, resumed=True)
    second.log_metrics({"test/accuracy": 0.9}, step=1)
    second.close(failed=False)
    assert read_metrics(tmp_path / "metrics.csv") == {"train/loss": {1: 1.0}, "test/accuracy": {1: 0.9}}


def test_a_new_run_begins_a_new_file(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        tracker = CsvTracker(tmp_path, resumed=False)
        tracker.log_metrics({"train/loss": value}, step=1)
        tracker.close(failed=False)
    assert read_metrics(tmp_path / "metrics.csv") == {"train/loss": {1: 2.0}}


def test_what_was_logged_is_known_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "tensorboard" / "logged.jsonl"
    first = Logged(path, resumed=False)
    first.note(["train/loss", "lr"], 1)
    first.close()
    with path.open("a") as file:
        file.write('[2, ["train/lo')
    second = Logged(path, resumed=True)
    assert second.new(["train/loss", "val/loss"], 1) == ["val/loss"]
    assert second.new(["train/loss"], 2) == ["train/loss"]
    second.note(["train/loss"], 2)
    second.close()
    third = Logged(path, resumed=True)
    assert third.last_step() == 2
    assert third.new(["train/loss"], 2) == []
    third.close()


def test_ids_of_several_trackers(tmp_path: Path) -> None:
    assert recall(tmp_path) == {}
    remember(tmp_path, "mlflow", {"run_id": "a"})
    remember(tmp_path, "wandb", {"run_id": "b"})
    assert recall(tmp_path) == {"mlflow": {"run_id": "a"}, "wandb": {"run_id": "b"}}


@pytest.mark.parametrize("name", ["train/loss", "test/recall/polar bear", "test/recall/狐狸", "lr"])
def test_plain_names_stay(name: str) -> None:
    assert plain_name(name) == name


def test_odd_names_become_plain_and_stay_different() -> None:
    odd = [
        "r/a(b)",
        "r/a[b]",
        "r/../x",
        "r//x",
        "/x",
        "r/x/",
        "r/.",
        "r/" + "x" * 300,
        "r/" + "x" * 301,
        "r/a:b",
        "r/\ud800",
    ]
    plain = [plain_name(name) for name in odd]
    assert len(set(plain)) == len(odd)
    for name in plain:
        assert len(name) <= 250
        assert ".." not in name.split("/")
        assert "//" not in name
        assert not name.startswith("/")
