"""``export``: make the files, measure them beside the original, write them only if they are good enough."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from animal_classification import bundle as bundles
from animal_classification.bundle.model import CARD_FILE, Bundle
from animal_classification.bundle.schema import INFO_FILE, MODEL_FILE, Calibration
from animal_classification.common.limits import available_cpus
from animal_classification.common.progress import Progress, silent
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.evaluation.eval_set import Subject, independent_units
from animal_classification.evaluation.training_provenance import recipe_name
from animal_classification.export import comparison
from animal_classification.export.calibration_set import CalibrationSet, choose
from animal_classification.export.drift_reference import drift_reference
from animal_classification.export.formats import KINDS, ExportedFiles, ExportSource, Pruning, check_installed
from animal_classification.export.terminal_text import ReportColumn
from animal_classification.export.weight_storage import float32_size
from animal_classification.monitoring.drift.reference import MONITOR_FILE
from animal_classification.report.model_card import bundle_card

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.data.manifest import Manifest
    from animal_classification.evaluation.scorecard import Scorecard
    from animal_classification.export.comparison import Compared

_ROUNDING = 1e-9
_DIGITS = 6
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The options of an export.

    Attributes:
        kind: One of ``KINDS``.
        target: A directory or an fsspec URL, for the bundle.
        manifest: Labelled photos.
        source: What they are called.
        split: Which of them to measure on.
        calibrate: Files, folders and patterns of other photos to calibrate with.
        reading: How the source is read: ``kind``, ``root`` and ``columns``, where they were given.
        max_drop: Points that it may lose, of top-1 accuracy and of what people are told rightly.
        pruning: How much is taken out, for the kind ``pruned``.
        threads: CPUs to use; all by default.
        overwrite: Replace a bundle that is there.
        cache: Folder for what is known about files; the user's own by default.
        progress: Told what is being done.
    """

    kind: str
    target: str
    manifest: Manifest
    source: str
    split: str = "test"
    calibrate: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    max_drop: float = 0.5
    pruning: Pruning = field(default_factory=Pruning)
    threads: int | None = None
    overwrite: bool = False
    cache: Path | None = None
    progress: Progress = silent


@dataclass(frozen=True)
class ExportedModel:
    """A bundle that was good enough.

    Attributes:
        bundle: As it was written.
        original: The one side.
        export: The other.
        compared: Both on the same photos.
        float32_bytes: Size of the original with all weights in float32.
        split: Which part of the source was measured on.
        notes: What a person should know.
    """

    bundle: Bundle
    original: ReportColumn
    export: ReportColumn
    compared: Compared
    float32_bytes: int
    split: str
    notes: tuple[str, ...]


def export(bundle: Bundle, request: ExportRequest) -> ExportedModel:
    """Export a model.

    Raises:
        UsageError: No such kind, the target is taken, or photos are missing.
        MissingExtraError: The kind needs an extra that is not installed.
        AnimalsError: The export loses more accuracy than allowed; nothing was written.
        EngineError: An engine refuses the graph.
    """
    check_installed(request.kind)
    _check_free(request)
    chosen = choose(bundle, request.manifest, wanted=request.split, calibrate=request.calibrate, cache=request.cache)
    threads = request.threads or available_cpus()
    source = ExportSource(bundle, chosen.calibration, request.max_drop, request.pruning, threads, request.progress)
    made = KINDS[request.kind].make(source)
    with tempfile.TemporaryDirectory(prefix="animals-export-") as folder:
        staged = _write(str(Path(folder) / "staged"), bundle, made, _info(bundle, request, made, chosen), "")
        trial = _tried(bundle, staged, made, chosen, request)
        _refuse_worse(trial.compared, request)
        sides = _sides(bundle, staged, made, trial.compared, chosen.measured)
        monitor = drift_reference(bundle, staged, chosen.measured, request.progress)
    float32 = float32_size(source.graph)
    metrics = _metrics(bundle, made, trial, sides, float32)
    info = _info(bundle, request, made, chosen, metrics)
    card = _card(bundle, info, trial.served, request)
    made = replace(made, files={**made.files, **monitor})
    written = _write(request.target, bundle, made, info, card, overwrite=request.overwrite)
    return ExportedModel(written, *sides, trial.compared, float32, chosen.split, (*chosen.notes, *made.notes))


@dataclass(frozen=True)
class _Trial:
    """Original and export on the same photos; ``served`` is about what the export's bundle answers when it serves."""

    compared: Compared
    served: Scorecard


def _check_free(request: ExportRequest) -> None:
    """Fails now rather than after minutes of work."""
    target = Path(request.target)
    if (target / INFO_FILE).is_file() and not request.overwrite:
        raise UsageError(f"{target}: already holds a bundle; choose another name, or allow it with --overwrite")


def _tried(
    bundle: Bundle, staged: Bundle, made: ExportedFiles, chosen: CalibrationSet, request: ExportRequest
) -> _Trial:
    """Original and export on the same photos, each by the engine that runs it: the one that serves, where it can."""
    usable = [name for name in comparison.installed_engines() if name in made.engines]
    if not usable:
        raise UsageError(f"none of {', '.join(made.engines)} is installed, so that the export cannot be measured")
    engine, file = usable[0], made.engines[usable[0]]
    original, exported = (
        comparison.measure(
            one, chosen.measured, file=path, engine=runs, threads=request.threads, progress=request.progress
        )
        for one, path, runs in (
            (bundle, MODEL_FILE, comparison.installed_engines()[0]),
            (staged, file, engine),
        )
    )
    readable = [chosen.measured[index] for index in original.positions]
    units = independent_units(readable, request.cache).all
    # Of an export for other programs, the ONNX graph beside it goes on serving.
    served = exported if file == MODEL_FILE else original
    tested = served.answers.scorecard(units, sum(one.seen for one in readable))
    assert tested is not None
    return _Trial(comparison.compared(original.answers, exported.answers, units), tested)


