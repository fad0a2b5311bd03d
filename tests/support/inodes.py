"""A file system without inode numbers, as some WebDAV, FUSE and VirtualBox mounts are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def without_inodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, every file has the inode 0."""
    real = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = list(real(self, follow_symlinks=follow_symlinks))
        found[1] = 0
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", stat)
