"""The built-in model in PyTorch, in PyTorch compiled, and in the engines that serve: one run, one table.

    .venv-train/bin/python benchmarks/torch_compile.py

Milliseconds a photo, batches of four, the median of runs that take turns; and how long it takes to be ready.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

from animal_classification import bundle as bundles
from animal_classification.bundle.graph import parse_graph
from animal_classification.export.torch.from_onnx import GraphModule
from animal_classification.export.weight_storage import widened
from animal_classification.inference.engine import create_engine

Run = Callable[[], object]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="photos")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--batch", type=int, default=4)
    options.add_argument("--rounds", type=int, default=15)
    asked = options.parse_args()
    torch.set_num_threads(asked.threads)
    bundle = bundles.load(asked.model)
    graph = widened(parse_graph(bundle.model_path.read_bytes(), str(bundle.path)))
    size = bundle.info.preprocess.size
    images = np.random.default_rng(0).integers(0, 256, (asked.batch, size, size, 3), dtype=np.uint8)
    ready, runs = {}, dict[str, Run]()
    for name in ("torch", "torch.compile", "onnxruntime", "openvino"):
        begun = time.perf_counter()
        runs[name] = (
            _engine(name, bundle, asked.threads, images) if "torch" not in name else _torch(name, graph, images)
        )
        runs[name]()
        ready[name] = time.perf_counter() - begun
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(asked.rounds):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    for name, found in times.items():
        milliseconds = 1000 * statistics.median(found) / asked.batch
        print(
            json.dumps(
                {"engine": name, "ms_per_photo": round(milliseconds, 2), "seconds_to_be_ready": round(ready[name], 2)}
            )
        )


def _torch(name: str, graph: object, images: np.ndarray) -> Run:
    module = GraphModule(graph).eval()  # type: ignore[arg-type]
    if name == "torch.compile":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module.compile()
    given = torch.from_numpy(images)

    def run() -> object:
        with torch.inference_mode():
            return module(given)

    return run


def _engine(name: str, bundle: bundles.Bundle, threads: int, images: np.ndarray) -> Run:
    engine = create_engine(bundle.model_path, outputs=("logits", "embedding"), name=name, threads=threads)  # type: ignore[arg-type]
    return lambda: engine.infer(images)


if __name__ == "__main__":
    main()
