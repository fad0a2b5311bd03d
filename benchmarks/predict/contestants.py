"""Who is compared, and what each is started with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.predict.processes import Measured, run_module

OURS, OURS_OPENVINO = "ours", "ours-openvino"
UNTUNED, TUNED, BF16, FLOOR = "torch", "torch-tuned", "torch-bf16", "floor"


@dataclass(frozen=True)
class Contestant:
    """One row of the table.

    Attributes:
        key: Name in the JSON.
        title: Name in the table.
        module: What it runs, of ``benchmarks.predict``.
        options: Its options; the folder, ``--output`` and ``--report`` are added.
        python: The interpreter; this one by default.
        env: Variables that it gets.
        settings: What it was set to, in words.
    """

    key: str
    title: str
    module: str
    options: tuple[str, ...] = ()
    python: Path = Path(sys.executable)
    env: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""

    def run(self, folder: Path, work: Path) -> Measured:
        """Classify ``folder`` once, in a fresh process; the rows are in :meth:`output`."""
        output = [] if self.key == FLOOR else ["--output", str(self.output(work))]
        self.output(work).unlink(missing_ok=True)
        return run_module(self.python, self.module, [*self.options, str(folder), *output], work, self.env)

    def output(self, work: Path) -> Path:
        """The table of its last run."""
        return work / f"{self.key}.csv"


def ours() -> Contestant:
    return Contestant(OURS, "animals predict", "ours", settings="as it comes")


def ours_openvino() -> Contestant:
    words = "--engine openvino"
    return Contestant(OURS_OPENVINO, "animals predict, OpenVINO", "ours", tuple(words.split()), settings=words)


def floor() -> Contestant:
    return Contestant(FLOOR, "what the cores allow", "floor")


def torch_untuned(python: Path) -> Contestant:
    words = "defaults, 2 workers, batches of 32"
    return Contestant(UNTUNED, "PyTorch loop", "torch_loop", python=python, settings=words)


def torch_tuned(python: Path, settings: Mapping[str, Any], env: Mapping[str, str], words: str) -> Contestant:
    return Contestant(TUNED, "PyTorch loop, tuned", "torch_loop", _given(settings), python, env, words)


def torch_bf16(tuned: Contestant, settings: Mapping[str, Any]) -> Contestant:
    given = _given({**settings, "bf16": True})
    words = "the same in bfloat16, for which it has no promise to keep"
    return replace(tuned, key=BF16, title="PyTorch loop, tuned, bfloat16", options=given, settings=words)


def _given(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return ("--settings", json.dumps(settings))
