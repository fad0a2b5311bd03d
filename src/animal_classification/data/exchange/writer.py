"""A data set for a labelling tool: its photos, called by their hashes, and its labels as the tool reads them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from animal_classification.common.atomic import new_folder
from animal_classification.common.progress import Progress, silent
from animal_classification.common.text_files import cannot_write
from animal_classification.data.exchange import cvat, fiftyone, label_studio
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.errors import UsageError

Photos = Sequence[tuple[ManifestRow, str]]
TOOLS = ("labelstudio", "fiftyone", "cvat", "imagefolder")


def export_for(tool: str, manifest: Manifest, target: Path, progress: Progress = silent) -> int:
    """Write a folder that a labelling tool imports; each content once.

    Args:
        tool: One of :data:`TOOLS`.
        manifest: The photos.
        target: The folder; it must not exist, or be empty.
        progress: Told about every photo.

    Returns:
        How many photos are in it.

    Raises:
        UsageError: There is no such tool, no usable photo, or something in the folder.
        OutputError: The system refuses.
    """
    writers = _writers()
    if tool not in writers:
        raise UsageError(f"no such tool: {tool!r}; one of {', '.join(TOOLS)}")
    rows = list({row.sha256: row for row in manifest.usable if row.sha256}.values())
    if not rows:
        raise UsageError("there is no usable photo to export")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{str(target)!r} exists already; name a folder that does not, or delete it first")
    where, write = writers[tool]
    try:
        with new_folder(target) as folder:
            (folder / where).mkdir()
            photos = []
            for number, row in enumerate(rows, 1):
                name = f"{where}/{row.sha256}{Path(row.path).suffix.lower()}"
                shutil.copyfile(manifest.file(row), folder / name)
                photos.append((row, name))
                progress("copying photos", number, len(rows))
            write(folder, photos, manifest.classes)
    except OSError as error:
        raise cannot_write(target, error) from error
    return len(rows)


def _write_metadata(folder: Path, photos: Photos, labels: Sequence[str]) -> None:
    """Hugging Face's ``metadata.csv``; ``labels`` are those that occur anyway."""
    assert labels
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file_name", "label", "sha256"))
        writer.writerows((name, row.label, row.sha256) for row, name in photos)


def _writers() -> Mapping[str, tuple[str, Callable[[Path, Photos, Sequence[str]], None]]]:
    """Of each tool: the folder in which it wants the photos, and who writes the labels."""
    return {
        "labelstudio": ("photos", label_studio.write),
        "fiftyone": ("data", fiftyone.write),
        "cvat": ("photos", cvat.write),
        "imagefolder": ("photos", _write_metadata),
    }
