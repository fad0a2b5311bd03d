"""What ``animals report html`` does: measure, or read what was measured, and write the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from animal_classification import bundle as bundles
from animal_classification.bundle import Bundle
from animal_classification.common.progress import ProgressLine
from animal_classification.data import read_source
from animal_classification.data.sources import SourceOptions
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.evaluation.eval_set import Others
from animal_classification.evaluation.metrics import require as require_metrics
from animal_classification.evaluation.result import Evaluation, ModelComparison, ModelFacts
from animal_classification.registry import resolve_model
from animal_classification.report import markdown
from animal_classification.report.page import refuse_foreign_page
from animal_classification.report.page import require as require_templates
from animal_classification.report.report_inputs import Measurement, ReportInputs, inputs_of, measure, reading_of
from animal_classification.report.writer import PAGES, check_report_target, write_report

_REPORT = "report"


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
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
    return bundles.load(resolve_model(model))


def page_of_model(request: ReportRequest, output: Path | None) -> Path:
    """Measure, or read what was measured, and write the report."""
    require_metrics()
    require_templates()
    path = Path(request.what)
    is_evaluation = path.suffix.lower() == ".json"
    target = output or (path.with_suffix(".html") if is_evaluation else Path(_REPORT))
    check_report_target(target, with_card=not is_evaluation or request.model is not None)
    with ProgressLine(shown=not request.quiet) as progress:
        measured = _read(path, request) if is_evaluation else _measure(request, progress)
        return write_report(measured, target).page


def page_of_text(path: Path, output: Path | None) -> Path:
    """Turn Markdown into a page."""
    target = output or path.with_suffix(".html")
    if target.suffix.lower() not in PAGES:
        target = target / f"{path.stem}.html"
    refuse_foreign_page(target)
    markdown.write_page(path, target)
    return target


def _measure(request: ReportRequest, progress: ProgressLine) -> Measurement:
    run = Path(request.what) / "bundle"
    model = str(run) if (run / "bundle.json").is_file() else request.what
    changed: dict[str, Any] = {
        "split": request.split or "test",
        "unknown": request.unknown,
        "compare": request.compare,
    }
    if request.source is None:
        inputs = inputs_of(load(model), model, request.options)
    else:
        inputs = ReportInputs(
            created=datetime.now(UTC), source=request.source, model=model, **reading_of(request.options)
        )
    inputs = inputs.model_copy(update=changed)
    measured = measure(inputs, load, progress, request.options.cache)
    return replace(measured, inputs=inputs.model_copy(update={"created": measured.result.created}))


def _read(path: Path, request: ReportRequest) -> Measurement:
    """From an evaluation that was written; the model and the photos as far as they are at hand."""
    result = Evaluation.read(path)
    data = result.data
    if request.split not in (None, data.wanted):
        raise UsageError(f"{str(path)!r} is about the split {data.wanted!r}, not {request.split!r}; leave out --split")
    bundle = None if request.model is None else _of_evaluation(request.model, result.model, path)
    inputs = ReportInputs(
        created=result.created,
        model=request.model,
        source=request.source or data.source,
        split=data.wanted,
        unknown=request.unknown or tuple(data.others),
        compare=_compared(request.compare, result.comparison, path),
        engine=result.model.engine,
        **reading_of(request.options),
    )
    try:
        manifest = read_source(inputs.source, request.options)
    except AnimalsError:
        if request.source:
            raise
        manifest = None
    try:
        others = Others.of(inputs.unknown)
    except AnimalsError:
        if request.unknown:
            raise
        others = Others()
    return Measurement(inputs, result, bundle, manifest, others)


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
