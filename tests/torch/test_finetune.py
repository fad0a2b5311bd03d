"""The recipe `finetune`, on drawn photos and small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from PIL import Image

from animal_classification.cli.main import main
from animal_classification.config.compose import compose
from animal_classification.config.schema import BackboneConfig, Config
from animal_classification.errors import UsageError
from animal_classification.inference import Classifier
from animal_classification.tracking.tracker import NoTracker
from animal_classification.training.neural import seeded_random
from animal_classification.training.neural.finetune import recipe
from animal_classification.training.neural.finetune.mixup import Mixing, pick_view, rand_augment
from animal_classification.training.neural.finetune.network import split_backbone
from animal_classification.training.neural.finetune.stages import Tail, Whole, groups_of, stages_of
from animal_classification.training.neural.finetune.timm_backbone import load_backbone
from animal_classification.training.train import Result, train

SIZE = 64
PAIR = "tf_efficientnet_lite0+tf_efficientnet_lite1"
COLOURS = {"lynx": (190, 70, 60), "newt": (60, 190, 70), "orca": (70, 60, 190)}


class KilledError(Exception):
    """What ends a run in the middle."""


class Listener(NoTracker):
    """Remembers accuracies; raises at the end of an epoch if it is told to."""

    def __init__(self, *, last: int | None = None) -> None:
        self.last = last
        self.train: list[float] = []

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        if "train/accuracy" in values:
            self.train.append(values["train/accuracy"])
            if step == self.last:
                raise KilledError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for number in range(10):
            pixels = np.clip(np.array(colour) + chance.normal(0, 50, (70, 80, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def config(photos: Path, output: Path, *more: str) -> Config:
    settings = {
        "data": "folder",
        "data.path": photos,
        "data.cache": photos.parent / "cache",
        "output": output,
        "recipe": "finetune",
        "recipe.epochs": 2,
        "recipe.mixup": 0,
        "recipe.batch_size": 8,
        "trainer.threads": 1,
        "backbone": "photos",
        "backbone.size": SIZE,
        "tracking": "none",
    }
    return compose([*(f"{key}={value}" for key, value in settings.items()), *more])


def run(config: Config, *, last: int | None = None) -> tuple[Result, Listener]:
    listener = Listener(last=last)
    return train(config, listeners=[listener]), listener


def test_it_learns_and_the_bundle_is_the_same_after_an_interruption(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three val photos say too little for the layers to be kept, and then there would be no second stage to interrupt.
    monkeypatch.setattr(recipe, "_clearly_better", lambda before, after: True)
    whole, listener = run(config(photos, tmp_path / "whole", "recipe.drop=0", "recipe.lr=1e-4"))
    assert whole.accuracy == 1.0
    assert len(listener.train) > 2  # the second stage too
    assert listener.train[-1] == 1.0
    for last in (1, 3):  # of an epoch, in either stage
        with pytest.raises(KilledError):
            run(config(photos, tmp_path / "killed", "recipe.drop=0", "recipe.lr=1e-4"), last=last)
    again, _ = run(config(photos, tmp_path / "killed", "recipe.drop=0", "recipe.lr=1e-4"))
    assert again.resumed
    assert (again.bundle / "model.onnx").read_bytes() == (whole.bundle / "model.onnx").read_bytes()
    assert main(["report", "check", str(again.bundle / "README.md"), "-q"]) == 0


def test_all_layers_learn_on_pixels_where_nothing_is_frozen(photos: Path, tmp_path: Path) -> None:
    result, _ = run(config(photos, tmp_path, "recipe.freeze=0", "recipe.refit=false", "recipe.cutmix=1"))
    assert result.accuracy == 1.0


def test_dropout_is_on_while_layers_learn_and_batch_norms_stay(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[bool, bool]] = set()
    forward = Tail.forward

    def watched(tail: Tail, inputs: Any) -> Any:
        norms = [module.training for module in tail.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        if torch.is_grad_enabled():
            seen.add((tail.dropout.training, any(norms)))
        return forward(tail, inputs)

    monkeypatch.setattr(Tail, "forward", watched)
    run(config(photos, tmp_path))
    assert seen == {(True, False)}


def test_no_epoch_leaves_the_head_alone(photos: Path, tmp_path: Path) -> None:
    result, listener = run(config(photos, tmp_path, "recipe.epochs=0", "recipe.refit=false"))
    assert result.accuracy == 1.0
    assert not listener.train


def test_layers_have_to_be_better_by_more_than_chance() -> None:
    chance = torch.Generator().manual_seed(0)
    before = torch.rand(100, generator=chance)
    noise = torch.randn(100, generator=chance)
    assert recipe._clearly_better(before, before - 0.5 - noise)
    assert not recipe._clearly_better(before, before - 0.01 - (noise - noise.mean()))
    assert not recipe._clearly_better(before, before)
    assert not recipe._clearly_better(before[:1], before[:1] - 1)
    assert not recipe._clearly_better(before[:0], before[:0]), "nothing speaks for them"


@pytest.fixture(scope="module")
def lite() -> BackboneConfig:
    return BackboneConfig(bundle="photos", timm="tf_efficientnet_lite0", size=SIZE)


def test_a_cut_network_answers_like_the_whole_one(lite: BackboneConfig) -> None:
    backbone = load_backbone(lite)
    network = split_backbone(backbone, None, classes=3, drop=0.2).eval()
    assert 0 < len(network.trunk) < len(stages_of(backbone.network, SIZE))
    images = torch.rand(2, 3, SIZE, SIZE) * 255
    with torch.inference_mode():
        expected = backbone.network.forward_head(
            backbone.network.forward_features((images - 127) / 128), pre_logits=True
        )
        assert torch.allclose(network.outputs(images)["embedding"], expected, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in network.trunk.parameters())


def test_two_networks_side_by_side_are_one_that_can_be_cut() -> None:
    backbone = load_backbone(BackboneConfig(bundle="photos", timm=PAIR, size=SIZE, crop=0.9))
    members = [load_backbone(BackboneConfig(bundle="photos", timm=name, size=SIZE)) for name in PAIR.split("+")]
    assert (backbone.preprocess.size, backbone.preprocess.crop_pct) == (SIZE, 0.9)
    network = split_backbone(backbone, None, classes=3, drop=0.2).eval()
    assert len(network.trunk)
    images = torch.rand(2, 3, SIZE, SIZE) * 255
    with torch.inference_mode():
        found = network.outputs(images)
        alone = [split_backbone(member, 0, classes=3, drop=0.2).eval().outputs(images) for member in members]
    for name in ("embedding", "features"):
        assert torch.allclose(found[name], torch.cat([one[name] for one in alone], dim=1), atol=1e-4)
    # Their own opinion is the mean of both.
    assert network.own
    both = [split_backbone(member, 0, classes=3, drop=0.2).own for member in members]
    opinions = [own.logits(one["embedding"].double().numpy()) for own, one in zip(both, alone, strict=True) if own]
    assert np.allclose(network.own.logits(found["embedding"].double().numpy()), np.mean(opinions, axis=0), atol=1e-3)
    rates = {group["lr_scale"] for group in groups_of(network.tail, compose(["recipe=finetune"]).optim, 0.5)}
    assert len(rates) == len(network.tail.stages)


def test_two_networks_learn_and_serve(photos: Path, tmp_path: Path) -> None:
    result, _ = run(config(photos, tmp_path, f"backbone.timm={PAIR}", "recipe.epochs=1"))
    assert result.accuracy == 1.0
    classifier = Classifier.load(str(result.bundle))
    embedding = classifier.predict(next(photos.rglob("*.png")), embedding=True).embedding
    assert embedding is not None
    assert embedding.shape == (2560,)


def test_networks_whose_stages_differ_learn_as_a_whole() -> None:
    wanted = BackboneConfig(bundle="photos", timm="resnet18+mobilenetv3_small_100", weights="none", size=SIZE)
    backbone = load_backbone(wanted)
    assert isinstance(stages_of(backbone.network, SIZE)[0], Whole)
    assert split_backbone(backbone, None, classes=3, drop=0.0).eval()(torch.rand(2, 3, SIZE, SIZE)).shape == (2, 3)


def test_each_stage_learns_slower_than_the_one_after_it(lite: BackboneConfig, tmp_path: Path) -> None:
    network = split_backbone(load_backbone(lite), 0, classes=3, drop=0.2)
    optim = config(tmp_path, tmp_path).optim
    groups = groups_of(network.tail, optim, 0.5)
    rates = sorted({group["lr_scale"] for group in groups}, reverse=True)
    assert rates == [0.5**depth for depth in range(len(network.tail.stages))]
    counted = sum(parameter.numel() for group in groups for parameter in group["params"])
    assert counted == sum(parameter.numel() for parameter in network.tail.parameters())


def test_batch_norms_keep_their_statistics(lite: BackboneConfig) -> None:
    tail = split_backbone(load_backbone(lite), 0, classes=3, drop=0.2).tail.train()
    norms = [module for module in tail.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


@pytest.mark.parametrize(
    ("name", "can_be_cut"), [("resnet18", True), ("mobilenetv3_small_100", True), ("vit_tiny_patch16_224", False)]
)
def test_other_networks_of_timm(name: str, can_be_cut: bool) -> None:
    backbone = load_backbone(BackboneConfig(bundle="photos", timm=name, weights="none", size=SIZE))
    stages = stages_of(backbone.network, SIZE)
    assert isinstance(stages[0], Whole) is not can_be_cut
    network = split_backbone(backbone, None, classes=3, drop=0.0).eval()
    assert network(torch.rand(2, 3, SIZE, SIZE) * 255).shape == (2, 3)


def test_a_network_that_cannot_be_cut_says_so() -> None:
    backbone = load_backbone(BackboneConfig(bundle="photos", timm="vit_tiny_patch16_224", weights="none", size=SIZE))
    with pytest.raises(UsageError, match="cannot be cut; set it to 0"):
        split_backbone(backbone, 1, classes=3, drop=0.0)


def test_too_many_frozen_stages(lite: BackboneConfig) -> None:
    with pytest.raises(UsageError, match=r"recipe\.freeze is 99, and the network has \d+ stages"):
        split_backbone(load_backbone(lite), 99, classes=3, drop=0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"timm": "tf_efficientnet_lite00"}, "did you mean 'tf_efficientnet_lite0'"),
        ({"weights": "nowhere.pt"}, "there is no file 'nowhere.pt'"),
        ({"weights": "broken.pt"}, "holds no weights"),
        ({"weights": "other.pt"}, "holds 1 tensors that do not fit"),
        ({"timm": PAIR, "weights": "other.pt"}, "is the file of one network, and backbone.timm names 2"),
        ({"timm": "resnet18+tf_efficientnet_lite0", "weights": "none"}, "their pixels are scaled differently"),
        (
            {"timm": "resnet18+deit_tiny_patch16_224", "weights": "none"},
            r"maps are \[512, 7, 7\] and \[197, 192\]; name",
        ),
        ({"timm": "tf_efficientnet_lite0+"}, "timm knows no network ''"),
    ],
)
def test_what_cannot_be_is_one_line(
    values: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.pt").write_bytes(b"no weights")
    torch.save({"one": torch.zeros(1)}, "other.pt")
    wanted = {"bundle": "photos", "timm": "tf_efficientnet_lite0", **values}
    with pytest.raises(UsageError, match=message) as caught:
        load_backbone(BackboneConfig.model_validate(wanted))
    assert "\n" not in str(caught.value)


def test_mixing_keeps_targets_in_step_with_pixels() -> None:
    images = torch.arange(4.0)[:, None, None, None].expand(4, 1, 8, 8)
    targets = torch.eye(4)
    for mixing in (Mixing(0.4, 0.0), Mixing(0.0, 1.0)):
        torch.manual_seed(1)
        mixed, aims = mixing(images, targets)
        assert torch.allclose(aims.sum(1), torch.ones(4))
        # The value of each photo is its number, so that the mean tells how much of which is in it.
        assert torch.allclose(mixed.mean((1, 2, 3)), aims @ torch.arange(4.0), atol=1e-5)
    assert Mixing(0.0, 0.0)(images, targets)[0] is images


def test_views_and_augmentation_are_decided_by_the_keys() -> None:
    keys = seeded_random.keys(0, 1, np.arange(32))
    both = torch.cat([torch.zeros(32, 2, 3, 3), torch.ones(32, 2, 3, 3)], dim=1)
    picked = pick_view(both, keys)
    assert picked.shape == (32, 2, 3, 3)
    assert 0 < picked.mean() < 1
    assert torch.equal(picked, pick_view(both, keys))
    torch.manual_seed(0)
    once = rand_augment(torch.rand(4, 3, 16, 16) * 255, keys[:4], 1.0)
    assert once.shape == (4, 3, 16, 16)
    assert 0 <= float(once.min()) <= float(once.max()) <= 255
