"""The progress bar, and Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from animal_classification.cli.interrupts import sigterm_like_ctrl_c, stop_asked
from animal_classification.cli.progress_bar import ProgressBar
from animal_classification.data.discovery import PhotoPaths


def test_the_first_signal_asks_and_the_second_ends() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_asked() as asked:
        assert not asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_tidies_up_too() -> None:
    with sigterm_like_ctrl_c(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def test_other_threads_do_not_touch_signals() -> None:
    asked: list[bool] = []

    def work() -> None:
        with stop_asked() as stopped:
            asked.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


def test_the_bar_appears_late_and_only_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).touch()
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("TERM", "xterm")
    for shown, late in ((True, False), (False, True), (True, True)):
        clock[0] = 0.0
        bar = ProgressBar(shown=shown)
        bar.start(PhotoPaths([str(tmp_path)]), 1)
        while bar.total is None:
            time.sleep(0.001)
        clock[0] = 4.0 if late else 1.0
        bar.advance()
        assert bar.rate == pytest.approx(1 / clock[0])
        assert bar.final_total() == 3
        bar.finish()
        assert bool(out.getvalue()) == (shown and late)
    assert "2/3" in out.getvalue()


def test_signals_ask_the_run_to_stop_from_its_start_until_it_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    before = signal.getsignal(signal.SIGINT)
    with closing(ProgressBar(shown=False)) as bar:
        assert signal.getsignal(signal.SIGINT) is before  # while the model is loaded, Ctrl-C ends the program
        bar.start(PhotoPaths([str(tmp_path)]), 0)
        assert not bar.is_stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert bar.is_stopped()
        bar.finish()
        assert signal.getsignal(signal.SIGINT) is not before  # the table is being written
    assert signal.getsignal(signal.SIGINT) is before
