"""The recipes by name, and the module in which each of them lives."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from animal_classification.errors import MissingExtraError

if TYPE_CHECKING:
    from animal_classification.training.recipe import Recipe

# By name, because torch must not be imported (nor found by the import contract) where it is not asked for.
RECIPES = {
    "probe": "animal_classification.training.probe.recipe",
    "finetune": "animal_classification.training.neural.finetune.recipe",
    "cnn": "animal_classification.training.neural.cnn",
}


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
