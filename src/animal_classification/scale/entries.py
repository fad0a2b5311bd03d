"""What a plan says of each photo."""

from __future__ import annotations

from dataclasses import dataclass

from animal_classification.data.discovery import from_table_name, table_name
from animal_classification.scale.storage import is_bucket


@dataclass(frozen=True, slots=True)
class PlannedPhoto:
    """A photo of a batch.

    Attributes:
        name: What the table calls it.
        path: Where it is: a path, an address, or those of the tar that holds it.
        size: In bytes, when the plan was made.
        etag: What stood for its content then: the generation (Google), the ETag (Amazon), or the time of change.
        offset: Where it begins in its tar; ``None`` for a photo by itself.
    """

    name: str
    path: str
    size: int
    etag: str
    offset: int | None = None


def stored_path(path: str) -> str:
    """A path as a plan's files hold it: a file of a disk may have any bytes in its name, and a text may not."""
    return path if is_bucket(path) else table_name(path)


def path_from_stored(stored: str) -> str:
    """The reverse of :func:`stored_path`, on whatever machine."""
    return stored if is_bucket(stored) else from_table_name(stored)
