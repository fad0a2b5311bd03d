"""What a long command shows of itself, on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from animal_classification.common import progress as module
from animal_classification.common.progress import ProgressLine, renamed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_each_stage_stands_over_the_one_before_and_the_line_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.0)
    with ProgressLine() as progress:
        renamed(progress, "looking at photos")("measuring", 1, 2)
        progress.describe("checking")
    lines = terminal.getvalue().split("\r")
    assert lines == ["", "looking at photos: 1 of 2", f"{'checking':25}", " " * 25, ""]


@pytest.mark.parametrize(("screen", "silent"), [(Terminal(), 60.0), (io.StringIO(), 0.0)], ids=["at first", "a file"])
def test_nothing_is_shown_in_the_first_seconds_or_to_a_file(
    screen: io.StringIO, silent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(module, "SILENT_SECONDS", silent)
    with ProgressLine() as progress:
        progress("looking at photos", 1, 2)
    assert screen.getvalue() == ""
