"""Copy a source's photos into a folder, with a manifest."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from animal_classification.common.atomic import new_folder
from animal_classification.common.hashes import hash_file
from animal_classification.common.progress import Progress, silent
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.errors import OutputError, UsageError

MANIFEST = "manifest.parquet"


def download(manifest: Manifest, folder: Path, *, progress: Progress = silent) -> Manifest:
    """Copy every photo of a manifest that can be read; labels, splits and groups go into ``folder/manifest.parquet``.

    Whole or not at all: the folder appears, under its name, when everything is in it.

    Args:
        manifest: The photos.
        folder: Where they go; it must not exist, or be empty.
        progress: Is told how many are copied, and of how many.

    Returns:
        The same photos at their new place.

    Raises:
        UsageError: Something is there already, or a label leads out of the folder.
        OutputError: The system refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{str(folder)!r} exists already; name a folder that does not, or delete it first")
    try:
        with new_folder(folder) as temporary:
            rows = []
            for done, row in enumerate(manifest.rows, 1):
                rows.append(_copy(manifest, row, temporary))
                progress("copying photos", done, len(manifest))
            replace(manifest.with_rows(rows), root=temporary).write(temporary / MANIFEST)
    except OSError as error:
        raise OutputError(f"{str(folder)!r}: cannot be written ({error.strerror or error})") from error
    return replace(manifest.with_rows(rows), root=folder)


def _copy(manifest: Manifest, row: ManifestRow, folder: Path) -> ManifestRow:
    source = manifest.file(row)
    path = PurePosixPath(row.path)
    if _leads_out(row.path):
        label = row.label or "unlabelled"
        if _leads_out(label):
            raise UsageError(
                f"the label {label!r} of {row.path!r} leads out of the folder to write; nothing was written"
            )
        path = PurePosixPath(label, f"{(row.sha256 or uuid.uuid4().hex)[:16]}{source.suffix}")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copyfile(source, target)
        if row.sha256 and hash_file(target) != row.sha256:
            raise OutputError(f"{str(source)!r} has changed while it was being copied; try again")
    return replace(row, path=path.as_posix())


def _leads_out(name: str) -> bool:
    """Whether a path or label points outside of the folder; by the rules of Windows, which are stricter."""
    path = PureWindowsPath(name)
    return not path.parts or bool(path.anchor) or ".." in path.parts or "\0" in name
