"""The model card that a bundle gets when it is trained; ``evaluation.report.card`` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animal_classification.evaluation.report.card import as_text, bundle_card
from animal_classification.evaluation.report.numbers import Ledger

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.training.measuring import Measured
    from animal_classification.training.recipe import Job


def model_card(job: Job, info: BundleInfo, measured: Measured | None) -> str:
    """Markdown with Hugging Face's front matter."""
    tested = None if measured is None else measured.tested
    return as_text(bundle_card(info, tested, job.config.data.path, Ledger(), use=job.run.bundle.name))
