"""Verdicts on drift as the prediction log keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from animal_classification.prediction_log.drift_records import DriftRecord


def drift_record(time: datetime, **changes: Any) -> DriftRecord:
    """A confirmed verdict on 200 photos of one moment: the image has changed."""
    usual = DriftRecord(
        id=str(uuid4()),
        time=time,
        since=time,
        until=time,
        model="tiny",
        version="1",
        source="",
        reference="ab" * 32,
        read=200,
        used=200,
        p={},
        effects={},
        kind="image",
        confirmed=True,
        harm={},
        score={"value": 0.6},
        explain="it is dark",
    )
    return replace(usual, **changes)
