"""ONNX Runtime on the CPU: one thread per call, several calls side by side."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from animal_classification.errors import EngineError
from animal_classification.inference.onnxruntime_import import import_onnxruntime

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

ort = import_onnxruntime()
_ERRORS_ONLY = 3


class OnnxRuntimeEngine:
    """See :func:`animal_classification.inference.engine.create_engine`."""

    name = "onnxruntime"

    def __init__(self, model: Path, outputs: tuple[str, ...], threads: int, content: bytes | None = None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        source = str(model) if content is None else content
        try:
            self._session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no public base class
            raise EngineError(f"ONNX Runtime cannot run {model}: {str(error).strip().splitlines()[0]}") from error
        self._outputs = outputs
        self._slots = BoundedSemaphore(threads)

    def infer(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs for images uint8 ``[N, H, W, 3]``; waits for a free slot."""
        with self._slots:
            try:
                values = self._session.run(list(self._outputs), {"images": images})
            except Exception as error:  # as above
                reason = str(error).strip().splitlines()[0]
                raise EngineError(f"ONNX Runtime failed on a batch of shape {images.shape}: {reason}") from error
        return dict(zip(self._outputs, values, strict=True))
