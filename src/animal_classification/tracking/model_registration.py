"""A finished run offers its bundle to the model registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from animal_classification.errors import AnimalsError
from animal_classification.registry import register_if_better, tracking_uri
from animal_classification.tracking.mlflow_tracker import NAME
from animal_classification.tracking.run_state import recall

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.data.manifest import ManifestRow
    from animal_classification.training.run import Run


def offer(
    config: Config, run: Run, *, name: str, metrics: Mapping[str, float], test: Iterable[ManifestRow]
) -> tuple[str, ...]:
    """Register the run's bundle where it beats the one in production.

    To be called when the trackers are closed, so that the bundle is where the registry wants it already.

    Args:
        config: Says whether and where.
        run: Holds the bundle.
        name: The model's.
        metrics: By the names in ``tracking.tracker``.
        test: The photos that it was tested on.

    Returns:
        What came of it, a line; nothing where nothing was asked for, or where the tracker has said already that MLflow
        does not answer. What goes wrong is such a line too: the bundle stays as good as it is.
    """
    if not config.tracking.register_model:
        return ()
    run_id = recall(run.path).get(NAME, {}).get("run_id")
    if NAME in config.tracking.to and run_id is None:
        return ()
    try:
        registration = register_if_better(
            run.bundle,
            name=name,
            metrics=metrics,
            uri=tracking_uri(config.tracking.uri, output=config.output),
            run_id=run_id,
            test_version=test_version(test),
        )
    except AnimalsError as error:
        return (f"not registered: {error}; the model itself is in {run.bundle}",)
    return (registration.note,)


def test_version(rows: Iterable[ManifestRow]) -> str:
    """Sixteen hex digits that stand for the test photos and their labels, whatever the others are."""
    lines = sorted(json.dumps([row.sha256, row.label]) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
