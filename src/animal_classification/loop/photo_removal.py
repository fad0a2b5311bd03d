"""Takes photos out of the files that a loop has written; what is not of these photos stays as it was."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from animal_classification.common.text_files import replace_text
from animal_classification.data.manifest import Manifest
from animal_classification.loop.collected_photos import CollectedPhotos, copies_in, label_in, label_lines, names_of
from animal_classification.loop.collection import CONFLICTS, DOUBTS, LABELS, MANIFEST, RESULT
from animal_classification.loop.cycle_report import REPORT
from animal_classification.loop.steps import GATE_FILE


def remove_from_data(data: CollectedPhotos, hashes: Collection[str]) -> None:
    """Take photos out of manifests, labels and folders: rows go first, so that no manifest names a file that is gone.

    Args:
        data: Of the loop, whose lock is held.
        hashes: All hashes of the photos.

    Raises:
        OSError: Something cannot be deleted.
        OutputError: Something cannot be written.
    """
    for path in data.manifests:
        remove_leftovers(path.parent)
        _take_rows_out(path, hashes)
    for folder in data.folders:
        _take_lines_out(folder, hashes)
        for copy in copies_in(folder, hashes):
            copy.unlink()
    for left in data.leftovers:
        shutil.rmtree(left)


def remove_from_cycle(home: Path, named: Collection[str], *, tested: bool) -> None:
    """Take photos out of what a cycle tells of itself; its report goes, and must be written again.

    Args:
        home: Where the cycle keeps what it makes.
        named: All hashes of the photos, and where they are or were.
        tested: They were among the test photos, of which pictures are drawn.
    """
    remove_leftovers(home)
    (home / REPORT).unlink(missing_ok=True)
    _take_entries_out(home / GATE_FILE, "changed", lambda one: {one["file"], Path(one["file"]).stem} & {*named})
    for picture in home.glob("runs/*/pictures/**/examples-*.png") if tested else ():
        picture.unlink()


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes left here half written; the loop's lock says that nobody is writing it now."""
    for left in folder.glob(".*.????????.tmp"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _take_rows_out(path: Path, hashes: Collection[str]) -> None:
    manifest = Manifest.read(path)
    rows = [row for row in manifest if not names_of(row) & {*hashes}]
    if len(rows) != len(manifest):
        manifest.with_rows(rows).write(path)


def _take_lines_out(folder: Path, hashes: Collection[str]) -> None:
    """Labels, conflicts and doubts of these photos."""
    lines = label_lines(folder / LABELS)
    kept = [line for line in lines if not {label_in(line).get("photo"), label_in(line).get("sha256")} & {*hashes}]
    if len(kept) != len(lines):
        replace_text("".join(kept), folder / LABELS)

    def named(text: object) -> bool:
        return Path(str(text)).stem in hashes

    for name in (CONFLICTS, DOUBTS):
        _take_csv_rows_out(folder / name, lambda row: bool(row) and named(row[0]))
    version = Manifest.read(folder / MANIFEST).version  # a cycle that is not in the ledger yet goes by it
    _take_entries_out(folder / RESULT, "doubts", lambda one: named(one.get("path")), data_version=version)


def _take_csv_rows_out(file: Path, wanted: Callable[[list[str]], bool]) -> None:
    """Take lines out of a table of ours, whose first column is a photo."""
    with contextlib.suppress(FileNotFoundError):
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        kept = [row for row in rows if not wanted(row)]
        if len(kept) != len(rows):
            text = io.StringIO()
            csv.writer(text, lineterminator="\r\n").writerows(kept)
            replace_text(text.getvalue(), file)


def _take_entries_out(file: Path, key: str, wanted: Callable[[Mapping[str, Any]], object], **facts: Any) -> None:
    """Take entries out of a list in a JSON file, and let it say these facts."""
    with contextlib.suppress(FileNotFoundError):
        found = json.loads(file.read_text(encoding="utf-8"))
        now = found | facts | {key: [one for one in found.get(key, ()) if not wanted(one)]}
        if now != found:
            replace_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", file)
