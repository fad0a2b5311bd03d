"""fastai's ``fine_tune``, with its own defaults, the same backbone and the same photos."""

from __future__ import annotations

import sys
from pathlib import Path

from common import MEAN, STD, Clock, network, read
from fastai.callback.core import Callback
from fastai.vision.all import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    IndexSplitter,
    Learner,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    params,
    set_seed,
)


class Measure(Callback):
    """After each epoch, on the test photos, which take the place of fastai's own validation."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def before_validate(self) -> None:
        import time

        self.since = time.time()

    def after_validate(self) -> None:
        import json
        import time

        seconds = self.since - self.clock.begun - self.clock.paused
        self.clock.paused += time.time() - self.since
        print(json.dumps({"seconds": round(seconds, 1), "accuracy": float(self.learn.metrics[0].value)}), flush=True)


def main(table: str, number: int, size: int, epochs: int, seed: int, begun: float) -> None:
    set_seed(seed)
    names, parts = read(Path(table))
    rows = [*parts["train"], *parts["test"]]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=names)),
        get_x=lambda row: row[0],
        get_y=lambda row: names[row[1]],
        splitter=IndexSplitter(range(len(parts["train"]), len(rows))),
        item_tfms=Resize(460),
        batch_tfms=[*aug_transforms(size=size, min_scale=0.75), Normalize.from_stats(MEAN, STD)],
    )
    loaders = block.dataloaders(rows, bs=32, num_workers=0)
    model = network(number, len(names))

    def halves(whole: object) -> list:
        # As vision_learner does for timm's networks: body and head.
        head = list(whole.classifier.parameters())
        return [[p for p in params(whole) if all(p is not other for other in head)], head]

    learner = Learner(loaders, model, splitter=halves, metrics=accuracy, cbs=Measure(Clock(begun)))
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs)


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:6]), float(sys.argv[6]))
