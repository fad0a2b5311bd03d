"""The engine interface, and the choice between the engines that are installed."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from animal_classification.bundle.schema import MODEL_FILE
from animal_classification.common.limits import available_cpus
from animal_classification.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle

EngineName = Literal["auto", "openvino", "onnxruntime"]
# Two photos in each call of the engine, one call to a core: what the layers hand on stays in the core's own cache.
BATCH = 2
ENGINES: tuple[str, ...] = get_args(EngineName)
# What ``auto`` takes, the faster first (docs/engines.md).
PREFERRED = ("onnxruntime", "openvino")


class Engine(Protocol):
    """Runs a bundle's graph; one instance may be used from several threads at once."""

    name: str

    def infer(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs asked for at creation, for images uint8 ``[N, H, W, 3]``."""
        ...


def infer_in_batches(engine: Engine, images: NDArray[np.uint8], *, size: int = BATCH) -> dict[str, NDArray[np.float32]]:
    """Return the outputs for any number of images, uint8 ``[N, H, W, 3]``, on this thread, a few in each call."""
    parts = [engine.infer(images[start : start + size]) for start in range(0, len(images), size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def create_engine(
    model: Path,
    *,
    outputs: Sequence[str] = ("logits",),
    name: str = "auto",
    threads: int | None = None,
    content: bytes | None = None,
) -> Engine:
    """Start an engine on an ONNX file.

    Args:
        model: The bundle's ``model.onnx``.
        outputs: Which of the graph's outputs are computed and copied out.
        name: ``openvino``, ``onnxruntime``, or ``auto`` for the faster one that is installed (docs/engines.md).
        threads: How many CPUs it may use, and how many calls of ``infer`` run side by side; all CPUs by default.
        content: What the file held when it was verified: the file may have changed since. Read from it by default.

    Raises:
        UsageError: The name is not one of the engines, or ``threads`` is below one.
        EngineError: The engine is not installed, or refuses the graph.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}: choose one of {', '.join(ENGINES)}")
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    count = threads or available_cpus()
    for candidate in PREFERRED if name == "auto" else (name,):
        if importlib.util.find_spec(candidate) is not None:
            return _start(candidate, model, content, tuple(outputs), count)
    raise EngineError(f"engine {name!r} is not installed: pip install {'onnxruntime' if name == 'auto' else name}")


def start_engine(bundle: Bundle, *, outputs: Sequence[str], name: str = "auto", threads: int | None = None) -> Engine:
    """Start an engine on a bundle's graph, as it was verified; see :func:`create_engine`.

    Raises:
        BundleInvalidError: The file has changed since the bundle was loaded.
        EngineError: The engine is not installed, or refuses the graph.
    """
    content = bundle.content(MODEL_FILE)
    return create_engine(bundle.model_path, outputs=outputs, name=name, threads=threads, content=content)


def _start(name: str, model: Path, content: bytes | None, outputs: tuple[str, ...], threads: int) -> Engine:
    if name == "openvino":
        from animal_classification.inference.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(model, outputs, threads, content)
    from animal_classification.inference.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(model, outputs, threads, content)
