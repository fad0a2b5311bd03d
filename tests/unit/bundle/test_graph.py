"""model.onnx against the contract: each deviation has its message."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from animal_classification.bundle import BundleInfo
from animal_classification.bundle.graph import check_graph, parse_graph
from animal_classification.errors import BundleInvalidError
from tests.support.tiny_bundle import tiny_model

Shape = Sequence[str | int | None]


def _set_input(model: ModelProto, kind: int, shape: Shape) -> None:
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", kind, shape))


def _set_output(model: ModelProto, index: int, kind: int, shape: Shape | None) -> None:
    value = model.graph.output[index]
    value.CopyFrom(helper.make_tensor_value_info(value.name, kind, shape))


FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
CASES: dict[str, tuple[Callable[[ModelProto], object], str]] = {
    "float input": (
        lambda m: _set_input(m, FLOAT, ["N", 32, 32, 3]),
        "images is float32 [?, 32, 32, 3] and must be uint8 [N, 32, 32, 3]",
    ),
    "planes first": (lambda m: _set_input(m, UINT8, ["N", 3, 32, 32]), "images is uint8 [?, 3, 32, 32] and must be"),
    "another size": (lambda m: _set_input(m, UINT8, ["N", 64, 64, 3]), "must be uint8 [N, 32, 32, 3]"),
    "free size": (lambda m: _set_input(m, UINT8, ["N", "h", "w", 3]), "images is uint8 [?, ?, ?, 3] and must be"),
    "one photo only": (lambda m: _set_input(m, UINT8, [1, 32, 32, 3]), "images is uint8 [1, 32, 32, 3] and must be"),
    "another name": (
        lambda m: setattr(m.graph.input[0], "name", "input"),
        "must have one input, images (it has: input)",
    ),
    "second input": (lambda m: m.graph.input.add(name="mask"), "must have one input, images (it has: images, mask)"),
    "no input": (lambda m: m.graph.ClearField("input"), "must have one input, images (it has: none)"),
    "no logits": (
        lambda m: setattr(m.graph.output[0], "name", "scores"),
        "must have an output logits (it has: scores, embedding, features)",
    ),
    "no embedding": (lambda m: m.graph.output.pop(1), "must have an output embedding (it has: logits, features)"),
    "too few classes": (
        lambda m: _set_output(m, 0, FLOAT, ["N", 2]),
        "logits is float32 [?, 2] and must be float32 [N, 3] for 3 labels and 0 background classes",
    ),
    "free classes": (lambda m: _set_output(m, 0, FLOAT, ["N", "C"]), "logits is float32 [?, ?] and must be"),
    "half logits": (lambda m: _set_output(m, 0, TensorProto.FLOAT16, ["N", 3]), "logits is float16 [?, 3] and must be"),
    "fixed batch": (lambda m: _set_output(m, 0, FLOAT, [8, 3]), "logits is float32 [8, 3] and must be"),
    "no shape": (lambda m: _set_output(m, 0, FLOAT, None), "logits is float32 [] and must be"),
    "free embedding": (
        lambda m: _set_output(m, 1, FLOAT, ["N", "D"]),
        "embedding is float32 [?, ?] and must be float32 [N, D] with a fixed D",
    ),
    "flat features": (
        lambda m: _set_output(m, 2, FLOAT, ["N", 48]),
        "features is float32 [?, 48] and must be float32 [N, 3, h, w]",
    ),
    "other depth": (lambda m: _set_output(m, 2, FLOAT, ["N", 5, 4, 4]), "features is float32 [?, 5, 4, 4] and must be"),
}


@pytest.mark.parametrize(("change", "message"), CASES.values(), ids=CASES)
def test_a_deviation_is_named(info: BundleInfo, change: Callable[[ModelProto], object], message: str) -> None:
    model = onnx.load_model_from_string(tiny_model(3))
    change(model)
    with pytest.raises(BundleInvalidError) as caught:
        check_graph(model, info, "zoo")
    assert str(caught.value).startswith("zoo: model.onnx")
    assert message in str(caught.value)


def test_background_classes_count(info: BundleInfo) -> None:
    background = [{"id": "chair", "name": "chair"}]
    with_background = BundleInfo.model_validate({**info.model_dump(), "background": background})
    check_graph(onnx.load_model_from_string(tiny_model(4)), with_background, "zoo")
    with pytest.raises(BundleInvalidError, match=r"\[N, 4\] for 3 labels and 1 background classes"):
        check_graph(onnx.load_model_from_string(tiny_model(3)), with_background, "zoo")


def test_what_may_be_absent_free_or_extra(info: BundleInfo) -> None:
    check_graph(onnx.load_model_from_string(tiny_model(3, features=False)), info, "zoo")
    model = onnx.load_model_from_string(tiny_model(3))
    _set_output(model, 2, FLOAT, ["N", 3, "h", "w"])
    model.graph.output.append(helper.make_tensor_value_info("pooled", FLOAT, ["N", 3, 1, 1]))
    check_graph(model, info, "zoo")


def test_constants_listed_as_inputs_are_no_inputs(info: BundleInfo) -> None:
    model = onnx.load_model_from_string(tiny_model(3))
    model.graph.input.append(helper.make_tensor_value_info("weight", FLOAT, [3, 3]))
    check_graph(model, info, "zoo")


@pytest.mark.parametrize("data", [b"not onnx", b"\x08\x08" + b"\xff" * 50])
def test_other_content_is_refused(data: bytes) -> None:
    with pytest.raises(BundleInvalidError, match=r"zoo: model.onnx is not an ONNX file; export the model again"):
        parse_graph(data, "zoo")


def test_an_empty_file_has_no_input(info: BundleInfo) -> None:
    with pytest.raises(BundleInvalidError, match="it has: none"):
        check_graph(parse_graph(b"", "zoo"), info, "zoo")


def _external() -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "weight")
    onnx.external_data_helper.set_external_data(tensor, "../../etc/passwd")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def _in_initializer(model: ModelProto) -> None:
    model.graph.initializer.append(_external())


def _in_constant(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["hidden"], value=_external()))


def _in_subgraph(model: ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [_external()])
    model.graph.node.append(helper.make_node("If", ["flag"], ["hidden"], then_branch=inner, else_branch=inner))


def _in_function(model: ModelProto) -> None:
    node = helper.make_node("Constant", [], ["hidden"], value=_external())
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("local", "Hidden", [], ["hidden"], [node], opsets))


@pytest.mark.parametrize("hide", [_in_initializer, _in_constant, _in_subgraph, _in_function])
def test_weights_in_other_files_are_refused(hide: Callable[[ModelProto], None]) -> None:
    model = onnx.load_model_from_string(tiny_model(3))
    hide(model)
    with pytest.raises(BundleInvalidError, match="keeps weights in another file; export it with all weights inside"):
        parse_graph(model.SerializeToString(), "zoo")


def _twice_initializer(model: ModelProto) -> str:
    model.graph.initializer.append(model.graph.initializer[0])
    return str(model.graph.initializer[0].name)


def _twice_made(model: ModelProto) -> str:
    model.graph.node.append(model.graph.node[-1])
    return str(model.graph.node[-1].output[0])


def _twice_told(model: ModelProto) -> str:
    model.graph.output.append(model.graph.output[0])
    return str(model.graph.output[0].name)


def _constant_and_made(model: ModelProto) -> str:
    name = str(model.graph.node[0].output[0])
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), name))
    return name


def _within_a_branch(model: ModelProto) -> str:
    """Names may be doubled in a graph within the graph as well."""
    one = helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.zeros(1, np.float32)))
    branch = helper.make_graph([one, one], "branch", [], [helper.make_tensor_value_info("one", FLOAT, [1])])
    model.graph.node.append(helper.make_node("If", ["embedding"], ["chosen"], then_branch=branch, else_branch=branch))
    return "one"


@pytest.mark.parametrize("change", [_twice_initializer, _twice_made, _twice_told, _constant_and_made, _within_a_branch])
def test_a_name_that_stands_for_two_values_is_refused(change: Callable[[ModelProto], str]) -> None:
    """One engine takes the first, another the last: a retrained model answered with its old head."""
    model = onnx.load_model_from_string(tiny_model(3))
    name = change(model)
    with pytest.raises(BundleInvalidError, match=rf"zoo: model.onnx has two values that are called '{name}'"):
        parse_graph(model.SerializeToString(), "zoo")


def test_constants_that_old_graphs_list_as_inputs_are_one_value() -> None:
    model = onnx.load_model_from_string(tiny_model(3))
    tensor = model.graph.initializer[0]
    model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    parse_graph(model.SerializeToString(), "zoo")
