"""Ordered, bounded work on threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.inference.stream import map_in_chunks


@given(st.lists(st.integers()), st.integers(1, 4), st.integers(1, 9))
def test_results_come_in_the_order_of_the_input(items: list[int], workers: int, chunk: int) -> None:
    got = map_in_chunks(lambda batch: [item * 2 for item in batch], items, workers=workers, chunk=chunk)
    assert list(got) == [item * 2 for item in items]


def test_it_reads_ahead_a_bounded_number_of_items() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = map_in_chunks(lambda batch: batch, endless(), workers=2, chunk=5)
    for _ in range(100):
        next(results)
    assert taken <= 100 + 2 * 4 * 5 + 5
    results.close()


def test_workers_run_side_by_side() -> None:
    together = threading.Barrier(2, timeout=10)

    def work(batch: Sequence[int]) -> Sequence[int]:
        together.wait()
        return batch

    assert list(map_in_chunks(work, range(4), workers=2, chunk=1)) == [0, 1, 2, 3]


def test_an_error_reaches_the_caller_and_ends_the_threads() -> None:
    def work(batch: Sequence[int]) -> Sequence[int]:
        if 7 in batch:
            raise ValueError("seven")
        return batch

    others = set(threading.enumerate())  # of tests before this one
    with pytest.raises(ValueError, match="seven"):
        list(map_in_chunks(work, range(100), workers=2, chunk=2))
    assert not [thread for thread in set(threading.enumerate()) - others if thread.name.startswith("animals")]


def test_closing_early_drops_what_has_not_started() -> None:
    done: list[int] = []

    def work(batch: Sequence[int]) -> Sequence[int]:
        done.extend(batch)
        return batch

    results = map_in_chunks(work, range(1000), workers=1, chunk=1)
    next(results)
    results.close()
    assert len(done) < 20
