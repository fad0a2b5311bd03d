"""What a photo costs without any server: decoding and inference of one after the other, on one core.

python -m benchmarks.serve.alone FOLDER --report report.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

from animal_classification import Classifier
from benchmarks.predict.photos import list_photos


def main() -> None:
    """Measure the photos of a folder one by one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    classifier = Classifier.load("photos", threads=1)
    photos = [path.read_bytes() for path in list_photos(options.folder)[: options.count]]
    classifier.predict(photos[0])
    seconds = []
    for photo in photos:
        started = time.perf_counter()
        classifier.predict(photo)
        seconds.append(time.perf_counter() - started)
    options.report.write_text(json.dumps({"median_seconds": median(seconds)}))


if __name__ == "__main__":
    main()
