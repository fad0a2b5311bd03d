"""Small drawn photos of three kinds, and jobs on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from animal_classification.config.compose import compose
from animal_classification.tracking.tracker import NoTracker
from animal_classification.training.prepare_data import prepare
from animal_classification.training.recipe import RecipeInputs
from animal_classification.training.run import open_run

COLOURS = {"fox": (200, 90, 30), "frog": (40, 180, 60), "whale": (40, 70, 190)}
LIGHT = (
    "recipe=cnn",
    "tracking=none",
    "recipe.size=16",
    "recipe.channels=[4,8]",
    "recipe.hidden=16",
    "trainer.threads=1",
)


def draw_photos(folder: Path, *, each: int = 16, side: int = 24) -> Path:
    """``each`` photos of each kind: its colour, with noise that differs from photo to photo."""
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            noise = random.normal(0, 60, (side, side, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def words(photos: Path, output: Path, *more: str) -> list[str]:
    """What stands after ``animals train``."""
    return [*LIGHT, "data=folder", f"data.path={photos}", f"data.cache={output / 'cache'}", f"output={output}", *more]


def make_job(overrides: Sequence[str]) -> RecipeInputs:
    config = compose(tuple(overrides))
    dataset = prepare(config, lambda *_: None)
    run = open_run(config, name="drawn", data_version=dataset.version)
    return RecipeInputs(config=config, dataset=dataset, run=run, tracker=NoTracker(), progress=lambda *_: None)
