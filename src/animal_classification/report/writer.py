"""The files of a report: the page, the model card beside it, and all numbers as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.text_files import refuse_foreign, write_text
from animal_classification.report.gallery import PhotosAtHand
from animal_classification.report.model_card import report_card
from animal_classification.report.page import PageData, refuse_foreign_page, render
from animal_classification.report.report_inputs import carries_inputs

if TYPE_CHECKING:
    from animal_classification.report.report_inputs import Measurement

PAGE, CARD, NUMBERS = "report.html", "model-card.md", "evaluation.json"
PAGES = (".html", ".htm")


@dataclass(frozen=True)
class Written:
    """Where a report's files are; the card is not written where the bundle is not at hand."""

    page: Path
    model_card: Path | None


def check_report_target(target: Path, *, with_card: bool = True) -> None:
    """Refuse to write a report over files of others, before anything is measured.

    Args:
        target: As for :func:`write_report`.
        with_card: Whether there will be a model card.

    Raises:
        UsageError: A page or a card is there that no report has written.
        OutputError: It cannot be read.
    """
    single = target.suffix.lower() in PAGES
    page = target if single else target / PAGE
    refuse_foreign_page(page)
    if with_card:
        card = page.with_suffix(".md") if single else target / CARD
        refuse_foreign(card, lambda text: carries_inputs(text.decode("utf-8", "replace")), "model card")


def write_report(measurement: Measurement, target: Path) -> Written:
    """Write the page and, beside it, the model card; in a folder, all numbers as JSON as well.

    Args:
        measurement: What to report.
        target: A folder, or the page's own name, which ends in ``.html``.

    Raises:
        OutputError: The system refuses.
        MissingExtraError: Jinja2 is not installed.
    """
    single = target.suffix.lower() in PAGES
    where = target if single else target / PAGE
    write_text(render(PageData.of(measurement), measurement.bundle, PhotosAtHand(measurement)), where)
    beside = None
    if measurement.bundle is not None:
        beside = where.with_suffix(".md") if single else target / CARD
        write_text(report_card(measurement), beside)
    if not single:
        measurement.result.write(target / NUMBERS)
    return Written(where, beside)
