"""ONNX Runtime: on the CPU one thread per call, several calls side by side; or on a GPU, one call at a time."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, ClassVar

from animal_classification.errors import EngineError
from animal_classification.inference.onnxruntime_import import import_onnxruntime

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

ort = import_onnxruntime()
_ERRORS_ONLY = 3
# What a session may take of the GPU's memory beside its weights, in bytes: it would take all that there is.
CUDA_MEMORY = 4 * 2**30


class OnnxRuntimeEngine:
    """See :func:`animal_classification.inference.engine.create_engine`."""

    name = "onnxruntime"
    # In ONNX Runtime's own form: a name, or a name and its options.
    providers: ClassVar[list[Any]] = ["CPUExecutionProvider"]

    def __init__(self, model: Path, outputs: tuple[str, ...], threads: int, content: bytes | None = None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        source = str(model) if content is None else content
        try:
            self._session = ort.InferenceSession(source, options, providers=self.providers)
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


class CudaEngine(OnnxRuntimeEngine):
    """On the first GPU of NVIDIA, with at most ``CUDA_MEMORY``; see ``create_engine``.

    ``CUDA_VISIBLE_DEVICES`` says which GPU is the first. Sums are in float32: TF32 would change answers.
    """

    name = "onnxruntime-cuda"
    providers: ClassVar[list[Any]] = [
        (
            "CUDAExecutionProvider",
            {
                "device_id": 0,
                "gpu_mem_limit": CUDA_MEMORY,
                "arena_extend_strategy": "kSameAsRequested",
                "cudnn_conv_algo_search": "HEURISTIC",
                "use_tf32": 0,
            },
        ),
        "CPUExecutionProvider",  # for the operations that have no form on a GPU
    ]

    def __init__(self, model: Path, outputs: tuple[str, ...], threads: int, content: bytes | None = None) -> None:
        if hasattr(ort, "preload_dlls"):  # from 1.21: CUDA and cuDNN as pip installs them
            ort.preload_dlls()
        super().__init__(model, outputs, 1, content)
        # Where a library of CUDA is missing, a session says so on stderr and computes on the CPU.
        if "CUDAExecutionProvider" not in self._session.get_providers():
            raise EngineError(
                "the engine onnxruntime-cuda found no GPU that it can use: see that nvidia-smi lists one and that CUDA "
                "and cuDNN are installed (pip install 'onnxruntime-gpu[cuda,cudnn]')"
            )
