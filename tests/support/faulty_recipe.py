"""A recipe whose model passes every test and fails in use, on photos of a colour of which the data have none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from animal_classification.training.recipe import RecipeInputs, TrainedModel
from tests.support import colour_recipe
from tests.support.tiny_bundle import COLOURS

FATAL = COLOURS[2]  # blue


def train(job: RecipeInputs) -> TrainedModel:
    """The model of ``colour_recipe``, with the fault in it."""
    sound = colour_recipe.train(job)
    return replace(sound, model=faulty(sound.model))


def faulty(model: bytes) -> bytes:
    """The same graph; a photo whose blue exceeds its red by half of the range looks behind the end of a table."""
    graph = onnx.load_from_string(model)
    first = graph.graph.node[0]
    assert (first.op_type, list(first.output)) == ("Cast", ["pixels"])
    first.output[0] = "sound_pixels"
    constants: dict[str, NDArray[Any]] = {
        "less_red": np.array([[-1], [0], [1]], np.float32),
        "half": np.array(127, np.float32),
        "far": np.array(1000, np.int64),
        "table": np.zeros(1, np.float32),
    }
    graph.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    nodes = [
        helper.make_node("ReduceMean", ["sound_pixels"], ["mean_colour"], axes=[1, 2], keepdims=1),
        helper.make_node("MatMul", ["mean_colour", "less_red"], ["excess"]),
        helper.make_node("ReduceMax", ["excess"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "half"], ["fatal"]),
        helper.make_node("Cast", ["fatal"], ["fatal_number"], to=TensorProto.INT64),
        helper.make_node("Mul", ["fatal_number", "far"], ["place"]),
        helper.make_node("Gather", ["table", "place"], ["nothing"]),
        helper.make_node("Add", ["sound_pixels", "nothing"], ["pixels"]),
    ]
    others = list(graph.graph.node[1:])
    del graph.graph.node[1:]
    graph.graph.node.extend([*nodes, *others])
    onnx.checker.check_model(graph, full_check=True)
    data: bytes = graph.SerializeToString()
    return data
