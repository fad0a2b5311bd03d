"""Bundles outlive the code that wrote them: older ``bundle.json`` documents are brought up to date, newer ones refused.

When ``SCHEMA_VERSION`` grows from n to n + 1, add a step under n that turns such a document into the next version's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from animal_classification.bundle.schema import SCHEMA_VERSION
from animal_classification.errors import BundleInvalidError, BundleVersionError
from animal_classification.install_hint import pip_install

Document = dict[str, Any]
Steps = Mapping[int, Callable[[Document], Document]]

STEPS: dict[int, Callable[[Document], Document]] = {}


def upgrade(document: Document, steps: Steps | None = None) -> Document:
    """Brings a ``bundle.json`` document to the current schema version.

    Args:
        document: The parsed document; left as it is.
        steps: From a version to the function that makes the next version's document.

    Returns:
        A document whose ``schema_version`` is the current one.

    Raises:
        BundleVersionError: A newer version of this package wrote it.
        BundleInvalidError: It states no version, or one that has no step.
    """
    steps = STEPS if steps is None else steps
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise BundleInvalidError(f"schema_version: a whole number up to {SCHEMA_VERSION} is needed (got {version!r})")
    if version > SCHEMA_VERSION:
        raise BundleVersionError(
            f"schema_version {version} is newer than this package reads ({SCHEMA_VERSION}); upgrade it: {pip_install()}"
        )
    document = dict(document)
    for old in range(version, SCHEMA_VERSION):
        if old not in steps:
            raise BundleInvalidError(f"schema_version {version} cannot be read any more; export the model again")
        document = {**steps[old](document), "schema_version": old + 1}
    return document
