"""fastai's ``vision_learner`` and ``fine_tune``: its own head and defaults, the same backbone, the same photos."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch
from common import MEAN, STD, Clock, cores, fill, read, workers
from fastai.callback.core import Callback
from fastai.vision.all import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    IndexSplitter,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    set_seed,
    vision_learner,
)


class Measure(Callback):
    """After each epoch, on the test photos, which take the place of fastai's own validation."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def before_validate(self) -> None:
        self.clock.stop()

    def after_validate(self) -> None:
        self.clock.report(float(self.learn.metrics[0].value))


def main(table: str, number: int, size: int, epochs: int, seed: int, begun: float) -> None:
    torch.set_num_threads(cores())
    set_seed(seed)
    names, parts = read(Path(table))
    labels = {path: names[target] for part in ("train", "test") for path, target in parts[part]}
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=names)),
        get_y=lambda path: labels[path],
        splitter=IndexSplitter(range(len(parts["train"]), len(labels))),
        item_tfms=Resize(460),
        batch_tfms=[*aug_transforms(size=size, min_scale=0.75), Normalize.from_stats(MEAN, STD)],
    )
    loaders = block.dataloaders(list(labels), bs=32, num_workers=workers())
    # Its weights would come from the hub; they are put in by hand, and `fine_tune` freezes them first all the same.
    arch = f"tf_efficientnet_lite{number}"
    learner = vision_learner(loaders, arch, pretrained=False, normalize=False, metrics=accuracy)
    fill(learner.model[0].model, number)
    learner.add_cb(Measure(Clock(begun)))
    with learner.no_bar(), learner.no_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner.fine_tune(epochs)


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:6]), float(sys.argv[6]))
