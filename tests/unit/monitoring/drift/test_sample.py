"""Windows: bursts and copies are one observation, order is time's, and the same window is judged the same way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.monitoring.drift.photo_windows import in_turn
from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample, joined
from tests.support.drift_samples import as_window, made_sample


def repeated(times: int, count: int = 60, **more: tuple[str, ...]) -> DriftWindow:
    sample, _ = made_sample(count, 1)
    return as_window(sample.take(np.repeat(np.arange(count), times)), **more)


def test_a_burst_counts_once() -> None:
    thin = repeated(5).thinned()
    assert len(thin) == 60
    assert thin.read == 300
    assert thin.ids[:3] == ("p0", "p5", "p10"), "the first of each"


def test_the_same_scene_from_two_cameras_counts_twice_and_the_same_bytes_once() -> None:
    two_cameras = ("north", "south") * 60
    assert len(repeated(2, source=two_cameras).thinned()) == 120
    same_bytes = tuple(f"{number // 2:064x}" for number in range(120))
    assert len(repeated(2, source=two_cameras, photo=same_bytes).thinned()) == 60


def test_thinning_goes_by_time_and_not_by_place() -> None:
    window = repeated(2)
    backwards = replace(window, time=window.time[::-1].copy())
    assert backwards.thinned().ids[0] == "p119"


def test_the_newest_are_taken() -> None:
    window = as_window(made_sample(80, 2)[0])
    assert window.newest(3).ids == ("p77", "p78", "p79")
    assert len(window.newest(0)) == 0
    assert len(window.newest(200)) == 80


def test_the_seed_is_that_of_the_reference_and_the_photos() -> None:
    window = as_window(made_sample(60, 2)[0])
    assert window.seed("a") == window.seed("a")
    assert len({window.seed("a"), window.seed("b"), window.newest(59).seed("a")}) == 3


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    sample, _ = made_sample(60, 2)
    with pytest.raises(ValueError, match="shapes"):
        replace(sample, stats=sample.stats[:10])
    with pytest.raises(ValueError, match="as many ids"):
        DriftWindow(sample=sample, ids=("a",), time=np.zeros(60))


def test_statistics_are_rounded_as_the_log_and_bundles_keep_them() -> None:
    sample, _ = made_sample(60, 2)
    kept = replace(sample, stats=sample.stats.astype(np.float16).astype(np.float32))
    assert (kept.stats == sample.stats).all()


def test_windows_can_be_joined() -> None:
    window = as_window(made_sample(80, 2)[0])
    both = joined([window.take(np.arange(30)), window.take(np.arange(30, 80))])
    assert both.ids == window.ids
    assert np.allclose(both.sample.embedding, window.sample.embedding)


@settings(max_examples=25)
@given(count=st.integers(1, 700), size=st.integers(100, 300), frames=st.integers(1, 3))
def test_windows_in_turn_hold_each_photo_once_and_end_with_the_newest(count: int, size: int, frames: int) -> None:
    generator = np.random.default_rng(count)
    sample = PhotoSample(
        embedding=np.repeat(generator.normal(size=(count, 32)), frames, axis=0).astype(np.float32)[:count],
        stats=np.zeros((count, 12), np.float32),
        pred=np.zeros(count, np.int64),
        probability=np.ones(count),
        known=np.ones(count),
    )
    window = as_window(sample)
    scenes = int(window.scene_starts().sum())
    windows = in_turn(window, size)
    names = [name for one in windows for name in one.ids]
    assert len(names) == len(set(names))
    assert names == sorted(names, key=window.ids.index)
    assert sum(one.read for one in windows) == count
    if scenes >= 50:
        assert all(50 <= len(one) <= size for one in windows)
        assert len(windows[-1]) == min(size, scenes)
        assert scenes - len(names) < 50
    else:
        assert [len(one) for one in windows] == [scenes]
