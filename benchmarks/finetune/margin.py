"""How much better `recipe=finetune` is than `recipe=probe`, on every photo of a data set.

    python benchmarks/finetune/margin.py --data ../shared/data/animals22 --seeds 0 1 2

A few hundred held-out photos cannot tell models apart that differ by a point. So each seed deals the photos into five
folds, each fold is the test split of one training of each recipe, and every photo is judged once. Both learn from the
same photos. What is compared is who has which photo right (McNemar's exact test, and a bootstrap of the difference).
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from animal_classification.evaluation.model_comparison import paired
from animal_classification.inference import Classifier

FOLDS, VAL = 5, 8  # an eighth of what is left is val
BASE = "probe"
CONTESTANTS = {
    BASE: ("recipe=probe",),
    "finetune": ("recipe=finetune",),
    "finetune, head alone": ("recipe=finetune", "recipe.epochs=0"),
    "finetune, Lite2 alone, head alone": ("recipe=finetune", "recipe.epochs=0", "backbone=lite2"),
}


@dataclass(frozen=True)
class Photos:
    """All of a data set.

    Attributes:
        files: ``[N]``.
        labels: ``[N]``.
        units: Equal numbers for copies of one picture, ``[N]``.
    """

    files: Sequence[Path]
    labels: NDArray[np.str_]
    units: NDArray[np.int64]

    @classmethod
    def of(cls, data: str, cache: Path) -> Photos:
        from animal_classification.config.compose import compose
        from animal_classification.training.prepare_data import prepare

        dataset = prepare(compose(["data=folder", f"data.path={data}", f"data.cache={cache}"]), lambda *_: None)
        rows = list(dataset.manifest.usable)
        units = [dataset.units.get(row.path, -1 - index) for index, row in enumerate(rows)]
        files = [dataset.manifest.file(row).absolute() for row in rows]
        return cls(files, np.array([row.label for row in rows]), np.array(units))

    def divisions(self, seed: int) -> Iterator[tuple[NDArray[np.str_], NDArray[np.int64]]]:
        """``train``, ``val`` or ``test`` for each photo, and the positions of test."""
        everything = np.zeros(len(self.files))
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        for rest, test in folds.split(everything, self.labels, self.units):
            inner = StratifiedGroupKFold(VAL, shuffle=True, random_state=seed)
            _, val = next(inner.split(everything[rest], self.labels[rest], self.units[rest]))
            splits = np.full(len(self.files), "train")
            splits[rest[val]] = "val"
            splits[test] = "test"
            yield splits, test

    def table(self, path: Path, splits: NDArray[np.str_]) -> Path:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("path", "label", "split"))
            writer.writerows(zip(self.files, self.labels, splits, strict=True))
        return path


def answers(
    table: Path, seed: int, cache: Path, files: Sequence[Path], words: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Train as a user would, and let the bundle name the photos: its labels, and what people are told."""
    with tempfile.TemporaryDirectory(dir=cache) as runs:
        done = subprocess.run(
            [
                sys.executable, "-m", "animal_classification.cli", "train", "--json", "data=folder",
                f"data.path={table}", f"data.cache={cache}", f"output={runs}", "tracking=none", f"seed={seed}", *words,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"animals train {' '.join(words)} failed:\n{done.stderr}")
        classifier = Classifier.load(json.loads(done.stdout)["bundle"])
        predictions = classifier.predict(files)
        return [one.label for one in predictions], [one.answer.name for one in predictions]


def show(what: str, right: Mapping[str, Sequence[NDArray[np.bool_]]], photos: Photos, seeds: Sequence[int]) -> None:
    """What is known after so many seeds."""
    print(f"\n{what}: {len(photos.files)} photos, {FOLDS} folds, seeds {' '.join(map(str, seeds))}")
    print("| | share by seed | mean | spread | more than probe | only it / only probe | p | 95% interval |")
    print("|---|---|---|---|---|---|---|---|")
    for name, found in right.items():
        shares = [float(one.mean()) for one in found]
        spread = f"{stdev(shares):.4f}" if len(shares) > 1 else "-"
        line = f"| {name} | {' '.join(f'{share:.4f}' for share in shares)} | {mean(shares):.4f} | {spread} |"
        if name == BASE:
            print(f"{line} | | | |", flush=True)
            continue
        pairs = list(zip(found, right[BASE], strict=True))
        beside = [paired(mine, base, photos.units) for mine, base in pairs]
        columns = (
            f"{mean(one.difference.value for one in beside):+.4f}",
            ", ".join(f"{one.only_this}/{one.only_that}" for one in beside),
            ", ".join(f"{one.p_value:.1g}" for one in beside),
            ", ".join(f"{one.difference.low:+.4f} to {one.difference.high:+.4f}" for one in beside),
        )
        print(f"{line} {' | '.join(columns)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder of photos, or whatever else data.path may be")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--contestants", nargs="+", default=[BASE, "finetune"], choices=tuple(CONTESTANTS))
    options = parser.parse_args()
    names = [BASE, *(name for name in options.contestants if name != BASE)]
    shares = ("right label", "told right")
    right: dict[str, dict[str, list[NDArray[np.bool_]]]] = {what: {name: [] for name in names} for what in shares}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        photos = Photos.of(options.data, cache)
        for number, seed in enumerate(options.seeds, start=1):
            for what in shares:
                for name in names:
                    right[what][name].append(np.zeros(len(photos.files), dtype=bool))
            for fold, (splits, test) in enumerate(photos.divisions(seed)):
                table = photos.table(cache / "table.csv", splits)
                for name in names:
                    given = answers(table, seed, cache, [photos.files[at] for at in test], CONTESTANTS[name])
                    for what, words in zip(shares, given, strict=True):
                        right[what][name][-1][test] = np.array(words) == photos.labels[test]
                        share = float(right[what][name][-1][test].mean())
                        print(f"seed {seed}, fold {fold + 1}: {name} {what} {share:.4f}", file=sys.stderr, flush=True)
            for what in shares:
                show(what, right[what], photos, options.seeds[:number])


if __name__ == "__main__":
    main()
