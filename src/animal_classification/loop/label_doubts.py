"""New labels that the other photos contradict, by the wrong-label finder of ``animals data inspect``."""

# Imported where they are used: scikit-learn and a backbone are needed only where labels are checked.

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animal_classification.data.duplicates import units_of
from animal_classification.data.embedding_cache import embed
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.scanner import Facts, scan
from animal_classification.errors import MissingExtraError
from animal_classification.training.dataset import cache_folder
from animal_classification.training.probe.scan_and_embed import open_embedder

if TYPE_CHECKING:
    from animal_classification.config.schema import Config


@dataclass(frozen=True, slots=True)
class LabelDoubt:
    """A label that is probably wrong.

    Attributes:
        path: Of the photo, in the manifest.
        label: What people say.
        suggestion: What the other photos speak for.
        given: Probability of the label.
        suggested: Probability of the suggestion.
    """

    path: str
    label: str
    suggestion: str
    given: float
    suggested: float


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A photo with its label: the manifest's row, what a scan says of it, and where it lies now."""

    row: ManifestRow
    facts: Facts
    file: Path


def doubt_labels(photos: Sequence[LookedAt], new: Collection[str], training: Config) -> list[LabelDoubt]:
    """Doubts about some of the photos.

    Args:
        photos: Old and new ones.
        new: Paths of those whose labels are checked.
        training: Which backbone looks at them; other recipes than the probe look with the probe's.

    Returns:
        The surest first; nothing where scikit-learn is not installed.
    """
    from animal_classification.data.quality.label_issues import find_wrong_labels, require
    from animal_classification.training.probe.backbone import BundleBackbone

    try:
        require("calibrated")
    except MissingExtraError:
        return []
    here = [replace(one.row, path=str(one.file.absolute())) for one in photos]
    manifest, cache = Manifest(tuple(here), Path()), cache_folder(training.data)
    if training.recipe.name == "probe":
        with open_embedder(training) as embedder:  # decodes on all threads what is not known yet
            scan([one.file for one in photos], cache=cache, embedder=embedder)
    backbone = BundleBackbone.of(training)
    vectors = embed(manifest, backbone.embed, model=backbone.key, cache=cache)
    good = [index for index, vector in enumerate(vectors) if len(vector) and bool(np.isfinite(vector).all())]
    units = units_of(manifest, [one.facts for one in photos])
    issues = find_wrong_labels(
        [photos[index].row.label for index in good], vectors[good], [units[index] for index in good]
    )
    found = []
    for issue in issues:
        row = photos[good[issue.index]].row
        if row.path in new:
            found.append(LabelDoubt(row.path, row.label, issue.suggestion, issue.given, issue.suggested))
    return found
