"""The model card that a bundle gets when it is trained; ``report.model_card`` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animal_classification.report.model_card import bundle_card

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.training.heldout_metrics import HeldOutMetrics
    from animal_classification.training.recipe import RecipeInputs


def model_card(job: RecipeInputs, info: BundleInfo, measured: HeldOutMetrics | None) -> str:
    """Markdown with Hugging Face's front matter."""
    tested = None if measured is None else measured.tested
    return bundle_card(info, tested, job.config.data.path, use=job.run.bundle.name)
