"""What ``animals report html`` and ``animals evaluate --report`` do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.progress import ProgressLine
from animal_classification.errors import AnimalsError, UsageError

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.data.sources import SourceOptions
    from animal_classification.evaluation.result import ModelComparison, ModelFacts
    from animal_classification.report.report_inputs import Measurement, ReportInputs

_REPORT = "report"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line says.

    Attributes:
        what: A run's folder, a model, or an evaluation in JSON.
        source: Labelled photos, where they are named.
        model: The model of an evaluation.
        options: How the photos are read.
        split: Which of them; by default those of an evaluation, or else ``test``.
        unknown: Photos of none of the classes.
        compare: Another model.
        quiet: Show no progress.
    """

    what: str
    source: str | None
    model: str | None
    options: SourceOptions
    split: str | None
    unknown: tuple[str, ...]
    compare: str | None
    quiet: bool


def load(model: str) -> Bundle:
    """A model by whatever it is called, those of the registry included."""
    from animal_classification import bundle as bundles
    from animal_classification.registry import resolve_model

    return bundles.load(resolve_model(model))


def page_of_model(asked: Asked, output: Path | None) -> Path:
    """Measure, or read what was measured, and write the report."""
    from animal_classification.evaluation.metrics import require as require_metrics
    from animal_classification.report.page import require
    from animal_classification.report.writer import write_report

    require_metrics()
    require()
    path = Path(asked.what)
    stem = path.with_suffix(".html") if path.suffix.lower() == ".json" else Path(_REPORT)
    with ProgressLine(shown=not asked.quiet) as progress:
        measured = _read(path, asked) if path.suffix.lower() == ".json" else _measure(asked, progress)
        return write_report(measured, output or stem).page


def page_of_text(path: Path, output: Path | None) -> Path:
    """Turn Markdown into a page."""
    from animal_classification.report.markdown import write_page

    target = output or path.with_suffix(".html")
    if target.suffix.lower() not in {".html", ".htm"}:
        target = target / f"{path.stem}.html"
    write_page(path, target)
    return target


def _measure(asked: Asked, progress: ProgressLine) -> Measurement:
    from animal_classification.report.report_inputs import ReportInputs, measure
    from animal_classification.report.writer import recipe_of

    run = Path(asked.what) / "bundle"
    model = str(run) if (run / "bundle.json").is_file() else asked.what
    recipe = _with_options(recipe_of(load(model), model, asked.options), asked) if asked.source is None else None
    if recipe is None:
        from datetime import UTC, datetime

        recipe = _with_options(ReportInputs(created=datetime.now(UTC), source=asked.source or "", model=model), asked)
    measured = measure(recipe, load, progress, asked.options.cache)
    return replace(measured, recipe=recipe.model_copy(update={"created": measured.result.created}))


def _with_options(recipe: ReportInputs, asked: Asked) -> ReportInputs:
    from animal_classification.report.report_inputs import reading_of

    changed: dict[str, Any] = {"split": asked.split or "test", "unknown": asked.unknown, "compare": asked.compare}
    if asked.source is not None:
        changed |= reading_of(asked.options)
    return recipe.model_copy(update=changed)


def _read(path: Path, asked: Asked) -> Measurement:
    """From an evaluation that was written; the model and the photos as far as they are at hand."""
    from animal_classification.data import read_source
    from animal_classification.evaluation import Evaluation
    from animal_classification.evaluation.eval_set import Others
    from animal_classification.report.report_inputs import Measurement, ReportInputs, reading_of

    result = Evaluation.read(path)
    data = result.data
    if asked.split not in (None, data.wanted):
        raise UsageError(f"{str(path)!r} is about the split {data.wanted!r}, not {asked.split!r}; leave out --split")
    bundle = None if asked.model is None else _of_evaluation(asked.model, result.model, path)
    recipe = ReportInputs(
        created=result.created,
        model=asked.model,
        source=asked.source or data.source,
        split=data.wanted,
        unknown=asked.unknown or tuple(data.others),
        compare=_compared(asked.compare, result.comparison, path),
        engine=result.model.engine,
        **reading_of(asked.options),
    )
    try:
        manifest = read_source(recipe.source, asked.options)
    except AnimalsError:
        if asked.source:
            raise
        manifest = None
    try:
        others = Others.of(recipe.unknown)
    except AnimalsError:
        if asked.unknown:
            raise
        others = Others()
    return Measurement(recipe, result, bundle, manifest, others)


def _of_evaluation(model: str, facts: ModelFacts, path: Path) -> Bundle:
    """A model that an evaluation is about.

    Raises:
        AnimalsError: It is about another.
    """
    bundle = load(model)
    if bundle.sha256 != facts.sha256:
        raise AnimalsError(
            f"{str(path)!r} is about another model than {model!r}: the SHA-256 of bundle.json begins with "
            f"{facts.sha256[:8]} and not {bundle.sha256[:8]}"
        )
    return bundle


def _compared(model: str | None, comparison: ModelComparison | None, path: Path) -> str | None:
    """What the model beside it is called: as somebody says, or by its own name."""
    if comparison is None:
        if model is not None:
            raise UsageError(f"{str(path)!r} does not compare two models; write it again: animals evaluate --compare")
        return None
    if model is None:
        return comparison.other.name
    _of_evaluation(model, comparison.other, path)
    return model
