"""Where a log is, from the settings: the same for who writes and for who reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from animal_classification.prediction_log.database import check_url, url_in

if TYPE_CHECKING:
    from animal_classification.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLocation:
    """Where the log is.

    Attributes:
        folder: For rows that wait, for photos, and for SQLite's file where no URL is given.
        url: Of the database; empty for SQLite in the folder.
        spool_bytes: How many bytes of rows may wait, and how many may be set aside.
        photos_url: Where photos are kept; empty for a folder in the folder.
        days: After how many days rows are deleted; 0 for never.
        keep_corrections: Rows on which people gave feedback stay, and so do their photos.
    """

    folder: Path
    url: str = ""
    spool_bytes: int = 1024**3
    photos_url: str = ""
    days: float = 0.0
    keep_corrections: bool = True

    @property
    def spool(self) -> Path:
        """Where rows wait."""
        return self.folder / "spool"

    @property
    def refused(self) -> Path:
        """Where rows are set aside that the database refuses."""
        return self.folder / "refused"

    @property
    def photos(self) -> str:
        """Where photos are kept: a folder, or an fsspec URL."""
        return self.photos_url or str(self.folder / "photos")

    @property
    def database(self) -> str:
        """The URL, whoever chose it.

        Raises:
            UsageError: It is for no database that the log can be in.
        """
        return check_url(self.url or url_in(self.folder))


def log_location(settings: Settings) -> LogLocation:
    """Where the log of a server with these settings is."""
    return LogLocation(
        folder=Path(settings.log_folder) if settings.log_folder else default_folder(),
        url=settings.log_url,
        spool_bytes=settings.log_spool_bytes,
        photos_url=settings.photos_url,
        days=settings.log_days,
        keep_corrections=settings.keep_corrections,
    )


def default_folder() -> Path:
    """The user's data folder, as the system defines it (``XDG_DATA_HOME`` on Linux)."""
    return Path(platformdirs.user_data_dir("animals")) / "predictions"
