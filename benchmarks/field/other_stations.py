"""A region's own classifier, trained on crops, on the crops of stations that it has never seen; beside `photos`.

    ANIMALS_TEST_DATA=… python benchmarks/field/other_stations.py

Crops: of `field`, MegaDetector's boxes with the names in md_format_1.6.json; of `ena24_sample`, the strongest box of
`lite` in each photo with the photo's name (that sample's own boxes are placeholders). Stations: the camera's serial
number, else what the film's name or the strip in the picture says. Classes that one station alone has seen are left
out: nothing can be learnt of them elsewhere. Every station is left out in turn, a `probe` is trained on the others, and
names the crops of that station.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.sources import SourceOptions, read_source
from animal_classification.detection.detector import Detector
from animal_classification.field.camera_clock import TimeRules
from animal_classification.field.photo_facts import read_photo_facts
from animal_classification.imaging.decoding import opened
from animal_classification.inference.classifier import Classifier

# What the strip in each picture of the sample says.
STRIPS = {
    **{"2480": "NRC268", "2595": "NRC249", "2573": "NRC260", "596": "NRC136", "352": "NRC136", "422": "NRC39"},
    **{"9455": "NRC137", "8786": "NRC63", "8831": "NRC120", "7951": "Cam3", "8200": "NRC268", "49": "NRC197"},
    **{"2968": "Cam11", "2999": "Cam19", "3084": "Cam6", "5899": "NRC109", "5840": "NRC109", "6039": "NRC11"},
    **{"4383": "NRC86", "4330": "NRC148", "4451": "PR8"},
}
# One name for an animal in both collections; what `photos` calls it, where it can; and its group there.
ONE_NAME = {"mule deer": "deer", "virginia opossum": "opossum", "eastern fox squirrel": "fox squirrel"}
PHOTOS_LABELS = {
    "jaguar": {"jaguar"},
    "coyote": {"coyote"},
    "grey fox": {"grey fox"},
    "american black bear": {"American black bear"},
    "fox squirrel": {"fox squirrel"},
    "striped skunk": {"skunk"},
    "chicken": {"hen", "rooster"},
}
Crop = tuple[ManifestRow, Path]


@dataclass
class Tally:
    """Right answers of some."""

    right: int = 0
    of: int = 0

    def count(self, right: bool) -> None:
        self.right += right
        self.of += 1

    def __str__(self) -> str:
        """With Wilson's 95% interval."""
        if not self.of:
            return "none"
        share, z, n = self.right / self.of, 1.96, self.of
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return f"{self.right}/{n} = {share:.2f} ({middle - half:.2f} to {middle + half:.2f})"


