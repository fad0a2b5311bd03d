"""Which photos an export is calibrated with, and which it is measured on: never the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.progress import Progress, silent
from animal_classification.data.scanner import scan
from animal_classification.data.splitter import SplitPlan, split
from animal_classification.errors import ImageError, UsageError
from animal_classification.evaluation.eval_set import ALL, NO_TARGET, Others, Subject, select
from animal_classification.inference.reference import TrainingReference
from animal_classification.inference.stream import decoded_files

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.data.manifest import Manifest


@dataclass(frozen=True)
class CalibrationSet:
    """Photos by what they are for.

    Attributes:
        measured: Labelled photos that accuracy is measured on.
        calibration: Files to calibrate with; none of them is among ``measured``.
        split: Which part of the source ``measured`` is.
        notes: What a person should know.
        divided: The source brings no splits and was divided here.
    """

    measured: tuple[Subject, ...]
    calibration: tuple[Path, ...]
    split: str
    notes: tuple[str, ...]
    divided: bool = False


def choose(
    bundle: Bundle, manifest: Manifest, *, wanted: str, calibrate: Sequence[str], cache: Path | None
) -> CalibrationSet:
    """Divide labelled photos into those to measure on and those to calibrate with.

    Args:
        bundle: The model; photos that it was trained on are not measured on, where it says which those are.
        manifest: Labelled photos. Where they bring no splits and are not what the model was trained on, they are
            divided here, unless ``calibrate`` makes that needless.
        wanted: The split to measure on, or ``all``, which takes ``calibrate``.
        calibrate: Files, folders and patterns of other photos to calibrate with; they need no labels.
        cache: For what is known about files.

    Raises:
        UsageError: Nothing is left for one of the two.
    """
    if wanted in (ALL, "train") and not calibrate:
        raise UsageError(
            f"--split {wanted} leaves no photos of the source to calibrate with; name others with --calibrate"
        )
    reference = TrainingReference.of(bundle)
    selection = select(manifest, bundle.info, reference, wanted=wanted, cache=cache)
    notes = [*selection.notes]
    here = selection.split == ALL and not calibrate
    if here:
        divided = split(manifest, scan([manifest.file(row) for row in manifest], cache=cache), SplitPlan())
        selection = select(divided.manifest, bundle.info, reference, wanted=wanted, cache=cache)
        manifest, notes = divided.manifest, ["the photos have no splits and were divided for this export"]
    measured = tuple(one for one in selection.subjects if one.target != NO_TARGET and one.row.problem is None)
    if calibrate:
        found = list(Others.of(calibrate).subjects)
    else:
        found = list(select(manifest, bundle.info, reference, wanted="train", cache=cache).subjects)
    calibration, same = _without(found, measured)
    if same:
        notes.append(f"{same} photos to calibrate with are measured on, and were left out")
    return CalibrationSet(measured, calibration, selection.split, tuple(notes), here)


def pixels(
    files: Sequence[Path],
    bundle: Bundle,
    *,
    wanted: int,
    threads: int,
    progress: Progress = silent,
) -> list[NDArray[np.uint8]]:
    """Pixels of photos that nothing is measured on, ``[H, W, 3]`` each.

    Args:
        files: The photos; those that cannot be read are left out.
        bundle: How they reach the model.
        wanted: At most so many, spread evenly over ``files``.
        threads: CPUs to use.
        progress: Told how many are read.
    """
    files = _spread(files, wanted)
    found = decoded_files(
        files,
        bundle.preprocess_spec,
        threads=threads,
        progress=lambda done: progress("reading photos", done, len(files)),
    )
    return [one for one in found if not isinstance(one, ImageError)]


def _spread(files: Sequence[Path], count: int) -> list[Path]:
    """At most ``count`` of them, at even distances, so that a list in order of classes gives all classes."""
    if len(files) <= count:
        return list(files)
    return [files[index] for index in np.linspace(0, len(files) - 1, count).round().astype(int)]


def _without(found: Sequence[Subject], measured: Sequence[Subject]) -> tuple[tuple[Path, ...], int]:
    """Files of readable photos whose bytes are not measured on, and how many were left out for that."""
    taken = {one.row.sha256 for one in measured if one.row.sha256}
    readable = [one for one in found if one.row.problem is None]
    kept = tuple(one.file for one in readable if one.row.sha256 not in taken)
    return kept, len(readable) - len(kept)
