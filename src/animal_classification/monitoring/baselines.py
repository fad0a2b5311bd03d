"""Accepted baselines: photos of production that a person calls usual, and with which new ones are compared."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.common.atomic import write_bytes
from animal_classification.common.urls import open_url
from animal_classification.errors import AnimalsError, OutputError, UsageError
from animal_classification.monitoring.drift.reference import FEWEST, DriftReference
from animal_classification.prediction_log.database import writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.drift_records import change_baseline

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from animal_classification.prediction_log.location import LogLocation

FOLDER = "baselines"
_HEX_DIGITS = 16  # of a photo's hash, which a baseline keeps
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BaselineStore:
    """The arrays of accepted baselines, in the log's folder or beside the photos in a bucket.

    Args:
        place: Where the log is.
    """

    def __init__(self, place: LogLocation) -> None:
        self._bucket = f"{place.photos.rstrip('/')}/{FOLDER}" if "://" in place.photos else ""
        self._folder = place.folder / FOLDER

    def write(self, reference: DriftReference) -> str:
        """Keep a baseline; returns where it is.

        Raises:
            OutputError: It cannot be written.
        """
        where = self._where(reference.sha256)
        try:
            if self._bucket:
                filesystem, path = _opened(where)
                filesystem.pipe_file(path, reference.pack())
            else:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_bytes(reference.pack(), Path(where))
        except AnimalsError:
            raise
        except Exception as error:  # file systems behind fsspec have exceptions of their own
            raise OutputError(f"the baseline cannot be written to {where}: {error}") from error
        return where

    def read(self, sha256: str) -> DriftReference:
        """A baseline.

        Raises:
            UsageError: It is not there.
            BundleInvalidError: It is damaged.
        """
        where = self._where(sha256)
        try:
            if not _SHA256.fullmatch(sha256):
                raise FileNotFoundError("no such name")
            if self._bucket:
                filesystem, path = _opened(where)
                data = filesystem.cat_file(path)
            else:
                data = Path(where).read_bytes()
        except AnimalsError:
            raise
        except Exception as error:
            raise UsageError(
                f"the accepted baseline {where} cannot be read ({error}); accept one again with animals monitor "
                "accept, or compare with --against training"
            ) from error
        return DriftReference.unpack(data, "accepted", where)

    def names(self) -> list[str]:
        """The baselines that are kept, accepted ones and those that nobody has accepted in the end.

        Raises:
            OutputError: The place cannot be listed.
        """
        try:
            if self._bucket:
                filesystem, path = _opened(self._bucket)
                found = filesystem.ls(path, detail=False) if filesystem.exists(path) else []
            else:
                found = [file.name for file in self._folder.iterdir()] if self._folder.is_dir() else []
        except AnimalsError:
            raise
        except Exception as error:
            raise OutputError(f"the baselines in {self._bucket or self._folder} cannot be listed: {error}") from error
        stems = (str(name).rpartition("/")[2].removesuffix(".npz") for name in found)
        return sorted(stem for stem in stems if _SHA256.fullmatch(stem))

    def delete(self, sha256: str) -> None:
        """Delete a baseline, if it is there.

        Raises:
            OutputError: It cannot be deleted.
        """
        where = self._where(sha256)
        try:
            if self._bucket:
                filesystem, path = _opened(where)
                filesystem.rm_file(path)
            else:
                Path(where).unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except AnimalsError:
            raise
        except Exception as error:
            raise OutputError(f"the baseline {where} cannot be deleted: {error}") from error

    def _where(self, sha256: str) -> str:
        return f"{self._bucket or self._folder}/{sha256}.npz"


def forget_in_baselines(store: BaselineStore, engine: Engine | None, photos: Collection[str]) -> int:
    """Take photos out of the accepted baselines, which keep what a model made of each; returns how many.

    A baseline of which too little is left is no baseline any more: new photos are compared with those of the training
    again.

    Args:
        store: Where they are.
        engine: The log's database; ``None`` where it is not there.
        photos: SHA-256 of each, in hex.

    Raises:
        OutputError: A baseline cannot be written, or deleted.
        LogDatabaseError: The database cannot be used now.
    """
    wanted = np.array([int(photo[:_HEX_DIGITS], 16) for photo in photos], np.uint64)
    forgotten = 0
    for name in store.names():
        baseline = store.read(name)
        kept = ~np.isin(baseline.sha, wanted)
        if kept.all():
            continue
        forgotten += int((~kept).sum())
        rest = baseline.take(kept) if kept.sum() >= FEWEST else None
        if rest is not None:  # before the row names it: a row without its file would stop the monitor
            store.write(rest)
        if engine is not None:
            with translated_errors(engine.url, rows=False), writing(engine) as connection:
                change_baseline(connection, name, None if rest is None else (rest.sha256, len(rest)))
        store.delete(name)
    return forgotten


def _opened(url: str) -> tuple[Any, str]:
    place = open_url(url, "keeping baselines at")
    assert not isinstance(place, Path)  # what is on this machine is in the folder
    return place
