"""The hand-made bundle answers by colour, on both engines and for any number of photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animal_classification.bundle import load
from tests.support.tiny_bundle import COLOURS, GREY, solid, tiny_model, write_tiny_bundle

Array = np.ndarray[Any, np.dtype[Any]]


def _onnxruntime(path: Path) -> Callable[[Array], Array]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return lambda images: np.asarray(session.run(["logits"], {"images": images})[0])


def _openvino(path: Path) -> Callable[[Array], Array]:
    openvino = pytest.importorskip("openvino")
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: np.asarray(compiled(images)["logits"])


@pytest.mark.parametrize("engine", [_onnxruntime, _openvino])
def test_the_nearest_colour_wins(tmp_path: Path, engine: Callable[[Path], Callable[[Array], Array]]) -> None:
    names = tuple(f"animal {index}" for index in range(6))
    path = write_tiny_bundle(tmp_path / "b", names=names, background=("chair",), size=64)
    run = engine(load(path).model_path)
    photos = np.stack([solid(colour, size=64) for colour in COLOURS[:7]])
    assert run(photos).argmax(axis=1).tolist() == list(range(7))
    assert run(photos[2:3]).argmax(axis=1).tolist() == [2]


def test_grey_is_shared_evenly_and_a_colour_is_sure(tmp_path: Path) -> None:
    run = _onnxruntime(load(write_tiny_bundle(tmp_path / "b")).model_path)
    logits = run(np.stack([solid(GREY), solid(COLOURS[0])]))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert probabilities[0] == pytest.approx([1 / 3] * 3)
    assert probabilities[1][0] > 0.99


def test_features_show_where(tmp_path: Path) -> None:
    import onnxruntime

    photo = np.concatenate([solid(COLOURS[0])[:, :16], solid(COLOURS[2])[:, :16]], axis=1)
    session = onnxruntime.InferenceSession(tiny_model(3))
    (features,) = session.run(["features"], {"images": photo[None]})
    assert features[0, 0].tolist() == [[1, 1, 0, 0]] * 4
    assert features[0, 2].tolist() == [[0, 0, 1, 1]] * 4


def test_any_key_can_be_set(tmp_path: Path) -> None:
    path = write_tiny_bundle(tmp_path / "b", rollup={"threshold": 0.7}, version="9", unknown=None)
    info = load(path).info
    assert (info.version, info.unknown, info.rollup and info.rollup.threshold) == ("9", None, 0.7)


def test_sizes_and_classes_have_bounds() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        tiny_model(3, size=30)
    with pytest.raises(ValueError, match="at most 26"):
        tiny_model(27)
