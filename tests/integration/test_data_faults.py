"""Faults put into real photos on purpose are found: wrong labels, broken files, copies between train and test."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from animal_classification import Classifier, bundle
from animal_classification.data import SourceOptions, embed, inspect, read_source, scan
from animal_classification.data.quality.findings import Finding
from animal_classification.data.quality.inspection import Inspection

pytest.importorskip("cleanlab", reason="the extra 'data' is not installed")

FLIPPED, BROKEN, COPIED = 0.05, 0.03, 0.02


@dataclass
class Faults:
    """What has been done to which file, by its path in the damaged set."""

    flipped: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    copied: dict[str, str] = field(default_factory=dict)


def damage(source: Path, target: Path, seed: int) -> Faults:
    """Copy a folder of classes to ``target`` as train and test, with faults in it."""
    rng = random.Random(seed)
    photos = sorted(source.glob("*/*"))
    classes = sorted({photo.parent.name for photo in photos})
    chosen = rng.sample(photos, round(len(photos) * (FLIPPED + BROKEN + COPIED)))
    flips, breaks, copies = _cut(chosen, round(FLIPPED * len(photos)), round(BROKEN * len(photos)))
    faults = Faults()
    for photo in photos:
        split = "test" if rng.random() < 0.2 else "train"
        label = rng.choice([name for name in classes if name != photo.parent.name]) if photo in flips else ""
        name = f"{split}/{label or photo.parent.name}/{photo.parent.name}-{photo.name}"
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo, place)
        if photo in flips:
            faults.flipped[name] = photo.parent.name
        if photo in breaks:
            place.write_bytes(_break(photo.read_bytes(), rng))
            faults.broken.add(name)
        if photo in copies:
            other = f"{'train' if split == 'test' else 'test'}/{photo.parent.name}/copy-{photo.name}"
            (target / other).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, target / other)
            faults.copied[name] = other
    return faults


def _cut(items: Sequence[Path], first: int, second: int) -> tuple[set[Path], set[Path], set[Path]]:
    return set(items[:first]), set(items[first : first + second]), set(items[first + second :])


def _break(data: bytes, rng: random.Random) -> bytes:
    """As disks, cards and networks do it."""
    kind = rng.randrange(5)
    if kind == 0:  # an interrupted copy
        return data[: rng.randint(1, len(data) * 9 // 10)]
    if kind == 1:  # a failed copy
        return b"\0" * len(data)
    if kind == 2:
        return b""
    if kind == 3:  # a failed download
        return b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    return rng.randbytes(64) + data[64:]  # a damaged sector where the header was


@dataclass
class Shared:
    """The model, started once."""

    classifier: Classifier
    model: str
    cache: Path

    def inspect(self, folder: Path) -> Inspection:
        manifest = read_source(folder, SourceOptions(cache=self.cache))
        facts = scan([manifest.file(row) for row in manifest], cache=self.cache)
        return inspect(manifest, facts, embeddings=embed(manifest, self.compute, model=self.model, cache=self.cache))

    def compute(self, files: Sequence[Path]) -> Iterable[NDArray[np.float32] | None]:
        named = ((str(file), file) for file in files)
        results = self.classifier.predict_paths(named, top_k=1, embedding=True)
        return (result.prediction.embedding if result.prediction else None for result in results)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return Shared(Classifier.load("photos"), bundle.load("photos").sha256, tmp_path_factory.mktemp("cache"))


def paths(findings: Sequence[Finding], *kinds: str) -> set[str]:
    return {path for finding in findings if finding.kind in kinds for path in finding.paths}


def together(findings: Sequence[Finding], kind: str, pair: tuple[str, str]) -> bool:
    return any(finding.kind == kind and set(pair) <= set(finding.paths) for finding in findings)


def test_injected_faults_are_found(shared: Shared, photos_dir: Path, tmp_path: Path) -> None:
    faults = damage(photos_dir / "animals22", tmp_path, seed=1)
    findings = shared.inspect(tmp_path).findings
    assert paths(findings, "unreadable") == faults.broken
    assert all(together(findings, "leak", pair) for pair in faults.copied.items())
    flagged = paths(findings, "wrong_label")
    wrong = set(faults.flipped)
    # A flipped photo that has a copy under its right label is found by that as well.
    recall = len(wrong & (flagged | paths(findings, "label_conflict"))) / len(wrong)
    precision = len(wrong & flagged) / len(flagged)
    assert recall >= 0.8, f"recall {recall:.2f}, precision {precision:.2f}"
    assert precision >= 0.6, f"recall {recall:.2f}, precision {precision:.2f}"
