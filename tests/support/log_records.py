"""Predictions for the log, made up."""

from __future__ import annotations

import random
import time
from typing import Any
from uuid import uuid4

from animal_classification.prediction_log.record import PredictionRecord


def record(**given: Any) -> PredictionRecord:
    values: dict[str, Any] = {
        "id": str(uuid4()),
        "time": time.time(),
        "model": "tiny",
        "version": "1",
        "photo": "ab" * 32,
        "file": "a.jpg",
        "label": "cat",
        "label_id": "cat-id",
        "probability": 0.9,
        "known": 0.95,
        "unknown": False,
        "answer": "cat",
        "level": "label",
        "labels": ("cat",),
        "top": (("cat", "cat-id", 0.9), ("dog", "dog-id", 0.1)),
        "latency": 0.02,
        "embedding": b"\x00\x3c\x00\xc0",
    }
    return PredictionRecord(**(values | {"answer": given.get("label", "cat")} | given))


def some(count: int, seed: int, days: float = 3.0) -> list[PredictionRecord]:
    """Predictions of some animals by some models, at any time of the last days; photos come again and again."""
    pick = random.Random(seed)
    return [
        record(
            time=time.time() - pick.random() * days * 86400,
            photo=f"{pick.randrange(count // 2 + 1):064x}",
            label=pick.choice(["cat", "dog", "雪豹"]),
            model=pick.choice(["tiny", "zoo"]),
            version=pick.choice("12"),
            unknown=pick.random() < 0.2,
            probability=pick.random(),
            latency=10 ** pick.uniform(-4, 3),
        )
        for _ in range(count)
    ]
