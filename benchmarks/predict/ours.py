"""Runs the real command line in this process and notes when the model was ready and when the last row was written.

python -m benchmarks.predict.ours FOLDER --output rows.csv --engine auto --report report.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from animal_classification.cli.main import main as animals
from animal_classification.inference.classifier import Classifier


def main() -> int:
    """Time from the model being loaded to the last row being on disk."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    ready: dict[str, Any] = {}
    load = Classifier.load

    def timed_load(*args: Any, **kwargs: Any) -> Classifier:
        classifier = load(*args, **kwargs)
        ready.update(at=time.perf_counter(), engine=classifier.engine)
        return classifier

    Classifier.load = timed_load  # type: ignore[method-assign]
    code = animals(["predict", str(options.folder), "--output", str(options.output), "--engine", options.engine])
    if code:
        return code
    seconds = time.perf_counter() - ready["at"]
    options.report.write_text(json.dumps({"seconds": seconds, "engine": ready["engine"]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
