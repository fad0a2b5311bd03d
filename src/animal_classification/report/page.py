"""The page, put together: one file that needs no other, no script and no network."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from animal_classification.errors import MissingExtraError
from animal_classification.report import dataset as data_report
from animal_classification.report import provenance, summary, tables
from animal_classification.report.gallery import galleries
from animal_classification.report.images import Pictures
from animal_classification.report.numbers import Ledger
from animal_classification.report.plots import confused_classes, confusion_plot, known_score_plot, reliability_plot

if TYPE_CHECKING:
    from animal_classification.report.report_inputs import Measurement

_EXTRA = "evaluate"


def require() -> None:
    """Refuse to go on without Jinja2.

    Raises:
        MissingExtraError: It is not installed.
    """
    if find_spec("jinja2") is None:
        raise MissingExtraError("a report", _EXTRA)


def render(measurement: Measurement, pictures: Pictures, numbers: Ledger) -> str:
    """The page as text.

    Args:
        measurement: What to show.
        pictures: Where photos come from.
        numbers: Gets every number that is shown.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    return template("report.html.j2", _context(measurement, pictures, numbers))


def template(name: str, context: dict[str, Any]) -> str:
    """Fill in a template of this package; whatever comes from outside is escaped."""
    require()
    from jinja2 import Environment, StrictUndefined

    folder = files(__package__) / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = (folder / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(style=style(), **context)


def style() -> str:
    """The style of every page, and what a report needs beyond it."""
    base = (files(data_report) / "style.css").read_text(encoding="utf-8")
    return base + (files(__package__) / "templates" / "report.css").read_text(encoding="utf-8")


def _context(measurement: Measurement, pictures: Pictures, numbers: Ledger) -> dict[str, Any]:
    result = measurement.result
    sets, confused = result.sets, confused_classes(result.confusion)
    return {
        "result": result,
        "recipe": measurement.recipe.in_text(),
        "grades": summary.grades(),
        "headline": summary.headline(result, numbers),
        "points": summary.points(result, numbers),
        "cards": summary.cards(result, numbers),
        "classes": tables.class_rows(result, numbers),
        "averages": tables.averages(result, numbers),
        "confusion": confusion_plot(result.confusion, numbers),
        "unconfused": numbers.count("confusion.left_out", len(result.confusion.labels) - len(confused)),
        "pairs": tables.pair_lines(result, numbers),
        "reliability": [
            ("before", reliability_plot(result.calibration.before, "before", numbers)),
            ("after", reliability_plot(result.calibration.after, "after", numbers)),
        ],
        "calibration": tables.calibration_rows(result, numbers),
        "sets": None
        if sets is None
        else {
            "wanted": numbers.percent("sets.wanted", 1 - sets.rule.alpha, 0),
            "coverage": tables.set_lines(sets, numbers),
            "sizes": tables.set_size_lines(sets, numbers),
            "worst": tables.worst_covered(sets, numbers),
        },
        "known_scores": known_score_plot(result),
        "unknown": tables.unknown_rows(result, numbers),
        "refusals": summary.something_else(result.unknown, numbers),
        "slices": tables.slice_lines(result, numbers),
        "comparison": provenance.comparison(result.comparison, numbers),
        "data": provenance.data_facts(result, numbers),
        "provenance": provenance.provenance(measurement, numbers),
        "config": _config(measurement),
        "limits": provenance.limits(result, numbers),
        "galleries": galleries(result, numbers, pictures),
    }


def _config(measurement: Measurement) -> str:
    """The training's configuration as YAML; empty where the bundle has none."""
    import yaml

    bundle = measurement.bundle
    if bundle is None or not bundle.info.config:
        return ""
    text: str = yaml.safe_dump(bundle.info.config, sort_keys=True, allow_unicode=True, width=100)
    return text
