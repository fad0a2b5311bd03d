"""Measure the built `photos` bundle on labelled photos, beside the torch original on the same files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torchvision import transforms

from animal_classification import Classifier, imaging

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BATCH = 16


def measure(bundle: Path, original: torch.nn.Module, photos: Path) -> dict[str, Any]:
    """Return accuracy, animal-or-not figures and the differences to the torch original.

    Args:
        bundle: The built bundle.
        original: Torch module from uint8 ``[N, H, W, 3]`` to logits, embedding and features, in full precision.
        photos: Folder with ``imagenet_animals`` (one photo per class, in the order of the classes) and ``non_animals``.
    """
    animals = sorted((photos / "imagenet_animals").iterdir())
    others = sorted((photos / "non_animals").iterdir())
    classifier = Classifier.load(bundle)
    ours = classifier.predict([str(path) for path in animals], top_k=5)
    rejected = classifier.predict([str(path) for path in others])
    truth = [label.id for label in classifier.info.labels]
    groups = [label.groups[0] for label in classifier.info.labels]
    torch_top = torch_order(original, animals)[:, :5]
    known = np.array([p.known_score for p in ours])
    unknown = np.array([p.known_score for p in rejected])
    figures: dict[str, Any] = {
        "photos": "imagenet_animals (398), non_animals (60)",
        "top1": mean(p.label_id == t for p, t in zip(ours, truth, strict=True)),
        "top5": mean(t in {c.label_id for c in p.top} for p, t in zip(ours, truth, strict=True)),
        "group_top1": mean(p.group == g for p, g in zip(ours, groups, strict=True)),
        "torch_top1": mean(torch_top[:, 0] == np.arange(len(animals))),
        "torch_top5": mean((torch_top == np.arange(len(animals))[:, None]).any(axis=1)),
        "animal_auroc": round(float(roc_auc_score([1] * len(known) + [0] * len(unknown), [*known, *unknown])), 5),
        "animals_kept": mean(not p.unknown for p in ours),
        "others_let_through": mean(not p.unknown for p in rejected),
    }
    return figures | logit_differences(classifier, original, animals)


def torch_order(original: torch.nn.Module, paths: list[Path]) -> NDArray[np.int64]:
    """Return the animal classes of each photo by falling logit, through torchvision's own resize and crop."""
    steps = transforms.Compose(
        [transforms.Resize(256, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224)]
    )
    rows = []
    for start in range(0, len(paths), BATCH):
        pixels = [np.asarray(steps(Image.open(path).convert("RGB"))) for path in paths[start : start + BATCH]]
        rows.append(run_torch(original, np.stack(pixels)))
    logits = np.concatenate(rows)[:, : len(paths)]
    order: NDArray[np.int64] = np.argsort(-logits, axis=1, kind="stable")
    return order


def logit_differences(classifier: Classifier, original: torch.nn.Module, paths: list[Path]) -> dict[str, float]:
    """Return how far the bundle's logits are from the original's on the same pixels (the half-precision weights)."""
    from animal_classification.inference.engine import ENGINES, create_engine

    pixels = np.stack([imaging.preprocess(path, classifier.bundle.preprocess_spec) for path in paths])
    expected = np.concatenate([run_torch(original, pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)])
    figures = {"logit_range": round(float(expected.max() - expected.min()), 3)}
    for name in ENGINES[1:]:
        engine = create_engine(classifier.bundle.model_path, name=name)
        got = np.concatenate([engine.infer(pixels[i : i + BATCH])["logits"] for i in range(0, len(pixels), BATCH)])
        figures[f"largest_logit_difference_{name}"] = round(float(np.abs(got - expected).max()), 5)
    return figures


def run_torch(original: torch.nn.Module, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits: NDArray[np.float32] = original(torch.from_numpy(pixels))[0].numpy()
    return logits


def mean(values: Any) -> float:
    return round(float(np.mean(list(values))), 5)
