"""Photos of a shard in one tar: one read where there were two thousand.

Buckets begin at 5,000 reads a second and double that every 20 minutes, so beyond a hundred cores one waits for single
objects. A tar is written once, where the plan is made, and read in blocks of 8 MB; ``tar`` reads it as well.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from animal_classification.errors import ImageError
from animal_classification.imaging import Limits
from animal_classification.imaging.bounded_read import read_photo
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.plan import pack_name, shard_name, stored_shard
from animal_classification.scale.retry import Retry
from animal_classification.scale.shard_reader import ShardReader, check_local
from animal_classification.scale.storage import BatchFolder, is_bucket


@dataclass(frozen=True)
class EarlierPacks:
    """What a plan left that was broken off: its tars are good for shards of the same photos.

    Attributes:
        folder: The batch's.
        numbers: Shards that were packed.
    """

    folder: BatchFolder
    numbers: frozenset[int] = frozenset()

    @classmethod
    def of(cls, folder: BatchFolder) -> EarlierPacks:
        """A shard's file is written after its tar, so that both are there or none counts: two listings."""
        shards, tars = ({name.partition(".")[0] for name in folder.names(kind)} for kind in ("shards", "pack"))
        return cls(folder, frozenset(int(number) for number in shards & tars if number.isdecimal()))

    def find(self, number: int, photos: Sequence[PlannedPhoto]) -> list[PlannedPhoto] | None:
        """Where these photos are in a tar that is there already; ``None`` where it holds others, or other states."""
        if number not in self.numbers:
            return None
        try:
            _, stored = stored_shard(self.folder, number)
        except FileNotFoundError:
            return None
        same = [replace(photo, offset=None) for photo in stored] == list(photos)
        return stored if same and any(photo.offset is not None for photo in stored) else None


@dataclass(frozen=True)
class Packer:
    """Packs shards into the folder of a batch.

    Attributes:
        folder: The batch's.
        retry: What to do about faults.
        limits: Most bytes of a photo.
        earlier: What need not be packed again.
    """

    folder: BatchFolder
    retry: Retry
    limits: Limits
    earlier: EarlierPacks | None = None

    def __call__(self, number: int, photos: list[PlannedPhoto]) -> list[PlannedPhoto]:
        """Write the tar of a shard; returns where each photo is in it.

        One that cannot be read stays a photo by itself, so that the worker says in its row what is wrong.
        """
        if self.earlier is not None:
            if (found := self.earlier.find(number, photos)) is not None:
                return found
            self.folder.delete(shard_name(number))  # it is of the tar that goes now
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary, "shard.tar")
            with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
                packed = self._add_all(tar, photos)
            self.folder.put_file(pack_name(number), file)
        return packed

    def _add_all(self, tar: tarfile.TarFile, photos: Sequence[PlannedPhoto]) -> list[PlannedPhoto]:
        packed = []
        with closing(ShardReader(photos, threads=1, retry=self.retry, limits=self.limits)) as reader:
            for place, photo in enumerate(photos):
                data = self._bytes(photo, reader)
                if isinstance(data, ImageError):
                    packed.append(photo)
                    continue
                entry = tarfile.TarInfo(f"{place:06d}{Path(photo.name).suffix}")
                entry.size = len(data)
                packed.append(replace(photo, offset=tar.offset + tarfile.BLOCKSIZE, size=len(data)))
                tar.addfile(entry, io.BytesIO(data))
        return packed

    def _bytes(self, photo: PlannedPhoto, reader: ShardReader) -> bytes | ImageError:
        if is_bucket(photo.path):
            return reader.read(photo)[0]
        try:
            return check_local(photo) or read_photo(photo.path, self.limits)
        except ImageError as error:
            return error
