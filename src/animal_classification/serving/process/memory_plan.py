"""How a server divides its memory between request bodies, decoding and itself.

Of the container's memory, shared by the workers, a process keeps ``RESERVED`` for itself. Of the rest, half is for
decoding and a quarter for request bodies. The last quarter is a reserve: for a second model while one replaces another,
for answers being sent, and for what the allocator keeps.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from animal_classification.common.limits import available_cpus, available_memory
from animal_classification.imaging import DecodingMemory, Limits
from animal_classification.imaging.memory_budget import RESERVED, UNKNOWN, share_for_decoding
from animal_classification.settings import MIB

if TYPE_CHECKING:
    from animal_classification.settings import Settings

MOST_BODIES = 512 * MIB
FEWEST_BODIES = 16 * MIB
# Of the memory for decoding, for each large photo that is decoded beside others.
LANE = 512 * MIB
# What a detector keeps, and works in on several threads; `lite` takes about 140 MB.
DETECTOR_MEMORY = 256 * MIB


def with_memory_bounds(settings: Settings, *, memory: int | None = None, workers: int = 1) -> Settings:
    """The settings of one process, with every bound on memory that is 0 filled in.

    Workers share the memory for bodies, so its bound is that of all of them; each decodes in a share of its own. A
    request, and a photo, can be at most as large as all bodies together.

    Args:
        settings: Of all workers together.
        memory: Bytes that all of them may use; the container's by default.
        workers: How many they are.
    """
    memory = memory or available_memory() or UNKNOWN
    memory -= workers * DETECTOR_MEMORY if settings.detector else 0
    left = (memory - workers * RESERVED) // 4
    bodies = settings.max_memory_bytes or min(MOST_BODIES, max(FEWEST_BODIES, left))
    request = min(settings.max_request_bytes, bodies)
    return replace(
        settings,
        max_memory_bytes=bodies,
        max_decode_bytes=settings.max_decode_bytes // workers or share_for_decoding(memory // workers),
        max_request_bytes=request,
        max_file_bytes=min(settings.max_file_bytes, request),
    )


def warn_if_over_memory(settings: Settings, *, memory: int | None = None) -> None:
    """Warn in the log where the bounds of one process add up to more than the memory there is.

    Args:
        settings: With every bound filled in.
        memory: Bytes that the process may use; the container's by default.
    """
    memory = memory or available_memory() or UNKNOWN
    own = RESERVED + (DETECTOR_MEMORY if settings.detector else 0)
    wanted = own + settings.max_memory_bytes + settings.max_decode_bytes
    if wanted > memory:
        logging.getLogger(__name__).warning(
            "there are %d MB of memory, and the server may take %d: %d for itself, %d for request bodies "
            "(ANIMALS_MAX_MEMORY_BYTES) and %d for decoding (ANIMALS_MAX_DECODE_BYTES); give it more, or lower these",
            *(size // 1_000_000 for size in (memory, wanted, own)),
            settings.max_memory_bytes // 1_000_000,
            settings.max_decode_bytes // 1_000_000,
        )


def photo_limits(settings: Settings) -> Limits:
    """Bounds on every photo, with the memory in which all threads of this process decode."""
    decoding = settings.max_decode_bytes or with_memory_bounds(settings).max_decode_bytes
    return Limits(
        max_bytes=settings.max_file_bytes,
        max_pixels=settings.max_pixels,
        memory=DecodingMemory(decoding, patience=settings.max_wait),
    )


def heavy_lanes(settings: Settings, limits: Limits) -> int:
    """How many large photos are decoded at once: on half of the CPUs at most, so that small ones get a turn."""
    memory = UNKNOWN if limits.memory is None else limits.memory.limit
    return max(1, min((settings.threads or available_cpus()) // 2, memory // LANE))
