"""What a command changes of the interpreter is as it was when it has ended."""

from __future__ import annotations

import gc
import sys

import pytest

from animal_classification.cli.interpreter_tuning import THRESHOLDS, TURN, short_run


def test_the_interpreter_is_set_for_the_run_and_put_back() -> None:
    before = sys.getswitchinterval(), gc.get_threshold()
    with short_run():
        assert sys.getswitchinterval() == pytest.approx(TURN)
        assert gc.get_threshold() == THRESHOLDS
    assert (sys.getswitchinterval(), gc.get_threshold()) == before
