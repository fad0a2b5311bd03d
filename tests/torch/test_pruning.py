"""Channels are taken out, and what is left answers as before."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

torch = pytest.importorskip("torch")

from animal_classification.errors import AnimalsError
from animal_classification.export.prunable_channels import groups, without
from animal_classification.export.torch import structured_pruning
from animal_classification.export.torch.distill import DistillPlan, recover
from animal_classification.export.torch.from_onnx import GraphModule
from animal_classification.export.torch.prune_scores import Moments, cuts, moments, order, packs
from animal_classification.export.torch.structured_pruning import PruningPlan, prune
from animal_classification.export.weight_storage import parameters
from tests.unit.export.graphs import block_model, pictures, run


def silent(what: str, done: int, total: int) -> None:
    pass


def ask(share: float, *, epochs: int = 0, seconds: float = 60.0) -> PruningPlan:
    return PruningPlan(share=share, temperature=1.0, epochs=epochs, seconds=seconds, threads=1)


def logits(model: ModelProto) -> np.ndarray:
    return run(model, pictures(30, seed=9), "logits")[0]


@pytest.mark.parametrize("size", [1, 4])
def test_the_errors_are_those_of_the_best_weights_that_are_left(size: int) -> None:
    """Brute force: channels taken out one after the other, the others fitted by least squares."""
    random = np.random.default_rng(size)
    width, outputs, photos = 10, 6, 50
    mixing = np.eye(width * size) + 0.05 * random.normal(size=(width * size, width * size))
    mixed = random.normal(size=(photos * 20, width * size)) @ mixing
    rows = np.column_stack([mixed, np.ones(len(mixed))])
    weight = random.normal(size=(outputs, width * size + 1))
    slopes = random.normal(size=(500, outputs))
    gradients = slopes.T @ slopes / 500
    known = Moments(torch.from_numpy(rows.T @ rows / photos), torch.from_numpy(gradients))

    def error(gone: list[int]) -> float:
        kept = [i for i in range(width * size + 1) if i // size not in gone or i == width * size]
        rest = rows[:, kept] @ np.linalg.lstsq(rows[:, kept], rows @ weight.T, rcond=None)[0] - rows @ weight.T
        return float(np.einsum("no,op,np->", rest, gradients, rest)) / photos

    gone: list[int] = []
    for channel, added in list(order(torch.from_numpy(weight), known, width))[:6]:
        every = {other: error([*gone, other]) - error(gone) for other in range(width) if other not in gone}
        assert added == pytest.approx(every[channel], rel=0.05)
        assert every[channel] <= 1.02 * min(every.values())
        gone.append(channel)


def test_channels_that_say_the_same_as_others_are_made_up_for() -> None:
    model = block_model()
    group = groups(model)[-1]
    found = moments(model, [group], 0, "images", torch.from_numpy(pictures(48)), 1.0)
    smaller = without(model, cuts(model, packs(model, found)[:4], found))
    assert parameters(smaller) == parameters(model) - 32 * group.cost + 8
    spread = np.abs(logits(model) - logits(model).mean(axis=0)).max()
    assert np.abs(logits(smaller) - logits(model)).max() < 0.02 * spread


def test_recovery_brings_a_network_nearer_to_its_teacher() -> None:
    torch.set_num_threads(1)
    model = block_model(twins=False, width=32)
    teacher, student = (GraphModule(model, learning=learning) for learning in (False, True))
    images = torch.from_numpy(pictures(32))[None]

    @torch.no_grad()
    def distance() -> float:
        return float((student(images[0])[1] - teacher(images[0])[1]).abs().mean())

    with torch.no_grad():
        for value in student.parameters():
            value.mul_(1 + 0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    before = distance()
    found = recover(
        student, teacher, images, DistillPlan(epochs=40, seconds=60, temperature=8.0, batch=8), lambda *_: None
    )
    assert found.steps == 160
    assert distance() < 0.7 * before


def test_the_share_that_was_asked_for_goes() -> None:
    model = block_model(twins=False)
    rest = prune(model, pictures(96), ask(0.55), silent)
    taught = prune(model, pictures(96), ask(0.55, epochs=30), silent)
    for one in (rest, taught):
        assert one.parameters == (parameters(model), parameters(one.model))
        assert 0.55 <= 1 - one.parameters[1] / one.parameters[0] < 0.62
    assert taught.recovered.steps == 90
    assert rest.recovered.steps == 0
    assert taught.widths["expand"][0] == 64


def test_time_is_what_ends_it() -> None:
    found = prune(block_model(), pictures(64), ask(0.4, epochs=10_000, seconds=0.5), silent)
    assert 20 <= found.recovered.steps < 20_000


def test_the_same_twice() -> None:
    first, second = (prune(block_model(), pictures(64), ask(0.4, epochs=3), silent).model for _ in range(2))
    for one, other in zip(first.graph.initializer, second.graph.initializer, strict=True):
        assert numpy_helper.to_array(one).tobytes() == numpy_helper.to_array(other).tobytes()


def test_what_would_not_fit_into_memory_is_said_before_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    model, photos = block_model(), pictures(64)
    photo = photos[:1].transpose(0, 3, 1, 2)
    needed = 32 * sum(
        value.nbytes
        for value in run(model, photos[:1], *(name for node in model.graph.node for name in node.output))
        if value.dtype == np.float32
    )
    assert needed >= 32 * 4 * photo.size
    monkeypatch.setattr(structured_pruning, "_MOST_BYTES", needed + 1)
    prune(model, photos, ask(0.4), silent)
    monkeypatch.setattr(structured_pruning, "_MOST_BYTES", needed - 1)
    with pytest.raises(AnimalsError, match=r"would take \d+ GB of memory: .*; choose a smaller --prune, --to int8, or"):
        prune(model, photos, ask(0.4), silent)


def test_what_cannot_be_taken_out_is_said() -> None:
    with pytest.raises(AnimalsError, match="cannot be taken out"):
        prune(block_model(), pictures(16), ask(0.9), silent)
