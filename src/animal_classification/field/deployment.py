"""Which deployment a file belongs to: one camera at one place for one stretch of time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

HERE = "."
"""The deployment of files that lie directly in the folder that was given."""

# Folders that a camera makes (DCF, JEITA CP-3461): three digits from 100 and five characters: 100EK113, 100_BTCF.
_CAMERA_FOLDER = re.compile(r"[1-9]\d\d[A-Za-z_][A-Za-z0-9_]{4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A row of a deployment sheet; names as in Camtrap DP.

    Attributes:
        id: ``deploymentID``.
        folder: Where its files are, as the table names paths.
        latitude: Degrees.
        longitude: Degrees.
        start: ``deploymentStart``, as in the sheet, perhaps with an offset.
        end: ``deploymentEnd``.
        timezone: An IANA name or an offset; empty if the sheet does not say.
        shift: What to add to the camera's times: ``actualTime`` less ``cameraTime``.
        others: Further columns by name: ``locationID``, ``cameraModel``, ``habitat`` and whatever else there is.
        row: Of the sheet, counted as a spreadsheet counts.
    """

    id: str
    folder: str
    latitude: float | None = None
    longitude: float | None = None
    start: datetime | None = None
    end: datetime | None = None
    timezone: str = ""
    shift: timedelta | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    row: int = 0


def folded(path: str) -> str:
    """A path as folders are compared: composed accents, no difference of case, forward slashes."""
    return unicodedata.normalize("NFC", path.replace("\\", "/").strip("/").removeprefix("./")).casefold()


class Deployments:
    """Finds the deployment of a file.

    Args:
        sheet: The rows of a deployment sheet, if there is one.
    """

    def __init__(self, sheet: Mapping[str, Deployment] | None = None) -> None:
        self.by_id = dict(sheet or {})
        self._by_folder = {folded(deployment.folder): deployment for deployment in self.by_id.values()}

    def of(self, name: str) -> str:
        """The id of the deployment that a file belongs to.

        The row of the sheet with the longest folder that holds the file; else the path up to ``DCIM`` or a folder that
        a camera makes; else the file's folder.

        Args:
            name: The file's path as the table has it.
        """
        row = self.row_of(name)
        return row.id if row else deployment_folder(name)

    def row_of(self, name: str) -> Deployment | None:
        """The row of the sheet that a file belongs to."""
        if not self._by_folder:
            return None
        folder = folded(name).rpartition("/")[0]
        while folder:
            if folder in self._by_folder:
                return self._by_folder[folder]
            folder = folder.rpartition("/")[0]
        return self._by_folder.get("") or self._by_folder.get(HERE)


def deployment_folder(name: str) -> str:
    """The part of a path that stands for a deployment where no sheet says so.

    >>> deployment_folder("Station A/DCIM/100EK113/IMAG0001.JPG"), deployment_folder("burrow/IMG_0708.JPG")
    ('Station A', 'burrow')
    """
    folders = name.split("/")[:-1]
    upper = [folder.upper() for folder in folders]
    if "DCIM" in upper:
        return _joined(folders[: len(upper) - 1 - upper[::-1].index("DCIM")])
    for place, folder in enumerate(folders):
        if _CAMERA_FOLDER.fullmatch(folder):
            return _joined(folders[:place])
    return _joined(folders)


def _joined(folders: list[str]) -> str:
    return "/".join(folders) or HERE
