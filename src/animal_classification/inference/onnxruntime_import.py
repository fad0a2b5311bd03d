"""The one place that imports ONNX Runtime, with its usage statistics left out.

Since 1.32 its wheels hold Microsoft's client for them on Linux, too: ``import onnxruntime`` begins a session of it, and
leaves the file ``.ses`` among the temporary files. The variable is read at that moment, here and in child processes.
"""

# Imported where it is used: its usage statistics are switched off before it loads.

from __future__ import annotations

import os
from typing import Any

_NO_STATISTICS = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> Any:
    """Return the module ``onnxruntime``."""
    os.environ[_NO_STATISTICS] = "1"
    import onnxruntime

    return onnxruntime
