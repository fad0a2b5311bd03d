"""What a server takes fits into its container, whatever is set and however many workers there are."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.imaging.memory_budget import RESERVED
from animal_classification.serving.app import create_app
from animal_classification.serving.process.memory_plan import (
    FEWEST_BODIES,
    MOST_BODIES,
    photo_limits,
    warn_if_over_memory,
    with_memory_bounds,
)
from animal_classification.settings import MIB, Settings

GIB = 1024 * MIB


@given(memory=st.integers(560, 1 << 20), workers=st.integers(1, 16))
def test_it_fits(memory: int, workers: int) -> None:
    one = with_memory_bounds(Settings(), memory=memory * workers * MIB, workers=workers)
    assert workers * (RESERVED + one.max_decode_bytes) + one.max_memory_bytes <= memory * workers * MIB
    assert FEWEST_BODIES <= one.max_memory_bytes <= MOST_BODIES
    assert one.max_file_bytes <= one.max_request_bytes <= one.max_memory_bytes
    assert with_memory_bounds(one, memory=memory * MIB) == one


def test_two_gigabytes() -> None:
    one = with_memory_bounds(Settings(), memory=2 * GIB)
    sizes = one.max_memory_bytes, one.max_decode_bytes, one.max_request_bytes, one.max_file_bytes
    assert sizes == (416 * MIB, 832 * MIB, 256 * MIB, 32 * MIB)


def test_what_is_set_holds_for_all_workers_together() -> None:
    set_by_hand = Settings(max_memory_bytes=400 * MIB, max_decode_bytes=800 * MIB, max_request_bytes=300 * MIB)
    one = with_memory_bounds(set_by_hand, memory=8 * GIB, workers=4)
    assert (one.max_memory_bytes, one.max_decode_bytes, one.max_request_bytes) == (400 * MIB, 200 * MIB, 300 * MIB)


def test_more_than_there_is_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_if_over_memory(with_memory_bounds(Settings(), memory=2 * GIB), memory=2 * GIB)
        assert not caplog.records
        warn_if_over_memory(with_memory_bounds(Settings(max_decode_bytes=2 * GIB), memory=2 * GIB), memory=2 * GIB)
    assert "there are 2147 MB of memory, and the server may take 2986" in caplog.text
    assert "ANIMALS_MAX_DECODE_BYTES" in caplog.text


def test_everything_in_a_process_decodes_in_one_memory(tmp_path: object) -> None:
    settings = Settings(prediction_log=True, log_folder=str(tmp_path), max_decode_bytes=100 * MIB, max_wait=3)
    app = create_app(None, settings)
    limits = app.state.service.limits
    assert limits.memory is not None
    assert limits.memory.limit == 100 * MIB
    assert app.state.predictions.limits.memory is limits.memory
    app.state.predictions.close()


def test_limits_of_settings_that_are_not_filled_in() -> None:
    limits = photo_limits(Settings(max_pixels=5))
    assert limits.memory is not None
    assert limits.memory.limit == with_memory_bounds(Settings()).max_decode_bytes
    assert limits.max_pixels == 5
