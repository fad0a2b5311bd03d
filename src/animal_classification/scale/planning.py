"""From the words of ``animals batch plan`` to a plan that workers can take up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from animal_classification.common.limits import available_cpus
from animal_classification.data.discovery import WalkLog
from animal_classification.errors import UsageError
from animal_classification.imaging import Limits
from animal_classification.predict.request import PredictRequest
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.given_boxes import GivenBoxes
from animal_classification.scale.listing import describe_places, list_photos
from animal_classification.scale.pack import EarlierPacks, Packer
from animal_classification.scale.plan import Plan, draft
from animal_classification.scale.plan_writer import publish, refuse_second, write_plan
from animal_classification.scale.retry import Retry
from animal_classification.scale.storage import BatchFolder, is_bucket

TOLD_EVERY = 1000


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What is to be planned.

    Attributes:
        predict: What to do with each photo; its ``paths`` are folders, photos and patterns, or addresses of buckets.
        options: Names of its fields that decide what stands in a row.
        output: Where the batch is to lie.
        shard: Photos in a shard.
        pack: Copy the photos into a tar for each shard.
    """

    predict: PredictRequest
    options: tuple[str, ...]
    output: str
    shard: int
    pack: bool = False


@dataclass(frozen=True)
class PlanResult:
    """What came out.

    Attributes:
        plan: The plan, which workers find now.
        left_out: Files that are no photos.
        notes: What the user should know, a line each.
    """

    plan: Plan
    left_out: int
    notes: tuple[str, ...] = ()


def make_plan(asked: PlanRequest, folder: BatchFolder, told: Callable[[int], None] = lambda photos: None) -> PlanResult:
    """List the photos, write the shards, publish the plan.

    Args:
        asked: What is to be planned.
        folder: Of ``asked.output``, opened.
        told: Told now and then of how many photos were listed.

    Raises:
        UsageError: There is a plan already, or nothing to plan, or boxes fit several photos.
        AnimalsError: Something cannot be read or written.
    """
    asked.predict.check()
    refuse_second(folder)
    words, field = asked.predict.paths, asked.predict.field
    boxes = GivenBoxes.read(field.detections) if field and field.detections else None
    begun = draft(
        asked.predict,
        asked.options,
        words,
        asked.shard,
        described=describe_places(words),
        boxes=boxes.source if boxes else None,
    )
    retry, log = Retry(), WalkLog()
    earlier = EarlierPacks.of(folder)
    photos = list_photos(words, leave_out=asked.output, all_files=asked.predict.all_files, log=log, retry=retry)
    made = write_plan(
        folder,
        begun,
        _told(boxes.seen(photos) if boxes else photos, told),
        Packer(folder, retry, Limits(), earlier) if asked.pack else None,
        # One process reads a thousand objects a second, which is all that its loop can do; a disk needs no more.
        processes=available_cpus() if asked.pack and is_bucket(words[0]) else 1,
    )
    if log.lost:
        place, why = next(iter(log.lost.items()))
        raise UsageError(f"cannot read the folder {place!r} ({why}): its photos would be missing; nothing was planned")
    notes = boxes.write(folder, made) if boxes else ()
    publish(folder, made)
    return PlanResult(made, log.skipped.total(), (*_gone_on(earlier, pack=asked.pack), *notes))


def _gone_on(earlier: EarlierPacks, *, pack: bool) -> tuple[str, ...]:
    """What became of a plan that was broken off here."""
    if not pack or not earlier.numbers:
        return ()
    return (
        f"a plan was broken off here after {len(earlier.numbers):,} packed shards: those of the same photos were not "
        "packed again",
    )


def _told(photos: Iterable[PlannedPhoto], told: Callable[[int], None]) -> Iterator[PlannedPhoto]:
    for count, photo in enumerate(photos, start=1):
        if count % TOLD_EVERY == 0:
            told(count)
        yield photo
