"""Softmax and logsumexp, beside SciPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import special

from animal_classification.common.softmax import logsumexp, softmax

LOGITS = arrays(
    st.sampled_from((np.float32, np.float64)),
    array_shapes(min_dims=1, max_dims=3, max_side=5),
    elements=st.floats(-1e5, 1e5, width=32),
)


@given(logits=LOGITS)
@settings(max_examples=50)
def test_beside_scipy(logits: NDArray[np.floating]) -> None:
    before = logits.copy()
    assert softmax(logits).dtype == logsumexp(logits).dtype == np.float64
    np.testing.assert_allclose(softmax(logits), special.softmax(logits.astype(np.float64), axis=-1), rtol=1e-9)
    np.testing.assert_allclose(logsumexp(logits), special.logsumexp(logits.astype(np.float64), axis=-1), rtol=1e-12)
    np.testing.assert_allclose(softmax(logits).sum(axis=-1), 1)
    np.testing.assert_array_equal(logits, before)


def test_huge_logits() -> None:
    assert softmax(np.array([[1e4, 0.0]], dtype=np.float32)).tolist() == [[1.0, 0.0]]
    assert logsumexp(np.array([1e4, 0.0], dtype=np.float32)) == 1e4
