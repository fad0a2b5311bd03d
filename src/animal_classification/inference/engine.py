"""The engine interface, and the choice between the engines that are installed."""

# Imported where it is used: an engine takes up to 0.2 s to load, and one of the two is an extra.

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from animal_classification.bundle.schema import MODEL_FILE
from animal_classification.common.limits import available_cpus
from animal_classification.errors import EngineError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle

EngineName = Literal["auto", "openvino", "onnxruntime", "onnxruntime-cuda"]
# Two photos in each call of the engine, one call to a core: what the layers hand on stays in the core's own cache.
BATCH = 2
# A GPU waits for whoever gives it little: a whole chunk of the stream in each call.
CUDA_BATCH = 24
ENGINES: tuple[str, ...] = get_args(EngineName)
# What ``auto`` takes: the first that is installed. ONNX Runtime is in the core, OpenVINO an extra (docs/engines.md). A
# GPU is taken by name only.
PREFERRED = ("onnxruntime", "openvino")


class Engine(Protocol):
    """Runs a bundle's graph; one instance may be used from several threads at once."""

    name: str

    def infer(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs asked for at creation, for images uint8 ``[N, H, W, 3]``."""
        ...


def batch_size(engine: Engine) -> int:
    """How many images a call of the engine should have at most."""
    return CUDA_BATCH if engine.name == "onnxruntime-cuda" else BATCH


def infer_in_batches(
    engine: Engine, images: NDArray[np.uint8], *, size: int | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return the outputs for any number of images, uint8 ``[N, H, W, 3]``, on this thread, a few in each call."""
    size = size or batch_size(engine)
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
        name: ``onnxruntime``, ``openvino``, ``onnxruntime-cuda`` for a GPU of NVIDIA, or ``auto`` for the first of the
            former two that is installed.
        threads: How many CPUs it may use, and how many calls of ``infer`` run side by side; all CPUs by default.
        content: What the file held when it was verified: the file may have changed since. Read from it by default.

    Raises:
        UsageError: The name is not one of the engines, or ``threads`` is below one.
        MissingExtraError: The engine is an extra that is not installed.
        EngineError: ONNX Runtime or its part for GPUs is not installed, or the engine refuses the graph.
    """
    chosen = installed_engine(name)
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    return _start(chosen, model, content, tuple(outputs), threads or available_cpus())


def installed_engine(name: str) -> str:
    """Which engine a name stands for, without a look at any model: for commands that have much to do before.

    Raises:
        UsageError: The name is not one of the engines.
        MissingExtraError: It is an extra that is not installed.
        EngineError: ONNX Runtime is not installed, or without the part that GPUs need.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}: choose one of {', '.join(ENGINES)}")
    for candidate in PREFERRED if name == "auto" else (name,):
        if importlib.util.find_spec(candidate.removesuffix("-cuda")) is None:
            continue
        if candidate == "onnxruntime-cuda":
            from animal_classification.inference.onnxruntime_import import require_cuda

            require_cuda()
        return candidate
    if name == "openvino":
        raise MissingExtraError("the engine openvino", "openvino")
    raise EngineError("ONNX Runtime is not installed: pip install onnxruntime")


def start_engine(bundle: Bundle, *, outputs: Sequence[str], name: str = "auto", threads: int | None = None) -> Engine:
    """Start an engine on a bundle's graph, as it was verified; see :func:`create_engine`.

    Raises:
        BundleInvalidError: The file has changed since the bundle was loaded.
        MissingExtraError: The engine is an extra that is not installed.
        EngineError: ONNX Runtime is not installed, or the engine refuses the graph.
    """
    content = bundle.content(MODEL_FILE)
    return create_engine(bundle.model_path, outputs=outputs, name=name, threads=threads, content=content)


def _start(name: str, model: Path, content: bytes | None, outputs: tuple[str, ...], threads: int) -> Engine:
    if name == "openvino":
        from animal_classification.inference.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(model, outputs, threads, content)
    from animal_classification.inference.onnxruntime_engine import CudaEngine, OnnxRuntimeEngine

    engine = CudaEngine if name == "onnxruntime-cuda" else OnnxRuntimeEngine
    return engine(model, outputs, threads, content)