def _refuse_worse(compared: Compared, request: ExportRequest) -> None:
    for what, pair in (("top-1", compared.labels), ("what is told right", compared.told)):
        lost = comparison.points(pair).value
        if lost > request.max_drop + _ROUNDING:
            raise AnimalsError(
                f"{request.kind} loses {lost:.2f} points of {what} ({100 * pair.this:.2f} to {100 * pair.that:.2f} on "
                f"{compared.n} photos) and --max-drop allows {request.max_drop:g}; nothing was written"
            )


def _sides(
    bundle: Bundle, staged: Bundle, made: ExportedFiles, compared: Compared, measured: tuple[Subject, ...]
) -> tuple[ReportColumn, ReportColumn]:
    """Sizes and speeds of both."""
    engines = [name for name in comparison.installed_engines() if name in made.engines]
    graphs = {name: {"original": bundle.model_path, "export": staged.path / made.engines[name]} for name in engines}
    speeds = comparison.speeds(graphs, comparison.one_batch(measured, bundle))
    sizes = bundle.model_path.stat().st_size, made.model_bytes
    sides = [
        ReportColumn(
            f"{one.info.name} {one.info.version}",
            accuracy=getattr(compared.labels, share),
            answered_right=getattr(compared.told, share),
            bytes=size,
            milliseconds={name: speeds[name][which] for name in engines},
        )
        for one, which, share, size in zip(
            (bundle, staged), ("original", "export"), ("this", "that"), sizes, strict=True
        )
    ]
    return sides[0], sides[1]


def _metrics(
    bundle: Bundle, made: ExportedFiles, trial: _Trial, sides: tuple[ReportColumn, ReportColumn], float32: int
) -> dict[str, Any]:
    """What the export's ``bundle.json`` says of it. The original's numbers are not its own, so they are not kept."""
    original, exported = sides
    compared = trial.compared
    return {
        **{name: round(value, _DIGITS) for name, value in trial.served.summary().items()},
        "photos": compared.n,
        "export": {
            "of": {"name": bundle.info.name, "version": bundle.info.version, "sha256": bundle.sha256},
            "photos": compared.n,
            "accuracy": round(exported.accuracy, _DIGITS),
            "original_accuracy": round(original.accuracy, _DIGITS),
            "drop_points": compared.drop.model_dump(mode="json"),
            "p_value": compared.labels.p_value,
            "answered_right": round(exported.answered_right, _DIGITS),
            "original_answered_right": round(original.answered_right, _DIGITS),
            "answered_drop_points": compared.answered_drop.model_dump(mode="json"),
            "answered_p_value": compared.told.p_value,
            "agreement": round(compared.agreement, _DIGITS),
            "same_unknown": round(compared.same_refusals, _DIGITS),
            "coverage": list(compared.coverage) if compared.coverage else None,
            "bytes": exported.bytes,
            "original_bytes": original.bytes,
            "float32_bytes": float32,
            "ms_per_photo": {
                name: {"original": round(original.milliseconds[name], 3), "export": round(value, 3)}
                for name, value in exported.milliseconds.items()
            },
            **made.facts,
        },
    }


def _info(
    bundle: Bundle,
    request: ExportRequest,
    made: ExportedFiles,
    chosen: CalibrationSet,
    metrics: Mapping[str, Any] | None = None,
) -> BundleInfo:
    info = bundle.info
    asked = {
        "kind": request.kind,
        "data": request.source,
        "reading": request.reading,
        "divided": request.manifest.version if chosen.divided else None,
        "split": request.split,
        "calibrate": list(request.calibrate),
        "max_drop": request.max_drop,
    }
    if request.kind == "pruned":
        asked |= {"prune": request.pruning.share, "minutes": request.pruning.minutes}
    temperature = made.temperature or info.calibration.temperature
    return info.model_copy(
        update={
            "version": f"{info.version}+{request.kind}",
            "created": datetime.now(UTC).replace(microsecond=0),
            "calibration": Calibration(temperature=round(temperature, _DIGITS)),
            "config": {**info.config, "export": asked},
            "metrics": dict(metrics or {}),
        }
    )


def _card(original: Bundle, info: BundleInfo, tested: Scorecard, request: ExportRequest) -> str:
    """The export's own: its numbers in place of the original's. Whatever else somebody wrote of that is quoted."""
    text = bundle_card(info, tested, request.source, use=PurePosixPath(request.target).name)
    words = original.card()
    if not words or recipe_name(original.info) is not None:
        return text
    quoted = "\n".join(f"> {line}".rstrip() for line in _FRONT_MATTER.sub("", words).strip().splitlines())
    return f"{text}\n## What the original's card says\n\n{quoted}\n"


def _write(
    target: str, original: Bundle, made: ExportedFiles, info: BundleInfo, card: str, *, overwrite: bool = False
) -> Bundle:
    """All files of the original that the export does not replace, and its own."""
    kept = (name for name in original.info.files if name != MONITOR_FILE)
    files: dict[str, bytes | Path] = {name: original.path / name for name in kept}
    files |= made.files
    if card:
        files[CARD_FILE] = card.encode()
    return bundles.write(target, info, files, overwrite=overwrite)
