"""What a candidate costs: time for a photo, measured in turns with the model in production, and memory."""

# Imported where it is used: only systems of the Unix kind have it.

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from animal_classification.inference.classifier import Classifier
from animal_classification.loop.gate_tests import GateTest

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.loop.config import GateConfig

TURNS = 5
PHOTOS = 16


def cost_test(old: Bundle, new: Bundle, files: Sequence[Path], config: GateConfig) -> GateTest:
    """The candidate takes not much more time and memory for a photo than the model in production.

    Times are of the processor, not of the clock, so that what else runs on the machine matters little; the two take
    turns, and the median of their ratios counts.
    """
    few = files[:PHOTOS]
    classifiers = [Classifier.load(bundle, threads=1) for bundle in (old, new)]
    prepared = [[one.prepare(file) for file in few] for one in classifiers]
    turns = []
    for turn in range(TURNS + 1):
        times = [_seconds(one, photos) for one, photos in zip(classifiers, prepared, strict=True)]
        turns += [times] if turn else []  # engines make their buffers on first use
    slower = median(new_time / old_time for old_time, new_time in turns) - 1
    before, after = (1000 * median(times) / len(few) for times in zip(*turns, strict=True))
    memory = [_memory(bundle, few[0]) for bundle in (old, new)]
    larger = memory[1] / memory[0] - 1 if all(memory) else 0.0
    says = f"{before:.1f} to {after:.1f} ms of processor time a photo ({100 * slower:+.0f}%)"
    says += f", {memory[0] / 1e6:.0f} to {memory[1] / 1e6:.0f} MB ({100 * larger:+.0f}%)" if all(memory) else ""
    bad = slower > config.slower or larger > config.memory
    values = {"slower": slower, "larger": larger, "old_ms": before, "new_ms": after}
    return GateTest(name="cost", verdict="fail" if bad else "pass", says=says, values=values)


def _seconds(classifier: Classifier, photos: Sequence[object]) -> float:
    begun = time.process_time()
    for photo in photos:
        classifier.classify([photo])  # type: ignore[list-item]
    return max(time.process_time() - begun, 1e-9)


def _memory(bundle: Bundle, photo: Path) -> int:
    """Most bytes that a process has which loads the model and answers once; 0 where the system does not say."""
    words = [sys.executable, "-m", __name__, str(bundle.path), str(photo)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else 0


def _print_memory(model: str, photo: str) -> None:
    if sys.platform == "win32":
        return
    import resource

    Classifier.load(model, threads=1).predict(photo)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak if sys.platform == "darwin" else peak * 1024)  # noqa: T201 - for the process that asked


if __name__ == "__main__":
    _print_memory(*sys.argv[1:])
