"""The model card that a bundle gets when it is trained; ``evaluation.report.card`` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animal_classification.evaluation.report.card import as_text, card_lines
from animal_classification.evaluation.report.card_numbers import CardNumbers, simple
from animal_classification.evaluation.report.numbers import Ledger

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.training.measuring import Measured
    from animal_classification.training.recipe import Job


def model_card(job: Job, info: BundleInfo, measured: Measured | None) -> str:
    """Markdown with Hugging Face's front matter."""
    numbers = Ledger()
    found: CardNumbers | None = None
    if measured is not None and len(measured):
        recalls = dict(measured.recalls(job.dataset.classes))
        found = simple(dict(measured.summary()), recalls, job.config.data.path, len(measured), numbers)
    return as_text(card_lines(info, found, numbers, use=job.run.bundle.name))
