"""Some photos of a batch again, for a page of its events: from where the plan has them, be it a tar."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from animal_classification.errors import ImageError
from animal_classification.predict.timeline import PhotoSources
from animal_classification.report.timeline_page import MOST_PICTURES
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.plan import Plan, read_shard
from animal_classification.scale.retry import Retry
from animal_classification.scale.shard_reader import ShardReader, check_local
from animal_classification.scale.storage import BatchFolder, is_bucket


@dataclass(frozen=True)
class BatchPhotos:
    """Finds the photos of a batch.

    Attributes:
        folder: The batch's.
        plan: The batch's.
        temporary: A folder for photos that are no files of this machine.
    """

    folder: BatchFolder
    plan: Plan
    temporary: Path

    @property
    def title(self) -> str:
        """The name of the folder that was planned, or of the first of several."""
        first = (self.plan.described or self.plan.sources)[0]
        if is_bucket(first):
            return first.rstrip("/").rpartition("/")[2]
        return PhotoSources((first,)).title

    def find_all(self, names: Sequence[str]) -> dict[str, Path]:
        """The files of as many photos as a page shows; those that are gone or changed are left out.

        Raises:
            AnimalsError: The batch, or a store of photos, does not answer.
        """
        wanted = dict.fromkeys(names[:MOST_PICTURES])
        found: dict[str, Path] = {}
        for number in range(self.plan.shards):
            if not wanted:
                break
            here = [photo for photo in read_shard(self.folder, self.plan, number) if photo.name in wanted]
            for photo in here:
                del wanted[photo.name]
            found.update(self._files(here))
        return found

    def _files(self, photos: Sequence[PlannedPhoto]) -> Iterator[tuple[str, Path]]:
        with closing(ShardReader(photos, threads=1, retry=Retry())) as reader:
            for photo in photos:
                if photo.offset is None and not is_bucket(photo.path):
                    if check_local(photo) is None:
                        yield photo.name, Path(photo.path)
                    continue
                data, _ = reader.read(photo)
                if not isinstance(data, ImageError):
                    with tempfile.NamedTemporaryFile(dir=self.temporary, delete=False) as file:
                        file.write(data)
                    yield photo.name, Path(file.name)
