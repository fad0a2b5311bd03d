"""One trial of a Vertex study: `python -m animal_classification.cloud.vertex_trial METRIC KEY=VALUE… --optim.lr=0.01`.

Vertex adds its choices as ``--NAME=VALUE`` and reads the metric from a file; `animals train` takes ``NAME=VALUE`` and
prints JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

FILE_VARIABLE, TRIAL_VARIABLE = "CLOUD_ML_HP_METRIC_FILE", "CLOUD_ML_TRIAL_ID"
DEFAULT_FILE = "/tmp/hypertune/output.metrics"  # noqa: S108 - where Vertex looks


def main(argv: list[str]) -> int:
    """Train, and report; returns the exit code of the training."""
    metric, *words = argv
    command = [sys.executable, "-m", "animal_classification.cli", "train", *map(as_override, words), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        return done.returncode
    sys.stdout.write(done.stdout)
    result = json.loads(done.stdout)
    value = result["metrics"].get(metric, result.get(metric))
    if value is None:
        sys.stderr.write(f"animals: the training reports no {metric!r}; it has {', '.join(result['metrics'])}\n")
        return 1
    report(metric, float(value))
    return 0


def as_override(word: str) -> str:
    """``--optim.lr=0.01`` as ``optim.lr=0.01``; other words stay as they are."""
    return word[2:] if word.startswith("--") and "=" in word else word


def report(metric: str, value: float) -> None:
    """Write the line that Vertex' agent reads, in the format of its package cloudml-hypertune."""
    path = Path(os.environ.get(FILE_VARIABLE, DEFAULT_FILE))
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "timestamp": time.time(),
        "trial": os.environ.get(TRIAL_VARIABLE, "0"),
        metric: str(value),
        "global_step": "0",
        "checkpoint_path": "",
    }
    path.write_text(json.dumps(line, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
