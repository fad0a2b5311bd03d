"""Which model on which photos."""

from __future__ import annotations

from animal_classification.evaluation.result.base import ResultModel


class ModelFacts(ResultModel):
    """Which model.

    Attributes:
        sha256: Of its ``bundle.json``.
        classes: How many it knows.
        data_version: What it learned from.
        n_train: From how many photos.
        recipe: How it was trained, where it says so.
        engine: What ran it here.
    """

    name: str
    version: str
    sha256: str
    classes: int
    data_version: str
    n_train: int | None
    recipe: str | None
    engine: str


class DataFacts(ResultModel):
    """Which photos.

    Attributes:
        source: As it was named.
        version: The data version of the source.
        split: ``test`` and so on, or ``all``.
        wanted: The split that was asked for: of photos without splits, ``test`` takes all that training has not seen.
        others: Files, folders and patterns of photos of none of the model's classes, as they were named.
        photos: All of the split: scored, unknown and unreadable ones.
        scored: Of labels that the model knows.
        unknown: Of labels that it does not know; only unknown-rejection is measured on them.
        unreadable: Could not be used; each has a row that says why.
        left_out: In the source and not looked at, by reason.
        unknown_labels: Labels that the model does not know, and their photos.
        missing_labels: Names of the model's classes without a photo here.
        seen: Scored photos that the model was trained or calibrated with, or copies of such; results on them are too
            good.
        seen_known: The bundle names the photos that it has seen, and copies were looked for: only then does ``seen``
            0 mean that these were kept apart.
        groups: How many sites, sequences or individuals the scored photos come from; 0 where nothing is said.
        units: How many of the scored photos are independent of each other, as far as known: copies and groups count
            once. Intervals and tests are about these.
    """

    source: str
    version: str
    split: str
    wanted: str
    others: list[str]
    photos: int
    scored: int
    unknown: int
    unreadable: int
    left_out: dict[str, int]
    unknown_labels: dict[str, int]
    missing_labels: list[str]
    seen: int
    seen_known: bool
    groups: int
    units: int
