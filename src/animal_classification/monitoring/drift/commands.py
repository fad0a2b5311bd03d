"""What ``animals monitor drift`` and ``reference`` do, without a terminal."""

# Imported where they are used: Jinja2 and all that pages need, which is an extra.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification import bundle as bundles
from animal_classification.common.progress import Progress, renamed, silent
from animal_classification.data.sources import SourceOptions, read_source
from animal_classification.errors import UsageError
from animal_classification.evaluation.eval_set import select
from animal_classification.inference.reference import TrainingReference
from animal_classification.monitoring.drift.judge import DriftJudge
from animal_classification.monitoring.drift.make_reference import (
    HeldOutPhotos,
    add_reference,
    learn_weights,
    read_reference,
)
from animal_classification.monitoring.drift.page import write_page
from animal_classification.monitoring.drift.photo_windows import find_photos, in_turn, read_window
from animal_classification.monitoring.drift.reference import DriftReference
from animal_classification.monitoring.drift.sample_reader import SampleReader
from animal_classification.registry import resolve_model

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.monitoring.drift.verdict import Verdict

TRAINING = "training"


@dataclass(frozen=True, kw_only=True)
class DriftRequest:
    """What to judge.

    Attributes:
        photos: Photos, folders, patterns and tables.
        model: The model that answers for them.
        size: Photos of a window.
        against: ``training``, or the file of an accepted baseline.
        engine: What runs the model.
        html: A page to write.
    """

    photos: tuple[str, ...]
    model: str
    size: int
    against: str = TRAINING
    engine: str = "auto"
    html: Path | None = None


@dataclass(frozen=True)
class JudgedPhotos:
    """Verdicts on windows, the newest last, and why photos could not be used."""

    verdicts: list[Verdict]
    errors: dict[str, str]


@dataclass(frozen=True)
class Reading:
    """How photos are read: with which engine, whether the estimate of accuracy is learned, and who is told."""

    engine: str = "auto"
    learn: bool = False
    progress: Progress = silent


def judge_photos(asked: DriftRequest, progress: Progress = silent) -> JudgedPhotos:
    """Read photos, judge them in windows, and write a page if one is wanted.

    Raises:
        NoReferenceError: The model has none.
        TooFewPhotosError: Fewer than 50 photos are left.
        UsageError: There are no photos, or no such file.
        AnimalsError: None can be read.
    """
    if asked.html is not None:
        from animal_classification.report import page

        page.require()
        page.refuse_foreign_page(asked.html)
    photos = find_photos(asked.photos)
    bundle = open_model(asked.model)
    judge = DriftJudge.of(bundle, baseline_of(asked.against))
    read = read_window(SampleReader.of(bundle, engine=asked.engine), photos, progress)
    size = min(asked.size, len(judge.reference))
    windows = in_turn(read.window, size)
    verdicts = judge.judge_in_turn(windows, size=size)
    if asked.html is not None:
        write_page(asked.html, bundle, judge, verdicts, read)
    return JudgedPhotos(verdicts, read.errors)


def baseline_of(against: str) -> DriftReference | None:
    """The baseline in a file; ``None`` for the bundle's own reference.

    Raises:
        UsageError: There is no such file.
        BundleInvalidError: It is no baseline.
    """
    if against == TRAINING:
        return None
    try:
        data = Path(against).read_bytes()
    except OSError as error:
        raise UsageError(f"--against is training or the file of a baseline, and {against!r} cannot be read") from error
    return DriftReference.unpack(data, "accepted", against)


def open_model(model: str) -> Bundle:
    """A bundle by any of the names that a model has."""
    return bundles.load(resolve_model(model))


def labelled_photos(bundle: Bundle, source: str, options: SourceOptions, split: str) -> HeldOutPhotos:
    """Photos of a source that the model has not learned from and whose labels it knows.

    Raises:
        UsageError: There is none.
    """
    manifest = read_source(source, options)
    selection = select(manifest, bundle.info, TrainingReference.of(bundle), wanted=split)
    return HeldOutPhotos.selected(selection.subjects)


def unlabelled_photos(source: str) -> HeldOutPhotos:
    """Photos of a folder.

    Raises:
        UsageError: There is none.
    """
    return HeldOutPhotos.unlabelled(find_photos([source]))


def target_of(bundle: Bundle, model: str, output: Path | None) -> Path:
    """Where the bundle with the reference is to be.

    Raises:
        UsageError: The model is built in, registered or far away, and nobody said.
    """
    if output is not None:
        return output
    if Path(model).is_dir() and Path(model).absolute() == bundle.path.absolute():
        return bundle.path
    raise UsageError(f"{model} is not a folder of yours that could be changed: say with -o where the new bundle goes")


def give_reference(bundle: Bundle, photos: HeldOutPhotos, target: Path, reading: Reading) -> dict[str, Any]:
    """Make a reference and write it into a bundle.

    Returns:
        ``photos``, ``accuracy`` (``None`` without labels) and ``sha256`` of the reference.

    Raises:
        UsageError: Fewer than 100 photos are left, or ``target`` is taken.
    """
    reader = SampleReader.of(bundle, engine=reading.engine)
    made = read_reference(reader, photos, renamed(reading.progress, "looking at photos"))
    learned = None
    if reading.learn:
        learned = learn_weights(reader, photos, renamed(reading.progress, "changing photos"))
    add_reference(bundle, target, made, learned)
    return {"photos": len(made), "accuracy": made.accuracy, "sha256": made.sha256}
