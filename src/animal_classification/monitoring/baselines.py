"""Accepted baselines: photos of production that a person calls usual, and with which new ones are compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.atomic import write_bytes
from animal_classification.common.urls import open_url
from animal_classification.errors import AnimalsError, OutputError, UsageError
from animal_classification.monitoring.drift.reference import DriftReference

if TYPE_CHECKING:
    from animal_classification.prediction_log.location import LogLocation

FOLDER = "baselines"
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

    def _where(self, sha256: str) -> str:
        return f"{self._bucket or self._folder}/{sha256}.npz"


def _opened(url: str) -> tuple[Any, str]:
    place = open_url(url, "keeping baselines at")
    assert not isinstance(place, Path)  # what is on this machine is in the folder
    return place
