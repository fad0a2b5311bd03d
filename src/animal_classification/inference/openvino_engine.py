"""OpenVINO on the CPU: one stream per thread, so that calls side by side do not wait for each other."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.errors import EngineError
from animal_classification.inference.openvino_import import import_openvino

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class OpenVinoEngine:
    """See :func:`animal_classification.inference.engine.create_engine`."""

    name = "openvino"

    def __init__(self, model: Path, outputs: tuple[str, ...], threads: int, content: bytes | None = None) -> None:
        # f32 is asked for because OpenVINO would pick bfloat16 by itself on some CPUs: the same photo then gets
        # another answer on another machine, and top-1 drops by up to half a point.
        config = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        ov = import_openvino()
        self._tensor = ov.Tensor
        try:
            core = ov.Core()
            graph = core.read_model(model if content is None else content)
            for result in list(graph.outputs):
                if not result.get_names() & set(outputs):
                    graph.remove_result(result.get_node())
            compiled = core.compile_model(graph, "CPU", config)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot run {model}: {_first_line(error)}") from error
        self._outputs = outputs
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            self._requests.put(compiled.create_infer_request())

    def infer(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs for images uint8 ``[N, H, W, 3]``; waits for a free stream."""
        request = self._requests.get()
        try:
            request.infer([self._tensor(np.ascontiguousarray(images), shared_memory=True)])
            # Copied, because the request's buffers are reused by the next call.
            return {name: request.get_tensor(name).data.copy() for name in self._outputs}
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed on a batch of shape {images.shape}: {_first_line(error)}") from error
        finally:
            self._requests.put(request)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
