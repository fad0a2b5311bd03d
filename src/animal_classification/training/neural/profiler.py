"""``trainer.profile=true``: a trace of some steps, and a page that says where the time of the run went."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.profiler import ProfilerActivity, profile

from animal_classification.common.text_files import cannot_write

TRACE, PAGE = "trace.json", "profile.md"
_FIRST, _STEPS = 3, 20  # the first steps allocate and are slower
_ROWS = 15
_PHASES = ("data", "forward", "backward", "optimiser", "validation and checkpoints")


class Profiling(Callback):
    """Measures a fit. ``forward`` includes augmentation, ``data`` is the waiting for photos.

    Args:
        folder: For the two files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = dict.fromkeys(_PHASES, 0.0)
        self.began = self.last = time.perf_counter()
        self.steps = 0
        self.profiler: profile | None = None
        self.table = ""

    def on_train_start(self, *_: Any) -> None:
        self.began = self.last = time.perf_counter()

    def on_train_epoch_start(self, *_: Any) -> None:
        self._passed("validation and checkpoints")

    def on_train_batch_start(self, *_: Any) -> None:
        self._passed("data")
        self.steps += 1
        if self.steps == _FIRST:
            activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
            self.profiler = profile(activities=activities)
            self.profiler.start()

    def on_before_backward(self, *_: Any) -> None:
        self._passed("forward")

    def on_after_backward(self, *_: Any) -> None:
        self._passed("backward")

    def on_train_batch_end(self, *_: Any) -> None:
        self._passed("optimiser")
        if self.steps == _FIRST + _STEPS - 1:
            self._stop()

    def on_train_end(self, *_: Any) -> None:
        self._passed("validation and checkpoints")
        self._stop()
        self._write(PAGE, self._page())

    def _passed(self, phase: str) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[phase] += now - self.last
        self.last = now

    def _stop(self) -> None:
        if self.profiler is None:
            return
        profiler, self.profiler = self.profiler, None
        profiler.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(self.folder / TRACE))
        self.table = "\n".join(self._rows(profiler))
        self.last = time.perf_counter()

    def _rows(self, profiler: profile) -> list[str]:
        events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
        total = sum(event.self_cpu_time_total for event in events) or 1
        return [
            f"| {event.key} | {event.count} | {event.self_cpu_time_total / 1000:.1f} | "
            f"{event.self_cpu_time_total / total:.0%} |"
            for event in events[:_ROWS]
        ]

    def _page(self) -> str:
        whole = sum(self.seconds.values()) or 1.0
        phases = [f"| {name} | {seconds:.2f} | {seconds / whole:.0%} |" for name, seconds in self.seconds.items()]
        return "\n".join(
            (
                "# Where the time went",
                "",
                f"{self.steps} steps in {whole:.2f} s.",
                "",
                "| phase | seconds | share |",
                "|---|---|---|",
                *phases,
                "",
                f"## Operators, in {TRACE} (open it with chrome://tracing or ui.perfetto.dev)",
                "",
                "| operator | calls | own ms | share |",
                "|---|---|---|---|",
                self.table,
                "",
            )
        )

    def _write(self, name: str, text: str) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise cannot_write(self.folder / name, error) from error
