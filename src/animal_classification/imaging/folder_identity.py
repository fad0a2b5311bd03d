"""What tells one folder from another, so that none is read twice where links go round in a circle."""

from __future__ import annotations

import os
from pathlib import Path

FolderId = tuple[int, int] | str


def folder_id(place: str | os.PathLike[str]) -> FolderId:
    """Device and inode; the path without links where the file system has no inodes.

    Some WebDAV, FUSE and VirtualBox mounts answer inode 0 for everything: by that, all folders would be one.

    Raises:
        OSError: It is not there, or may not be asked.
    """
    status = Path(place).stat()
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(place)
