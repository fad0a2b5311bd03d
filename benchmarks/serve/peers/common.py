"""What all peers share: options, a photo to pixels, logits to an answer."""

from __future__ import annotations

import argparse
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE, SHORTER = 224, 256
TOP = 5


def parser() -> argparse.ArgumentParser:
    """The options that every peer has."""
    options = argparse.ArgumentParser()
    options.add_argument("--bundle", type=Path, required=True, help="folder with model.onnx and bundle.json")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--threads", type=int, default=0, help="of the engine; 0 for its own choice")
    return options


def labels_of(bundle: Path) -> list[str]:
    """The names of the classes, in the order of the logits."""
    return [label["name"] for label in json.loads((bundle / "bundle.json").read_text())["labels"]]


def pixels_of(photo: bytes) -> np.ndarray[Any, Any]:
    """A photo decoded at reduced scale, resized and cropped: uint8 ``[224, 224, 3]``."""
    image: Any = Image.open(BytesIO(photo))
    image.draft("RGB", (SHORTER, SHORTER))
    image = image.convert("RGB")
    scale = SHORTER / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    return np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))


def answer_of(logits: np.ndarray[Any, Any], labels: list[str]) -> dict[str, Any]:
    """The most probable labels of one photo, for logits float32 ``[C]``."""
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    scores = scores[: len(labels)]  # the rest is what is no animal
    best = np.argsort(-scores)[:TOP]
    top = [{"label": labels[index], "probability": round(float(scores[index]), 6)} for index in best]
    return {"predictions": [{**top[0], "top": top}]}


def onnxruntime_session(bundle: Path, threads: int) -> Any:
    """ONNX Runtime on the bundle's graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(bundle / "model.onnx", options, providers=["CPUExecutionProvider"])
