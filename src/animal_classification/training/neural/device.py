"""On what torch computes, how precisely, and in which layout: the configuration's `trainer` in torch's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from animal_classification.common.limits import available_cpus
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from animal_classification.config.schema import TrainerConfig


def prepare_torch(trainer: TrainerConfig, processes: int = 1) -> None:
    """Threads, and algorithms that give the same sums each time.

    Args:
        trainer: ``threads`` of it are shared by the processes on this machine.
        processes: How many these are.

    Raises:
        UsageError: The device that is wanted cannot be used.
    """
    accelerator(trainer)
    torch.set_num_threads(max(1, (trainer.threads or available_cpus()) // processes))
    torch.utils.deterministic.fill_uninitialized_memory = False  # only hides bugs, and costs time


def accelerator(trainer: TrainerConfig) -> str:
    """``cuda``, ``mps`` or ``cpu``.

    Raises:
        UsageError: The one that is wanted cannot be used.
    """
    if trainer.accelerator != "auto":
        usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not usable[trainer.accelerator]:
            raise UsageError(
                f"trainer.accelerator={trainer.accelerator}: PyTorch {torch.__version__} finds none; install its wheel "
                "for this device, or leave trainer.accelerator=auto"
            )
        return trainer.accelerator
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision(trainer: TrainerConfig) -> str:
    """Lightning's word for the numbers to compute with: mixed on CUDA, where it helps, else 32 bits."""
    chosen = trainer.precision
    if chosen == "auto":
        on_cuda = accelerator(trainer) == "cuda"
        chosen = ("bf16" if torch.cuda.is_bf16_supported() else "16") if on_cuda else "32"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[chosen]


def channels_last(trainer: TrainerConfig) -> bool:
    """Convolutions on CPU and CUDA are faster so."""
    if trainer.channels_last == "auto":
        return accelerator(trainer) != "mps"
    return trainer.channels_last


def deterministic(config: TrainerConfig, device: str) -> bool | str:
    """Some operations have no deterministic form on a GPU; there a warning has to do."""
    if not config.deterministic:
        return False
    return True if device == "cpu" else "warn"
