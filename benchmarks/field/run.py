"""Tables for docs/field.md.

python -m benchmarks.field.run trail FIELD            # right answers on trail photos with a known truth
python -m benchmarks.field.run ordinary PHOTOS…       # what the cascade costs on ordinary photos
python -m benchmarks.field.run speed FIELD            # crops beside what decoding and inference allow
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from animal_classification import bundle
from animal_classification.evaluation.confidence_intervals import wilson
from animal_classification.predict.convert import ConvertRequest, convert
from animal_classification.predict.field_request import FieldRequest, FieldRules
from animal_classification.predict.job import run
from animal_classification.predict.request import PredictRequest
from animal_classification.taxonomy import Taxonomy
from benchmarks.field.beside_speciesnet import beside_speciesnet
from benchmarks.field.speed import photos_of, speed
from benchmarks.field.truth import VERDICTS, Judge, TruePhoto, as_recognitions, read_truth

ALONE = FieldRules(smooth="none")
TOGETHER = FieldRules(smooth="burst")
TURNS = 3


@dataclass(frozen=True)
class Sample:
    """Which photos of a folder: ``photos`` of them, evenly spread, beginning with the one after ``skip``."""

    photos: int
    skip: int = 0

    def of(self, paths: Sequence[Path]) -> Sequence[Path]:
        """These."""
        return paths[self.skip :: max(1, len(paths) // self.photos)][: self.photos]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=["trail", "ordinary", "speed"])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--model", default="photos")
    parser.add_argument("--detector", default="lite")
    parser.add_argument("--photos", type=int, default=400, help="how many, for ordinary and speed")
    parser.add_argument("--skip", type=int, default=0, help="for ordinary: take others, so many places further on")
    parser.add_argument("--speciesnet-python", type=Path, help="for speed: a Python that has SpeciesNet")
    asked = parser.parse_args()
    sample = Sample(asked.photos, asked.skip)
    measure(asked.experiment, asked.folders, asked.model, asked.detector, sample, asked.speciesnet_python)


def measure(
    experiment: str, folders: Sequence[Path], model: str, detector: str, sample: Sample, peer: Path | None = None
) -> None:
    """Print the tables of an experiment; ``peer`` is a Python that has SpeciesNet."""
    if experiment == "trail":
        trail(folders[0], model, detector)
    elif experiment == "ordinary":
        for folder in folders:
            ordinary(folder, model, detector, sample)
    else:
        print(speed(folders[0], detector, sample.photos))
        print(f"\n{beside_speciesnet(peer, [folders[0] / photo.file for photo in photos_of(folders[0])])}")


def trail(folder: Path, model: str, detector: str) -> None:
    """Right answers with whole pictures, with a detector, with the cascade, and with true boxes."""
    photos = read_truth(folder)
    judge = Judge(Taxonomy.of(bundle.load(model).info))
    ways = {
        "whole picture": FieldRequest(rules=ALONE),
        detector: FieldRequest(detector=detector, rules=ALONE),
        f"{detector}, --detect unsure": FieldRequest(detector=detector, detect="unsure", rules=ALONE),
        "true boxes": FieldRequest(detections="truth.json", rules=ALONE),
    }
    print(f"{len(photos)} photos, {sum(bool(photo.label) for photo in photos)} with a label\n")
    print("| | right group | right label | right answers | coarser | only animal | blank | wrong |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        truth = Path(place, "truth.json")
        truth.write_text(json.dumps(as_recognitions(photos)), encoding="utf-8")
        for name, request in ways.items():
            field = replace(request, detections=str(truth)) if request.detections else request
            table = Path(place, f"{len(list(Path(place).iterdir()))}.jsonl")
            run(PredictRequest(paths=(str(folder),), model=model, output=str(table), field=field))
            print(_line(name, _rows(table), photos, judge))
            convert(ConvertRequest(table=str(table), rules=TOGETHER))
            print(_line(f"{name}, bursts together", _rows(table), photos, judge))


def _rows(table: Path) -> dict[str, dict[str, Any]]:
    """By their paths below the folder."""
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    return {row["path"]: row for row in rows}


def _line(name: str, rows: dict[str, dict[str, Any]], photos: list[TruePhoto], judge: Judge) -> str:
    found = [(photo, rows[photo.file]) for photo in photos]
    verdicts = Counter(judge.verdict(row, photo) for photo, row in found)
    labelled = [(photo, row) for photo, row in found if photo.label]
    group = sum(row["group"] == photo.group for photo, row in found)
    label = sum(row["label"] == photo.label for photo, row in labelled)
    counts = [_share(group, len(found)), _share(label, len(labelled)), _share(verdicts["right"], len(found))]
    counts += [str(verdicts[one]) for one in VERDICTS[1:]]
    return f"| {name} | {' | '.join(counts)} |"


def _share(hits: int, of: int) -> str:
    low, high = wilson(hits / of, of)
    return f"{hits}/{of} ({low:.2f}–{high:.2f})"


def ordinary(folder: Path, model: str, detector: str, sample: Sample) -> None:
    """Accuracy and time of the cascade beside whole pictures, in turns; each is a run with its engines' start."""
    paths = sample.of(sorted(path for path in folder.rglob("*") if path.is_file()))
    ways = {"whole": FieldRequest(rules=ALONE), "unsure": FieldRequest(detector=detector, detect="unsure", rules=ALONE)}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    right: dict[str, float] = {}
    searched = 0
    with tempfile.TemporaryDirectory() as place:
        for turn in range(TURNS):
            for name, field in ways.items():
                table = Path(place, f"{name}-{turn}.jsonl")
                begun, began = time.process_time(), time.perf_counter()
                run(PredictRequest(paths=tuple(map(str, paths)), model=model, output=str(table), field=field))
                cpu[name].append(time.process_time() - begun)
                wall[name].append(time.perf_counter() - began)
                rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
                right[name] = sum(_is_right(row) for row in rows) / len(rows)
        kept = table.with_name(f"{table.name}.run.jsonl").read_text(encoding="utf-8").splitlines()[1:]
        searched = sum(bool(json.loads(line)["evidence"].get("searched")) for line in kept)
    print(
        f"{folder.name}: {len(paths)} photos; accuracy {right['whole']:.4f} whole, {right['unsure']:.4f} unsure;",
        end=" ",
    )
    for what, seconds in (("CPU", cpu), ("wall", wall)):
        whole, unsure = min(seconds["whole"]), min(seconds["unsure"])
        pairs = sorted(two / one for one, two in zip(seconds["whole"], seconds["unsure"], strict=True))
        each = ", ".join(f"{ratio:.2f}" for ratio in pairs)
        print(f"{what} {whole:.1f} s and {unsure:.1f} s ({unsure / whole:.2f} times; in turns {each});", end=" ")
    print(f"{searched} searched")


def _is_right(row: dict[str, Any]) -> bool:
    """The WordNet id in the name of an ImageNet sample; else the folder's name, as the label or its group."""
    path = Path(row["path"])
    return row["label_id"] == path.name.partition("_")[0] or path.parent.name in (row["label"], row["group"])


if __name__ == "__main__":
    main()
