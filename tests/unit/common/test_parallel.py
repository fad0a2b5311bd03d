"""Ordered work on threads, with a bounded window."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.common.parallel import CHUNK, ordered_map


def same(batch: Sequence[int]) -> Sequence[int]:
    return batch


def doubled(batch: Sequence[int]) -> Sequence[int]:
    return [2 * item for item in batch]


@given(st.lists(st.integers(), max_size=300), st.integers(1, 4))
def test_results_come_in_the_order_of_the_input(items: list[int], threads: int) -> None:
    assert list(ordered_map(doubled, items, threads=threads)) == [2 * item for item in items]


@given(st.integers(0, 400), st.integers(1, 4))
def test_chunks_are_never_longer_than_the_one_bound(count: int, threads: int) -> None:
    sizes: list[int] = []

    def work(batch: Sequence[int]) -> Sequence[int]:
        sizes.append(len(batch))
        return batch

    assert list(ordered_map(work, range(count), threads=threads)) == list(range(count))
    assert sum(sizes) == count
    assert all(1 <= size <= CHUNK for size in sizes)


def test_it_reads_ahead_a_bounded_number_of_items() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = ordered_map(same, endless(), threads=2)
    for _ in range(500):
        next(results)
    assert taken <= 500 + (2 * 4 + 1) * CHUNK
    results.close()


def test_threads_run_side_by_side_and_no_more_of_them() -> None:
    together = threading.Barrier(2, timeout=10)
    names: set[str] = set()

    def work(batch: Sequence[int]) -> Sequence[int]:
        names.add(threading.current_thread().name)
        together.wait()
        return batch

    assert list(ordered_map(work, range(16), threads=2)) == list(range(16))
    assert len(names) == 2


def test_an_error_reaches_the_caller_and_ends_the_threads() -> None:
    def work(batch: Sequence[int]) -> Sequence[int]:
        if 7 in batch:
            raise ValueError("seven")
        return batch

    others = set(threading.enumerate())  # of tests before this one
    with pytest.raises(ValueError, match="seven"):
        list(ordered_map(work, range(100), threads=2))
    assert not [thread for thread in set(threading.enumerate()) - others if thread.name.startswith("animals")]


def test_closing_early_drops_what_has_not_started() -> None:
    done: list[int] = []

    def work(batch: Sequence[int]) -> Sequence[int]:
        done.extend(batch)
        return batch

    results = ordered_map(work, range(10_000), threads=1)
    next(results)
    results.close()
    assert len(done) <= 2 * CHUNK


def test_progress_is_told_after_each_result_and_stopping_is_asked() -> None:
    told: list[int] = []
    got: list[int] = []
    for one in ordered_map(same, range(100), threads=2, progress=told.append, stopped=lambda: len(got) == 5):
        assert told == got  # of this one it is told when the caller is done with it
        got.append(one + 1)
    assert got == told == [1, 2, 3, 4, 5]


class Recording:
    """An executor that has nothing but ``submit``."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []

    def submit(self, work: Callable[[Any], Any], chunk: Any, /) -> Future[Any]:
        self.chunks.append(chunk)
        future: Future[Any] = Future()
        future.set_result(work(chunk))
        return future


def test_another_executor_needs_one_method_and_starts_no_thread() -> None:
    elsewhere, before = Recording(), threading.active_count()
    got = ordered_map(doubled, range(200), threads=2, executor=elsewhere)
    assert next(got) == 0
    assert threading.active_count() == before
    assert [0, *got] == [2 * item for item in range(200)]
    assert [item for chunk in elsewhere.chunks for item in chunk] == list(range(200))


def test_work_can_leave_the_process() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(ordered_map(doubled, range(50), threads=1, executor=pool)) == [2 * item for item in range(50)]
        assert pool.submit(doubled, [1]).result() == [2]  # it stays open
