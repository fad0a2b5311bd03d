"""``export``: make it, measure it beside the original, and write it only if it is good enough."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification import bundle as bundles
from animal_classification.bundle.model import CARD_FILE, Bundle
from animal_classification.bundle.schema import INFO_FILE, MODEL_FILE, Calibration
from animal_classification.common.limits import available_cpus
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.evaluation.selection import Subject, independent_units
from animal_classification.optimisation import measuring
from animal_classification.optimisation.kinds import KINDS, Made, Progress, Pruning, Source
from animal_classification.optimisation.photos import Chosen, choose
from animal_classification.optimisation.text import Side, card_section
from animal_classification.optimisation.weights import float32_size

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.data.manifest import Manifest
    from animal_classification.optimisation.measuring import Compared

_ROUNDING = 1e-9
_DIGITS = 6


def _silent(what: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        kind: One of ``KINDS``.
        target: A directory or an fsspec URL, for the bundle.
        manifest: Labelled photos.
        source: What they are called.
        split: Which of them to measure on.
        calibrate: Files, folders and patterns of other photos to calibrate with.
        max_drop: Points of top-1 accuracy that it may lose.
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
    max_drop: float = 0.5
    pruning: Pruning = field(default_factory=Pruning)
    threads: int | None = None
    overwrite: bool = False
    cache: Path | None = None
    progress: Progress = _silent


@dataclass(frozen=True)
class Exported:
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
    original: Side
    export: Side
    compared: Compared
    float32_bytes: int
    split: str
    notes: tuple[str, ...]


def export(bundle: Bundle, request: Request) -> Exported:
    """Export a model.

    Raises:
        UsageError: No such kind, the target is taken, or photos are missing.
        AnimalsError: The export loses more accuracy than allowed; nothing was written.
        EngineError: An engine refuses the graph.
    """
    kind = KINDS.get(request.kind)
    if kind is None:
        raise UsageError(f"cannot export to {request.kind!r}; choose one of {', '.join(KINDS)}")
    _check_free(request)
    chosen = choose(bundle, request.manifest, wanted=request.split, calibrate=request.calibrate, cache=request.cache)
    threads = request.threads or available_cpus()
    source = Source(bundle, chosen.calibration, request.max_drop, request.pruning, threads, request.progress)
    made = kind.make(source)
    with tempfile.TemporaryDirectory(prefix="animals-export-") as folder:
        staged = _write(str(Path(folder) / "staged"), bundle, made, _info(bundle, request, made), "")
        compared = _measured(bundle, staged, made, chosen, request)
        _refuse_worse(compared, request)
        sides = _sides(bundle, staged, made, compared, chosen.measured)
    float32 = float32_size(source.graph)
    metrics = _metrics(bundle, made, compared, sides, float32)
    info = _info(bundle, request, made, metrics)
    where = f"{request.source} ({chosen.split})"
    card = card_section(request.kind, sides, compared, float32, where)
    written = _write(request.target, bundle, made, info, card, overwrite=request.overwrite)
    return Exported(written, *sides, compared, float32, chosen.split, (*chosen.notes, *made.notes))


def _check_free(request: Request) -> None:
    """Says at once what would otherwise be said after minutes."""
    target = Path(request.target)
    if (target / INFO_FILE).is_file() and not request.overwrite:
        raise UsageError(f"{target}: already holds a bundle; choose another name, or allow it with --overwrite")


def _measured(bundle: Bundle, staged: Bundle, made: Made, chosen: Chosen, request: Request) -> Compared:
    """Original and export on the same photos."""
    usable = [name for name in measuring.installed_engines() if name in made.engines]
    if not usable:
        raise UsageError(f"none of {', '.join(made.engines)} is installed, so that the export cannot be measured")
    original, exported = (
        measuring.measure(
            one, chosen.measured, file=file, engine=usable[0], threads=request.threads, progress=request.progress
        )
        for one, file in ((bundle, MODEL_FILE), (staged, made.engines[usable[0]]))
    )
    readable = [chosen.measured[index] for index in original.positions]
    return measuring.compared(original, exported, independent_units(readable, request.cache))


def _refuse_worse(compared: Compared, request: Request) -> None:
    if compared.drop.value <= request.max_drop + _ROUNDING:
        return
    before, after = (100 * value for value in compared.accuracy)
    raise AnimalsError(
        f"{request.kind} loses {compared.drop.value:.2f} points of top-1 ({before:.2f} to {after:.2f} on {compared.n} "
        f"photos) and --max-drop allows {request.max_drop:g}; nothing was written"
    )


def _sides(
    bundle: Bundle, staged: Bundle, made: Made, compared: Compared, measured: tuple[Subject, ...]
) -> tuple[Side, Side]:
    """Sizes and speeds of both."""
    engines = [name for name in measuring.installed_engines() if name in made.engines]
    graphs = {name: {"original": bundle.model_path, "export": staged.path / made.engines[name]} for name in engines}
    speeds = measuring.speeds(graphs, measuring.one_batch(measured, bundle))
    sizes = bundle.model_path.stat().st_size, made.model_bytes
    sides = [
        Side(f"{one.info.name} {one.info.version}", accuracy, size, {name: speeds[name][which] for name in engines})
        for one, which, accuracy, size in zip(
            (bundle, staged), ("original", "export"), compared.accuracy, sizes, strict=True
        )
    ]
    return sides[0], sides[1]


def _metrics(bundle: Bundle, made: Made, compared: Compared, sides: tuple[Side, Side], float32: int) -> dict[str, Any]:
    """What the export's ``bundle.json`` says of it. The original's numbers are not its own, so they are not kept."""
    original, exported = sides
    return {
        "accuracy": round(compared.accuracy[1], _DIGITS),
        "photos": compared.n,
        "export": {
            "of": {"name": bundle.info.name, "version": bundle.info.version, "sha256": bundle.sha256},
            "original_accuracy": round(compared.accuracy[0], _DIGITS),
            "drop_points": compared.drop.model_dump(mode="json"),
            "p_value": compared.p_value,
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


def _info(bundle: Bundle, request: Request, made: Made, metrics: Mapping[str, Any] | None = None) -> BundleInfo:
    info = bundle.info
    asked = {
        "kind": request.kind,
        "data": request.source,
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


def _write(
    target: str, original: Bundle, made: Made, info: BundleInfo, section: str, *, overwrite: bool = False
) -> Bundle:
    """All files of the original that the export does not replace, and its own."""
    files: dict[str, bytes | Path] = {name: original.path / name for name in original.info.files}
    files |= made.files
    card = original.card()
    if card and section:
        files[CARD_FILE] = f"{card.rstrip()}\n\n{section}".encode()
    return bundles.write(target, info, files, overwrite=overwrite)
