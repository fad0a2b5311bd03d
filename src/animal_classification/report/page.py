"""The page, put together: one file that needs no other, no script that runs and no network.

What it shows is embedded in it as JSON (:class:`PageData`), from which it can be rendered again, byte for byte.
"""

# Imported where they are used: Jinja2 comes with the extra ``evaluate``.

from __future__ import annotations

import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict

from animal_classification.common.text_files import refuse_foreign
from animal_classification.errors import MissingExtraError
from animal_classification.evaluation.result import Evaluation
from animal_classification.report import provenance, summary, tables
from animal_classification.report.gallery import Pictures, galleries, only_shown
from animal_classification.report.numbers import count, percent
from animal_classification.report.plots import (
    KnownScores,
    confused_classes,
    confusion_plot,
    known_score_plot,
    reliability_plot,
)
from animal_classification.report.report_inputs import Measurement, ReportInputs, parse_only

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle

_EXTRA = "evaluate"
_BLOCK = '<script type="application/json" id="animals-report">{}</script>'
# How all of our pages begin, those of earlier versions included: by this they are told from pages of others.
_BEGINNING = (
    b'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    b'<meta name="viewport" content="width=device-width, initial-scale=1">'
)
_IN_PAGE = re.compile(_BLOCK.format("([^<]*)"))


class PageData(BaseModel):
    """What a page shows, but for the model's own configuration and the pictures; it does not grow with the photos.

    Attributes:
        inputs: How to measure it again.
        evaluation: What was measured; of the photos, those that the page shows.
        known_scores: All photos by how sure the model is that they show one of its classes; ``None`` where there are
            no photos of other things.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: ReportInputs
    evaluation: Evaluation
    known_scores: KnownScores | None

    @classmethod
    def of(cls, measurement: Measurement) -> PageData:
        """Those of a measurement."""
        result = measurement.result
        return cls(inputs=measurement.inputs, evaluation=only_shown(result), known_scores=KnownScores.of(result.photos))

    @classmethod
    def found_in(cls, page: str, where: str) -> PageData:
        """The data that a page carries.

        Raises:
            UsageError: It carries none, or they are damaged.
        """
        return parse_only(cls, _IN_PAGE.findall(page), where)

    def in_page(self) -> str:
        """As a block of data in HTML. No character in it can end the block."""
        text = self.model_dump_json()
        for character in "<>&":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return _BLOCK.format(text)


def require(what: str = "a report") -> None:
    """Refuse to go on without Jinja2.

    Args:
        what: What cannot be made without it.

    Raises:
        MissingExtraError: It is not installed.
    """
    if find_spec("jinja2") is None:
        raise MissingExtraError(what, _EXTRA)


def refuse_foreign_page(target: Path, hint: str = "give another name") -> None:
    """Refuse to write a page in place of a file that is none of ours, before any work is done.

    Raises:
        UsageError: It is there.
        OutputError: It cannot be read.
    """
    refuse_foreign(target, lambda content: content.startswith(_BEGINNING), "page", hint)


def render(data: PageData, bundle: Bundle | None, pictures: Pictures) -> str:
    """The page as text: the same bytes for the same arguments.

    Args:
        data: What to show.
        bundle: The model; ``None`` where only its evaluation is at hand.
        pictures: Where photos come from.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    return template("report.html.j2", _context(data, bundle, pictures))


def template(name: str, context: dict[str, Any]) -> str:
    """Fill in a template of this package; whatever comes from outside is escaped."""
    require()
    from jinja2 import Environment, StrictUndefined

    folder = files(__package__) / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = "".join((folder / sheet).read_text(encoding="utf-8") for sheet in ("page.css", "report.css"))
    return environment.from_string((folder / name).read_text(encoding="utf-8")).render(style=style, **context)


def _context(data: PageData, bundle: Bundle | None, pictures: Pictures) -> dict[str, Any]:
    result = data.evaluation
    unconfused = len(result.confusion.labels) - len(confused_classes(result.confusion))
    scores, unknown = data.known_scores, result.unknown
    return {
        "result": result,
        "data_block": data.in_page(),
        "grades": summary.grades(),
        "headline": summary.headline(result),
        "points": summary.summary_points(result),
        "cards": summary.headline_numbers(result),
        "classes": tables.class_rows(result),
        "averages": tables.averages(result),
        "confusion": confusion_plot(result.confusion),
        "unconfused": count(unconfused) if unconfused else "",
        "pairs": tables.pair_lines(result),
        "reliability": [
            (when, reliability_plot(part, when))
            for when, part in (("before", result.calibration.before), ("after", result.calibration.after))
        ],
        "calibration": tables.calibration_rows(result),
        "sets": _prediction_sets(result),
        "known_scores": known_score_plot(scores, unknown.rule) if scores and unknown else None,
        "unknown": tables.unknown_rows(result),
        "refusals": summary.something_else(unknown),
        "slices": tables.slice_lines(result),
        "changed": tables.changed_rows(result),
        "found_sizes": tables.found_sizes(result),
        "comparison": provenance.comparison(result.comparison),
        "photos": provenance.data_facts(result),
        "provenance": provenance.provenance(result, bundle, data.inputs),
        "config": _config(bundle),
        "limits": provenance.limits(result),
        "galleries": galleries(result, pictures),
    }


def _prediction_sets(result: Evaluation) -> dict[str, Any] | None:
    sets = result.sets
    if sets is None:
        return None
    return {
        "wanted": percent(1 - sets.rule.alpha, 0),
        "coverage": tables.set_lines(sets),
        "sizes": tables.set_size_lines(sets),
        "worst": tables.worst_covered(sets),
    }


def _config(bundle: Bundle | None) -> str:
    """The training's configuration as YAML; empty where the bundle has none."""
    if bundle is None or not bundle.info.config:
        return ""
    return str(yaml.safe_dump(bundle.info.config, sort_keys=True, allow_unicode=True, width=100))
