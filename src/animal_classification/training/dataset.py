"""Photos with labels and splits, as recipes need them, prepared from the configuration's `data`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.data.quality.checks import training_notes
from animal_classification.data.scanner import scan
from animal_classification.data.sources import Columns, SourceOptions, read_source
from animal_classification.data.splitter import SplitPlan, split
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from animal_classification.common.progress import Progress
    from animal_classification.config.schema import Config, DataConfig
    from animal_classification.data.embedding_cache import Embedder
    from animal_classification.data.manifest import Manifest, ManifestRow

_SUFFIXES = (
    ".json",
    ".tar.gz",
    ".tar.xz",
    ".tar.bz2",
    ".parquet",
    ".jsonl",
    ".xlsx",
    ".csv",
    ".tsv",
    ".zip",
    ".tar",
    ".tgz",
)


@dataclass(frozen=True)
class DatasetSplit:
    """One split.

    Attributes:
        rows: Usable photos, in the manifest's order.
        files: Where they are.
        targets: int64 ``[N]``, positions in the data set's ``classes``.
    """

    rows: tuple[ManifestRow, ...]
    files: tuple[Path, ...]
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Dataset:
    """A manifest whose usable photos all have a split.

    Attributes:
        manifest: The photos; ``manifest.version`` is the data version.
        notes: What a person should know about how it was read and split, a line each.
        units: From path to a number, equal for photos that must stay in one split: a group, copies of one picture.
        fingerprints: From path to the picture's perceptual hash, 32 bytes; without pictures of one colour.
    """

    manifest: Manifest
    notes: tuple[str, ...] = ()
    units: Mapping[str, int] = field(default_factory=dict)
    fingerprints: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The data version."""
        return self.manifest.version

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes with a photo in train, in the order of the logits."""
        return tuple(sorted({row.label for row in self.manifest.usable if row.split == "train"}))

    @cached_property
    def train(self) -> DatasetSplit:
        return self._part("train")

    @cached_property
    def val(self) -> DatasetSplit:
        """May be empty."""
        return self._part("val")

    @cached_property
    def test(self) -> DatasetSplit:
        """May be empty."""
        return self._part("test")

    def _part(self, split: str) -> DatasetSplit:
        number = {name: index for index, name in enumerate(self.classes)}
        rows = tuple(row for row in self.manifest.usable if row.split == split and row.label in number)
        targets = np.array([number[row.label] for row in rows], dtype=np.int64)
        return DatasetSplit(rows, tuple(self.manifest.file(row) for row in rows), targets)


def prepare(config: Config, progress: Progress, *, embedder: Embedder | None = None) -> Dataset:
    """Read, scan and split the photos.

    Args:
        config: All of it.
        progress: Told about every photo.
        embedder: Gets the pixels of every photo.

    Raises:
        UsageError: There are no photos there, only one class, or nothing to train on.
        AnimalsError: They cannot be read or fetched.
    """
    data = config.data
    manifest = read_source(data.path, replace(source_options(data, progress), embedder=embedder))
    facts = scan([manifest.file(row) for row in manifest], cache=cache_folder(data))
    divided = split(manifest, facts, SplitPlan(test=data.test, val=data.val, seed=config.seed, resplit=data.resplit))
    notes = (*manifest.notes, *_left_out(manifest), *training_notes(manifest), *divided.notes)
    units = {row.path: unit for row, unit in zip(divided.manifest, divided.units, strict=True)}
    fingerprints = {row.path: one.fingerprint for row, one in zip(manifest, facts, strict=True) if one.fingerprint}
    dataset = Dataset(divided.manifest, notes, units, fingerprints)
    check(dataset)
    return dataset


def data_version(config: Config, progress: Progress) -> str:
    """The data version of the photos, before they are split.

    Raises:
        UsageError: There are no photos there.
        AnimalsError: They cannot be read or fetched.
    """
    return read_source(config.data.path, source_options(config.data, progress)).version


def check(dataset: Dataset) -> None:
    """Refuse data that no classifier can be trained on.

    Raises:
        UsageError: Fewer than two classes have photos to train on.
    """
    if len(dataset.classes) < 2:
        only = f"only {dataset.classes[0]!r} has" if dataset.classes else "no class has"
        raise UsageError(f"{only} photos to train on, and two classes are needed; see: animals data inspect")


def source_options(data: DataConfig, progress: Progress) -> SourceOptions:
    """The configuration's `data` as options of a source."""
    return SourceOptions(
        kind=data.kind,
        root=_path(data.root),
        columns=Columns(**data.columns.model_dump()),
        boxes=_path(data.boxes),
        blanks=data.blanks,
        cache=cache_folder(data),
        progress=progress,
    )


def cache_folder(data: DataConfig) -> Path | None:
    """Where scans and embeddings are cached; ``None`` for the user's own cache."""
    return _path(data.cache)


def model_name(config: Config) -> str:
    """The configured name, or one made from the name of the data.

    >>> _plain("s3://bucket/Zoo photos.tar.gz")
    'Zoo-photos'
    """
    return config.name or _plain(config.data.path)


def _plain(path: str) -> str:
    last = re.split(r"[/\\:]", path.rstrip("/\\"))[-1]
    if last in ("", ".", ".."):
        last = Path(path).absolute().resolve().name
    for suffix in _SUFFIXES:
        last = last.removesuffix(suffix)
    ascii_ = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_).strip("._-") or "model"


def _left_out(manifest: Manifest) -> list[str]:
    bad = [row for row in manifest if row.problem is not None]
    if not bad:
        return []
    return [f"{len(bad)} of {len(manifest)} photos cannot be used; the first: {bad[0].path!r} {bad[0].problem}"]


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser()
