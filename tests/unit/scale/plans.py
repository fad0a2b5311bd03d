"""Plans of photos that are nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.plan import Plan


def empty_plan(shard: int) -> Plan:
    return Plan(
        id="a" * 32,
        created=0.0,
        code="1",
        sources=("photos",),
        options={"model": "photos", "top_k": 5},
        model="photos",
        model_version="1",
        model_sha256="0" * 64,
        shard=shard,
    )


def names(number: int) -> Iterator[PlannedPhoto]:
    """As a bucket would list them, without one."""
    return (PlannedPhoto(f"cam/{i:08d}.jpg", f"gs://zoo/cam/{i:08d}.jpg", 110_000, "1", None) for i in range(number))
