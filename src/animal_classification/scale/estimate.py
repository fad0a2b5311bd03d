"""What a batch will cost: photos, bytes, requests and core hours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from animal_classification.scale.plan import Plan
from animal_classification.scale.shard_reader import BLOCK_BYTES

CORE_MS = 14.0
"""Processor time of a photo with the built-in model: docs/batch.md says on what it was measured."""
ROW_BYTES = 130


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What it will take.

    Attributes:
        photos: How many.
        read_bytes: Of photos, to be read.
        reads: Requests to the store of photos.
        written_bytes: Of rows.
        core_hours: Of processor time.
        largest_useful: Workers beyond which some would have nothing to do.
    """

    photos: int
    read_bytes: int
    reads: int
    written_bytes: int
    core_hours: float
    largest_useful: int

    @classmethod
    def of(cls, plan: Plan, core_ms: float = CORE_MS) -> Estimate:
        """Of a plan, at so many milliseconds of processor time a photo."""
        blocks = -(-plan.total_bytes // BLOCK_BYTES) + plan.shards
        return cls(
            photos=plan.photos,
            read_bytes=plan.total_bytes,
            reads=blocks if plan.packed else plan.photos,
            written_bytes=plan.photos * ROW_BYTES,
            core_hours=round(plan.photos * core_ms / 3_600_000, 3),
            largest_useful=plan.shards,
        )

    def as_object(self) -> dict[str, Any]:
        return asdict(self)
