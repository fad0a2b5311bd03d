"""Which channels can go together, and the graph without them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import load_model_from_string, numpy_helper

from animal_classification import bundle as bundles
from animal_classification.export.prunable_channels import Cut, bottlenecks, groups, without
from animal_classification.export.weight_storage import parameters, widened
from tests.unit.export.graphs import block_model, conv_model, pictures, run


def test_what_a_sum_joins_is_in_no_group() -> None:
    assert groups(conv_model()) == []


def test_the_expanded_width_of_a_block_is_a_group() -> None:
    model = block_model()
    (group,) = groups(model)
    names = [model.graph.node[index].name for index in (group.producer, *group.carriers, group.consumer)]
    assert names == ["expand", "spatial", "project"]
    assert (group.width, group.cost) == (64, 8 + 1 + 9 + 8)


def test_the_built_in_model_has_a_group_for_each_block() -> None:
    model = widened(load_model_from_string(bundles.load("photos").model_path.read_bytes()))
    found = groups(model)
    assert [group.width for group in found if group.carriers] == [
        *(32, 96, 144, 144, 240, 240, 480, 480, 480, 672, 672, 672, 1152, 1152, 1152, 1152)
    ]


def test_without_channels_that_say_nothing_it_says_the_same() -> None:
    model = block_model()
    (group,) = groups(model)
    tensors = {one.name: one for one in model.graph.initializer}
    project = numpy_helper.to_array(tensors["project"]).copy()
    project[:, ::3] = 0
    tensors["project"].CopyFrom(numpy_helper.from_array(project, "project"))
    kept = np.setdiff1d(np.arange(64), np.arange(0, 64, 3))
    cut = Cut(kept, project[:, kept], np.full(8, 0.25, np.float32))
    smaller = without(model, {group: cut})
    onnx.checker.check_model(smaller, full_check=True)
    assert parameters(model) - parameters(smaller) == 22 * group.cost - 8  # it has got a bias
    before, after = (run(one, pictures(3), "narrow")[0] for one in (model, smaller))
    np.testing.assert_allclose(after, before + 0.25, atol=1e-5)
    assert [one.dims[0] for one in model.graph.initializer if one.name == "expand"] == [64]


def test_a_layer_that_two_groups_share_is_cut_on_both_sides() -> None:
    model = block_model()
    nodes = list(model.graph.node)
    sums = next(node for node in nodes if node.output[0] == "joined")
    sums.op_type, sums.input[:], sums.name = "Conv", ["narrow", "again"], "again"
    model.graph.initializer.append(numpy_helper.from_array(np.eye(8, dtype=np.float32)[:, :, None, None], "again"))
    _, first, second = groups(model)
    assert first.consumer == second.producer
    tensors = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    kept = np.arange(32)
    cuts = {
        first: Cut(kept, tensors["project"][:, kept], np.zeros(8, np.float32)),
        second: Cut(np.array([0, 5]), tensors["again"][:, [0, 5]], np.zeros(8, np.float32)),
    }
    smaller = {one.name: tuple(one.dims) for one in without(model, cuts).graph.initializer}
    assert smaller["project"] == (2, 32, 1, 1)
    assert smaller["project.bias"] == (2,)
    assert smaller["again"] == (8, 2, 1, 1)
    assert run(without(model, cuts), pictures(2), "logits")[0].shape == (2, 3)


@pytest.mark.parametrize("make", [conv_model, block_model])
def test_everything_goes_through_a_bottleneck(make: object) -> None:
    assert callable(make)
    model = make()
    nodes = list(model.graph.node)
    names = [name for _, name in bottlenecks(model)]
    assert names[:2] == ["images", "pixels"]
    assert "b" in names
    assert "wide" not in names
    assert "c" not in names
    for first, name in bottlenecks(model):
        made = {"images", *(one.name for one in model.graph.initializer)} if first == 0 else {name}
        made |= {one.name for one in model.graph.initializer}
        for node in nodes[first:]:
            assert set(node.input) <= made
            made |= set(node.output)
