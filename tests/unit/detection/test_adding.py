"""Graphs from strangers as detectors: their metadata and shapes are guessed from, and never believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from animal_classification.detection.adding import AddRequest, add_detector
from animal_classification.detection.detector import Detector
from animal_classification.errors import AnimalsError, BundleError, EngineError, UsageError
from animal_classification.imaging.decoding import opened
from tests.support.colour_detector import colour_graph


@pytest.fixture(scope="module")
def graph() -> ModelProto:
    return colour_graph("yolov5", size=64)


def request(folder: Path, model: ModelProto, **given: object) -> AddRequest:
    file = folder / "stranger.onnx"
    file.write_bytes(model.SerializeToString())
    asked = {"kind": "yolov5", "size": 64, "into": folder / "detectors", "overwrite": True, **given}
    return AddRequest(file=file, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "names",
    [
        "{[]: 'animal'}",
        "{'²': 'animal'}",
        "[" * 100_000,
        "-" * 60_000 + "1",
        "{0: " + "9" * 5000 + "}",
        "__import__('os').getcwd()",
        "{0: 'a'" + ", 1: 'a'" * 1_000_000 + "}",
        "\x00",
    ],
    ids=["unhashable", "superscript", "nested", "minus", "digits", "code", "long", "nul"],
)
def test_names_in_the_metadata_are_no_code(names: str, graph: ModelProto, tmp_path: Path) -> None:
    """Yesterday some of them were an internal error."""
    model = ModelProto()
    model.CopyFrom(graph)
    model.metadata_props.add(key="names", value=names)
    try:
        added = add_detector(request(tmp_path, model))
    except AnimalsError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
    else:
        assert added.bundle.info.categories == ("animal", "person", "vehicle")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.text("{}[]()'\",:01²ab#\\ \n-+*j_", max_size=30), size=st.text("0123456789[], x", max_size=8))
def test_any_metadata(names: str, size: str, graph: ModelProto, tmp_path: Path) -> None:
    model = ModelProto()
    model.CopyFrom(graph)
    for key, value in (("names", names), ("class_dict", names), ("imgsz", size)):
        model.metadata_props.add(key=key, value=value)
    try:
        add_detector(request(tmp_path, model, size=None))
    except AnimalsError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ({"size": 8}, r"size: .*greater than or equal to 32"),
        ({"size": 10**9}, "size"),
        ({"threshold": 7.0}, "threshold|typical"),
        ({"name": "../../x"}, "name"),
        ({"name": "a\n"}, "name"),
    ],
)
def test_what_is_out_of_range_is_said(given_: dict[str, object], why: str, graph: ModelProto, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        add_detector(request(tmp_path, graph, categories=("animal", "person", "vehicle"), **given_))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "detectors").exists()


def test_a_graph_that_takes_nothing_in(tmp_path: Path) -> None:
    output = helper.make_tensor_value_info("o", TensorProto.FLOAT, [1, 10, 6])
    node = helper.make_node(
        "Constant", [], ["o"], value=helper.make_tensor("v", TensorProto.FLOAT, [1, 10, 6], [0.0] * 60)
    )
    model = helper.make_model(helper.make_graph([node], "g", [], [output]))
    with pytest.raises(BundleError, match="takes nothing in"):
        add_detector(request(tmp_path, model, size=None, kind=None))


@pytest.mark.parametrize("shape", [(1,), (1, 3), (1, 3, 5), (1, 0, 8), (1, 2, 2, 8)], ids=str)
def test_outputs_of_another_shape_are_an_error_of_the_engine(shape: tuple[int, ...], tmp_path: Path) -> None:
    """The graph leaves its lengths open, and gives something else when it runs."""
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    output = helper.make_tensor_value_info("o", TensorProto.FLOAT, ["a", "b", "c"])
    count = int(np.prod(shape))
    value = helper.make_tensor("v", TensorProto.FLOAT, shape, [0.0] * count)
    zero = helper.make_tensor("z", TensorProto.FLOAT, [], [0.0])
    nodes = [
        helper.make_node("Constant", [], ["v"], value=value),
        helper.make_node("Constant", [], ["z"], value=zero),
        helper.make_node("ReduceMax", ["images"], ["m"], keepdims=0),
        helper.make_node("Mul", ["m", "z"], ["n"]),
        helper.make_node("Add", ["v", "n"], ["o"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [image], [output]), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    added = add_detector(request(tmp_path, model, categories=("animal", "person", "vehicle")))
    picture = np.zeros((64, 64, 3), np.uint8)
    with opened(picture) as photo:
        try:
            assert Detector(added.bundle).find(photo) == ()
        except EngineError as error:
            assert "\n" not in str(error)
