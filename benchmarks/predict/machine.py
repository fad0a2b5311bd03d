"""What the numbers were measured on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import animal_classification
from animal_classification.common.limits import available_cpus, available_memory

_ENGINES = ("openvino", "onnxruntime", "numpy", "pillow")
_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}


def describe() -> dict[str, object]:
    """CPU, cores, system and Python."""
    return {
        "cpu": _cpu_field("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def cores() -> int:
    """CPUs that this process may use."""
    return available_cpus()


def versions() -> dict[str, str]:
    """Versions of what we run on."""
    found = {"animal-classification": animal_classification.__version__}
    for name in _ENGINES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 itself."""
    return bool(_BF16 & set(_cpu_field("flags").split()) or "bf16" in _cpu_field("Features").split())


def _memory_gb() -> float | None:
    memory = available_memory()
    return None if memory is None else round(memory / 1e9, 1)


def _cpu_field(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
