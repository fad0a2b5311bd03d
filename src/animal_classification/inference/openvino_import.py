"""The one place that imports OpenVINO, with its usage statistics left out.

``import openvino`` sends an event to an analytics service at every start, from a process that it forks in a thread.
Here nothing is sent, and nothing forks in a program that has threads.
"""

# Imported where it is used: its usage statistics are kept out while it loads.

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATISTICS = "openvino_telemetry"


def import_openvino() -> Any:
    """Return the module ``openvino``."""
    with _without_statistics():
        import openvino

        return openvino


@contextmanager
def _without_statistics() -> Iterator[None]:
    # None makes the import raise ImportError, upon which OpenVINO takes the stub that it ships for this case.
    if _STATISTICS in sys.modules:
        yield
        return
    sys.modules[_STATISTICS] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(_STATISTICS, None)
