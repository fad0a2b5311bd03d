"""The photos that a loop starts from, and those that it is judged on: both fixed until a person starts a new series.

    FOLDER/series-1/base.parquet      all photos with their splits, as the loop found them
    FOLDER/series-1/frozen.parquet    the test photos among them; never written again

A new series makes the photos that were kept out of training meanwhile test photos as well. Numbers of different series
are never compared.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.atomic import new_folder
from animal_classification.common.progress import Progress, silent
from animal_classification.common.text_files import cannot_write
from animal_classification.data.manifest import FRESH, Manifest
from animal_classification.data.scanner import scan
from animal_classification.data.sources.reader import read_source
from animal_classification.data.splitter import SplitPlan, split
from animal_classification.errors import UsageError
from animal_classification.training.dataset import cache_folder, source_options

if TYPE_CHECKING:
    from animal_classification.config.schema import Config

_NAME = re.compile(r"series-([0-9]+)")
_BASE, _FROZEN = "base.parquet", "frozen.parquet"


@dataclass(frozen=True)
class Series:
    """A fixed test set and what came with it.

    Attributes:
        number: From 1.
        folder: Where it is kept.
    """

    number: int
    folder: Path

    @property
    def files(self) -> tuple[Path, Path]:
        """Its manifests."""
        return self.folder / _BASE, self.folder / _FROZEN

    def base(self) -> Manifest:
        """All photos, divided, as the series began."""
        return Manifest.read(self.folder / _BASE)

    def frozen(self) -> Manifest:
        """The test photos."""
        return Manifest.read(self.folder / _FROZEN)


def open_series(home: Path, config: Config, progress: Progress = silent) -> Series:
    """The newest series, or the first one, made of the configured photos.

    Args:
        home: The loop's folder.
        config: Of the training: which photos, and how they are divided.
        progress: Told about every photo.

    Raises:
        UsageError: There are no photos there, or none to test on.
        OutputError: The folder cannot be written.
    """
    newest = newest_series(home)
    if newest is not None:
        return newest
    manifest = read_source(config.data.path, source_options(config.data, progress))  # as a training reads them
    facts = scan([manifest.file(row) for row in manifest], cache=cache_folder(config.data))
    plan = SplitPlan(test=config.data.test, val=config.data.val, seed=config.seed, resplit=config.data.resplit)
    return _write(home, 1, split(manifest, facts, plan).manifest)


def newest_series(home: Path) -> Series | None:
    """The one with the highest number."""
    return max(all_series(home), key=lambda series: series.number, default=None)


def all_series(home: Path) -> list[Series]:
    """All that the loop in this folder has begun."""
    return [Series(int(name[1]), path) for path in home.glob("series-*") if (name := _NAME.fullmatch(path.name))]


def begin_series(home: Path, manifest: Manifest) -> Series:
    """Begin another series with these photos: what was kept out of training so far becomes test photos.

    Raises:
        UsageError: There is no series yet that another could follow.
        OutputError: The folder cannot be written.
    """
    before = newest_series(home)
    if before is None:
        raise UsageError("there is no series of frozen photos yet; the first run makes it")
    rows = (replace(row, split="test") if row.split == FRESH else row for row in manifest)
    return _write(home, before.number + 1, manifest.with_rows(rows))


def _write(home: Path, number: int, manifest: Manifest) -> Series:
    test = [row for row in manifest.usable if row.split == "test"]
    if not test:
        raise UsageError("none of the photos is a test photo, so that no two models could be compared; see: data.test")
    folder = home / f"series-{number}"
    home.mkdir(parents=True, exist_ok=True)
    for left in home.glob(f".{folder.name}.*.tmp"):  # of a process that was killed; we hold the loop's lock
        shutil.rmtree(left, ignore_errors=True)
    try:
        with new_folder(folder) as temporary:
            manifest.write(temporary / _BASE)
            manifest.with_rows(test).write(temporary / _FROZEN)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return Series(number, folder)
