"""Many threads at once get what one thread gets, and never each other's errors."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from animal_classification.errors import ImageError
from animal_classification.imaging import PreprocessSpec, preprocess
from tests.unit.imaging.drawing import encode, textured

SPEC = PreprocessSpec(size=48)


def outcome(item: tuple[str, bytes]) -> str | bytes:
    name, data = item
    try:
        return preprocess(data, SPEC, where=name).tobytes()
    except ImageError as error:
        return f"{type(error).__name__} {error}"


@pytest.mark.timeout(60)
def test_eight_threads(drawn: dict[str, bytes]) -> None:
    items = [*drawn.items()]
    items += [(f"{name} cut", data[: len(data) // 2]) for name, data in drawn.items()]
    items += [(f"big {n}", encode(textured(900 + n, 1100), "JPEG", progressive=n % 2 == 0)) for n in range(4)]
    items += [("huge", b"P4 99999 99999\n"), ("empty", b""), ("text", b"hello")]
    alone = {item[0]: outcome(item) for item in items}
    errors = {name: result for name, result in alone.items() if isinstance(result, str)}
    assert len(errors) > 20
    assert all(f" {name}: " in result for name, result in errors.items())
    shuffled = items * 6
    random.Random(5).shuffle(shuffled)
    with ThreadPoolExecutor(8) as pool:
        for (name, _), result in zip(shuffled, pool.map(outcome, shuffled), strict=True):
            assert result == alone[name], name


def test_one_array_for_all_threads() -> None:
    pixels = textured(300, 200)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: preprocess(pixels, SPEC), range(40)))
    assert all(np.array_equal(result, results[0]) for result in results)
