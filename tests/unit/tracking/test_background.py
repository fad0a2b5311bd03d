"""Trackers that are slow, broken or both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from animal_classification.config.compose import compose
from animal_classification.tracking import factory
from animal_classification.tracking.background import BackgroundTracker, NonFatalTracker, Warn
from animal_classification.tracking.tracker import NoTracker, Tracker
from animal_classification.training.run import open_run


class Recorder(NoTracker):
    """Remembers what it was told, once the gate is open; breaks at the step told."""

    def __init__(self, *, breaks_at: int | None = None, gate: threading.Event | None = None) -> None:
        self.told: list[object] = []
        self._breaks_at = breaks_at
        self._gate = gate

    def log_config(self, config: Mapping[str, object]) -> None:
        self.told.append(dict(config))

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        if self._gate is not None:
            self._gate.wait(30)
        if step == self._breaks_at:
            raise ConnectionError("the server\nis gone")
        self.told.append((step, dict(values)))

    def log_bundle(self, bundle: Path) -> None:
        self.told.append(bundle)

    def close(self, *, failed: bool) -> None:
        self.told.append("failed" if failed else "done")


def test_what_is_told_arrives_in_order_and_as_it_was() -> None:
    recorder, warnings = Recorder(), list[str]()
    tracker = BackgroundTracker("mlflow", lambda: recorder, warnings.append)
    config, values = {"a": 1}, {"loss": 1.0}
    tracker.log_config(config)
    tracker.log_metrics(values, step=1)
    config["a"], values["loss"] = 2, 2.0  # the caller goes on using its own
    tracker.log_metrics(values, step=2)
    tracker.log_bundle(Path("bundle"))
    tracker.close(failed=False)
    assert recorder.told == [{"a": 1}, (1, {"loss": 1.0}), (2, {"loss": 2.0}), Path("bundle"), "done"]
    assert warnings == []


@pytest.mark.parametrize("kind", [NonFatalTracker, BackgroundTracker])
def test_the_first_failure_is_told_once_and_then_there_is_silence(kind: type[NonFatalTracker]) -> None:
    recorder, warnings = Recorder(breaks_at=2), list[str]()
    tracker = kind("mlflow", lambda: recorder, warnings.append)
    for step in range(1, 5):
        tracker.log_metrics({"loss": 1.0}, step=step)
    tracker.close(failed=False)
    assert warnings == ["tracking with mlflow stopped: the server; the run itself goes on"]
    assert recorder.told == [(1, {"loss": 1.0}), "failed"]  # closed, so that nothing stays open


@pytest.mark.parametrize("kind", [NonFatalTracker, BackgroundTracker])
def test_a_tracker_that_cannot_be_opened(kind: type[NonFatalTracker]) -> None:
    def refuse() -> NoTracker:
        raise PermissionError(13, "Permission denied", "/data/runs")

    warnings = list[str]()
    tracker = kind("csv", refuse, warnings.append)
    tracker.log_metrics({"loss": 1.0}, step=1)
    tracker.close(failed=True)
    assert warnings == ["tracking with csv stopped: Permission denied: /data/runs; the run itself goes on"]


def test_a_slow_tracker_holds_nobody_up() -> None:
    gate, warnings = threading.Event(), list[str]()
    tracker = BackgroundTracker("mlflow", lambda: Recorder(gate=gate), warnings.append, patience=0.2, length=50)
    for step in range(100):
        tracker.log_metrics({"loss": 1.0}, step=step)
    assert warnings == ["tracking with mlflow stopped: too slow, 50 messages are waiting; the run itself goes on"]
    tracker.close(failed=False)
    gate.set()  # only here: nothing above has waited for it


def test_the_end_waits_only_so_long() -> None:
    gate, warnings = threading.Event(), list[str]()
    tracker = BackgroundTracker("mlflow", lambda: Recorder(gate=gate), warnings.append, patience=0.2)
    tracker.log_metrics({"loss": 1.0}, step=1)
    tracker.close(failed=False)
    [line] = warnings
    assert "after the end of the run, so the rest is lost there" in line
    gate.set()


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("tracking.to=[tensorboard]", 300.0),
        ("tracking.to=[mlflow]", 300.0),
        ("tracking.to=[mlflow] tracking.uri=http://localhost:1", 60.0),
    ],
)
def test_a_busy_machine_is_waited_for_longer_than_a_server(
    words: str, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a loaded machine making the SQLite file took longer than a server may, and its numbers were lost."""
    found: list[float] = []

    class Noted(NonFatalTracker):
        def __init__(self, name: str, open_: Callable[[], Tracker], warn: Warn, *, patience: float) -> None:
            found.append(patience)
            super().__init__(name, NoTracker, warn)

    monkeypatch.delenv("ANIMALS_TRACKING_URI", raising=False)
    monkeypatch.setattr(factory, "BackgroundTracker", Noted)
    config = compose([f"output={tmp_path}", *words.split()])
    factory.open_tracker(config, open_run(config, name="zoo", data_version="d1")).close(failed=False)
    assert found == [seconds]