def main() -> None:
    """Print the table."""
    data = Path(os.environ["ANIMALS_TEST_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        crops = several_stations([*field_crops(data), *ena24_crops(data, Path(folder))])
        stations = sorted({row.group or "" for row, _ in crops})
        names = defaultdict(set)
        for row, _ in crops:
            names[row.label].add(row.group)
        print(f"{len(crops)} crops, {len(names)} kinds, {len(stations)} stations:")
        print(", ".join(f"{name} {sum(row.label == name for row, _ in crops)}/{len(at)}" for name, at in names.items()))
        tallies: dict[str, Tally] = defaultdict(Tally)
        photos = Classifier.load("photos")
        for number, station in enumerate(stations):
            one_station(crops, station, Path(folder) / f"run-{number}", photos, tallies)
            print(f"{number + 1} of {len(stations)}", file=sys.stderr, flush=True)
    for what, tally in sorted(tallies.items()):
        print(f"{what:60} {tally}")


def one_station(crops: list[Crop], station: str, run: Path, photos: Classifier, tallies: dict[str, Tally]) -> None:
    """Train on all other stations, and name the crops of this one."""
    learnt = [(row, file) for row, file in crops if row.group != station]
    known = {row.label for row, _ in learnt}
    asked = [(row, file) for row, file in crops if row.group == station and row.label in known]
    if not asked:
        return
    rows = [replace(row, path=str(file), split="train") for row, file in learnt]
    replace(Manifest.of(rows, Path("/")), crops=True).write(run.with_suffix(".parquet"))
    words = [f"data.path={run.with_suffix('.parquet')}", "data.val=0", "data.test=0", f"output={run}"]
    done = subprocess.run(
        [sys.executable, "-m", "animal_classification.cli", "train", *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    own = Classifier.load(json.loads(done.stdout)["bundle"])
    for row, file in asked:
        mine, theirs = own.predict(file), photos.predict(file)
        named = PHOTOS_LABELS.get(row.label, set())
        # The rule of docs/detections.md, which was written down before it was measured.
        both = theirs.label in named if theirs.answer.level == "label" else mine.label == row.label
        tallies["both: photos where it names a label, else own; all kinds"].count(both)
        tallies["own: label, all kinds"].count(mine.label == row.label)
        tallies["photos: label, all kinds"].count(theirs.label in named)
        if named:
            tallies["own: label, kinds that photos can name"].count(mine.label == row.label)
            tallies["photos: label, kinds that photos can name"].count(theirs.label in named)
            tallies["both: the same, kinds that photos can name"].count(both)
        tallies["own right, photos wrong"].count(mine.label == row.label and theirs.label not in named)
        tallies["photos right, own wrong"].count(mine.label != row.label and theirs.label in named)


def several_stations(crops: list[Crop]) -> list[Crop]:
    """The crops of kinds that more than one station has seen."""
    seen = defaultdict(set)
    for row, _ in crops:
        seen[row.label].add(row.group)
    return [(row, file) for row, file in crops if len(seen[row.label]) > 1]


def field_crops(data: Path) -> list[Crop]:
    """Of `field`, with MegaDetector's boxes."""
    folder = data / "field"
    options = SourceOptions(kind="megadetector", root=folder)
    found = read_source(folder / "recognition/md_format_1.6.json", options)
    return [
        (replace(row, label=one_name(row.label), group=field_station(folder, photo_of(row))), found.file(row))
        for row in found.usable
    ]


def field_station(folder: Path, photo: str) -> str:
    """The film's station, or the camera's serial number, or the folder with the camera's way to number photos."""
    film = re.match(r"(AABP \d+|AREAS \d+|RL \d+)_", Path(photo).name)
    if film:
        return film.group(1)
    serial = read_photo_facts(folder / photo, photo, TimeRules()).serial
    series = re.sub(r"\d+", "", Path(photo).stem)
    return serial or f"{Path(photo).parent.name}/{series}"


def ena24_crops(data: Path, folder: Path) -> list[Crop]:
    """Of `ena24_sample`, with the strongest box that `lite` finds."""
    detector = Detector.load("lite")
    with (data / "ena24_sample/labels.csv").open(encoding="utf-8") as text:
        labels = {row["filepath"]: row["label"].lower() for row in csv.DictReader(text)}
    images = []
    for name, label in labels.items():
        with opened(data / "ena24_sample" / name, min_side=detector.least_side) as photo:
            best = max(detector.find(photo), key=lambda box: box.confidence)
        bbox = [best.x, best.y, best.width, best.height]
        box = {"category": "1", "conf": best.confidence, "bbox": bbox, "classifications": [[label, 1.0]]}
        images.append({"file": name, "detections": [box]})
    about = {"detector": "lite", "detector_metadata": {"typical_detection_threshold": 0.1}}
    classes = {label: label for label in labels.values()}
    document = {"info": about, "detection_categories": {"1": "animal"}, "classification_categories": classes}
    file = folder / "lite.json"
    file.write_text(json.dumps({**document, "images": images}), encoding="utf-8")
    found = read_source(file, SourceOptions(kind="megadetector", root=data / "ena24_sample"))
    return [
        (replace(row, label=one_name(row.label), group=STRIPS[Path(photo_of(row)).stem]), found.file(row))
        for row in found.usable
    ]


def photo_of(row: ManifestRow) -> str:
    """A crop lies in a folder that has its photo's path."""
    return str(Path(row.path).parent)


def one_name(label: str) -> str:
    """The name that an animal has in both collections."""
    plain = label.replace("_", " ").lower()
    return ONE_NAME.get(plain, plain)


if __name__ == "__main__":
    main()
