"""Histograms that add up, and quantiles that are wrong by less than a bin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.prediction_log.period_sums import (
    PROBABILITIES,
    SECONDS,
    SHOWN,
    Counts,
    bin_of,
    empty,
    equal_parts,
    from_bytes,
    quantile,
    to_bytes,
)

EDGES = {"probabilities": PROBABILITIES, "seconds": SECONDS}


def of(values: Iterable[float], edges: Sequence[float]) -> Counts:
    counts = empty(edges)
    for value in values:
        counts[bin_of(value, edges)] += 1
    return counts


@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
def test_edges_rise(edges: tuple[float, ...]) -> None:
    assert list(edges) == sorted(set(edges))


@given(st.floats(0, 1))
def test_a_probability_is_in_its_bin_and_in_its_part(value: float) -> None:
    number = bin_of(value, PROBABILITIES)
    assert PROBABILITIES[number] <= value
    assert value < PROBABILITIES[number + 1] or value == 1.0
    parts = equal_parts(of([value], PROBABILITIES))
    assert abs(parts.index(1) - min(int(value * SHOWN), SHOWN - 1)) <= (1 if abs(value * SHOWN % 1) < 1e-9 else 0)


@given(st.floats())
def test_any_number_is_in_some_bin(value: float) -> None:
    for edges in EDGES.values():
        assert 0 <= bin_of(value, edges) <= len(edges) - 2


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 0.99])
def test_quantiles_of_a_great_many(share: float) -> None:
    random = np.random.default_rng(7)
    latencies = random.lognormal(-3, 0.7, 20_000)
    found = quantile(of(latencies, SECONDS), SECONDS, share)
    assert found == pytest.approx(np.quantile(latencies, share), rel=0.02)
    probabilities = random.beta(8, 0.4, 20_000)
    found = quantile(of(probabilities, PROBABILITIES), PROBABILITIES, share)
    assert found is not None
    exact = float(np.quantile(probabilities, share))
    assert abs(found - exact) <= max(0.2 * (1 - exact), 1e-4) if exact > 0.95 else 0.01


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=40), st.sampled_from([0.05, 0.5, 0.95, 0.99]))
def test_a_quantile_is_in_the_bin_of_a_value(values: list[float], share: float) -> None:
    found = quantile(of(values, SECONDS), SECONDS, share)
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert found == pytest.approx(exact, rel=0.0906)


def test_of_nothing() -> None:
    assert quantile(empty(SECONDS), SECONDS, 0.5) is None
    assert equal_parts(empty(PROBABILITIES)) == [0] * SHOWN


@given(st.lists(st.floats(0, 1e4), max_size=40))
def test_kept_and_read_again(values: list[float]) -> None:
    counts = of(values, SECONDS)
    assert (from_bytes(to_bytes(counts)) == counts).all()
    assert len(to_bytes(counts)) == len(to_bytes(empty(SECONDS))), "as large with many values as with few"
