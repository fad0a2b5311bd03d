"""Boxes of another program in a batch: matched with all photos once, when the plan is made, and carried by the shards.

ID/boxes/00000.json   for each photo of a shard that has an entry, what the entry says of boxes

Memory grows with the file of boxes, not with the photos: who looks at a shard reads its own boxes only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from animal_classification.data.detections import Detection
from animal_classification.data.recognitions import Match, Recognitions, RecognizedFile
from animal_classification.data.recognitions.stored import boxes_from_record, boxes_to_record
from animal_classification.errors import AnimalsError
from animal_classification.predict.field_run import BoxSource
from animal_classification.predict.field_setup import box_source, read_boxes
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.plan import Plan, read_shard
from animal_classification.scale.plan_writer import WRITERS
from animal_classification.scale.storage import BatchFolder


def boxes_name(number: int) -> str:
    return f"boxes/{number:05d}.json"


class GivenBoxes:
    """The boxes of a plan that is being made.

    Attributes:
        source: Who found them.
    """

    def __init__(self, recognitions: Recognitions, source: BoxSource) -> None:
        self.source = source
        self._recognitions = recognitions
        self._matching = recognitions.matching()

    @classmethod
    def read(cls, file: str) -> GivenBoxes:
        """From the file of any program that ``animals predict --detections`` reads.

        Raises:
            AnimalsError: It cannot be read, or is none.
        """
        found = read_boxes(file)
        return cls(found, box_source(found, file))

    def seen(self, photos: Iterable[PlannedPhoto]) -> Iterator[PlannedPhoto]:
        """The same photos, each looked up as it passes.

        Raises:
            UsageError: Several entries fit one.
        """
        for photo in photos:
            self._matching.add(photo.name)
            yield photo

    def write(self, folder: BatchFolder, plan: Plan) -> tuple[str, ...]:
        """Write the boxes of every shard, after all photos were seen.

        Returns:
            What the user should know of the file, a line each.

        Raises:
            UsageError: One entry fits several photos.
            AnimalsError: It cannot be written.
        """
        match = self._matching.result()
        with ThreadPoolExecutor(WRITERS, thread_name_prefix="animals-boxes") as pool:
            for _ in pool.map(lambda number: self._write_shard(folder, plan, number, match), range(plan.shards)):
                pass
        return (self._recognitions.says_of(match), *self._recognitions.notes)

    def _write_shard(self, folder: BatchFolder, plan: Plan, number: int, match: Match) -> None:
        names = (photo.name for photo in read_shard(folder, plan, number))
        entries = {name: self._recognitions.entries[match.entry_of[name]] for name in names if name in match.entry_of}
        files = {name: boxes_to_record(entry) for name, entry in entries.items()}
        folder.put(boxes_name(number), json.dumps({"plan": plan.id, "files": files}).encode())


@dataclass
class ShardBoxes:
    """The boxes of the shard in hand, for the process that looks at it."""

    folder: BatchFolder
    plan: Plan
    _entries: dict[str, RecognizedFile] = field(default_factory=dict)

    def take(self, number: int) -> None:
        """Read the boxes of a shard, in place of those of the one before.

        Raises:
            AnimalsError: They are gone, or belong to another plan.
        """
        name = boxes_name(number)
        try:
            found = json.loads(self.folder.read(name))
            if found["plan"] != self.plan.id:
                raise AnimalsError(f"{self.folder.place(name)} is not of this plan: plan again, into another --output")
            self._entries = {name: boxes_from_record(name, record) for name, record in found["files"].items()}
        except FileNotFoundError as error:
            raise AnimalsError(f"{self.folder.place(name)} is gone: plan again, into another --output") from error
        except (ValueError, KeyError, TypeError) as error:
            raise AnimalsError(f"{self.folder.place(name)} is damaged: plan again, into another --output") from error

    def __call__(self, name: str, size: tuple[int, int]) -> tuple[Detection, ...] | None:
        entry = self._entries.get(name)
        return None if entry is None else _ANY.boxes_of(entry, size)


_ANY = Recognitions(where="the plan", dialect="", entries=())
