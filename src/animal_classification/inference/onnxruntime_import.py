"""The one place that imports ONNX Runtime, with its usage statistics left out.

Since 1.32 its wheels hold Microsoft's client for them on Linux, too: ``import onnxruntime`` begins a session of it, and
leaves the file ``.ses`` among the temporary files. The variable is read at that moment, here and in child processes.
"""

# Imported where it is used: its usage statistics are switched off before it loads.

from __future__ import annotations

import os
from typing import Any

from animal_classification.errors import EngineError

_NO_STATISTICS = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> Any:
    """Return the module ``onnxruntime``."""
    os.environ[_NO_STATISTICS] = "1"
    import onnxruntime

    return onnxruntime


def require_cuda() -> None:
    """Refuse ONNX Runtime's wheel for CPUs, which has no part for GPUs.

    Raises:
        EngineError: It is the one that is installed.
    """
    if "CUDAExecutionProvider" not in import_onnxruntime().get_available_providers():
        raise EngineError(
            "the engine onnxruntime-cuda needs ONNX Runtime's wheel for GPUs, and the one for CPUs is installed: pip "
            "uninstall onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
