"""What a plan says of each photo."""

from __future__ import annotations

from dataclasses import dataclass


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
