"""From the configuration's ``data`` to photos with labels and splits."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.errors import UsageError
from animal_classification.training.dataset import Dataset

if TYPE_CHECKING:
    from animal_classification.common.progress import Progress
    from animal_classification.config.schema import Config, DataConfig
    from animal_classification.data.embedding_cache import Embedder
    from animal_classification.data.manifest import Manifest
    from animal_classification.data.sources import SourceOptions

_SUFFIXES = (".tar.gz", ".tar.xz", ".tar.bz2", ".parquet", ".jsonl", ".xlsx", ".csv", ".tsv", ".zip", ".tar", ".tgz")


def prepare(config: Config, progress: Progress, *, embedder: Embedder | None = None) -> Dataset:
    """Read, look at and divide the photos.

    Args:
        config: All of it.
        progress: Told about every photo.
        embedder: Gets the pixels of every photo, if anybody wants them.

    Raises:
        UsageError: There are no photos there, only one class, or nothing to train on.
        AnimalsError: They cannot be read or fetched.
    """
    from animal_classification.data.quality.checks import training_notes
    from animal_classification.data.scanner import scan
    from animal_classification.data.sources import read_source
    from animal_classification.data.splitter import SplitPlan, split

    data = config.data
    manifest = read_source(data.path, replace(source_options(data, progress), embedder=embedder))
    facts = scan([manifest.file(row) for row in manifest], cache=cache_folder(data))
    division = split(manifest, facts, SplitPlan(test=data.test, val=data.val, seed=config.seed, resplit=data.resplit))
    notes = (*manifest.notes, *_left_out(manifest), *training_notes(manifest), *division.notes)
    units = {row.path: unit for row, unit in zip(division.manifest, division.units, strict=True)}
    prints = {row.path: one.fingerprint for row, one in zip(manifest, facts, strict=True) if one.fingerprint}
    dataset = Dataset(division.manifest, notes, units, prints)
    check(dataset)
    return dataset


def data_version(config: Config, progress: Progress) -> str:
    """Which version the photos are now, before they are divided.

    Raises:
        UsageError: There are no photos there.
        AnimalsError: They cannot be read or fetched.
    """
    from animal_classification.data.sources import read_source

    return read_source(config.data.path, source_options(config.data, progress)).version


def check(dataset: Dataset) -> None:
    """Refuse what no classifier can be learned from.

    Raises:
        UsageError: Fewer than two classes have photos to train on.
    """
    if len(dataset.classes) < 2:
        only = f"only {dataset.classes[0]!r} has" if dataset.classes else "no class has"
        raise UsageError(f"{only} photos to train on, and two classes are needed; see: animals data inspect")


def source_options(data: DataConfig, progress: Progress) -> SourceOptions:
    """The configuration's words in those of ``data``."""
    from animal_classification.data.sources import Columns, SourceOptions

    return SourceOptions(
        kind=data.kind,
        root=_path(data.root),
        columns=Columns(**data.columns.model_dump()),
        cache=cache_folder(data),
        progress=progress,
    )


def cache_folder(data: DataConfig) -> Path | None:
    """Where what was found out about photos is remembered; ``None`` for the user's own cache."""
    return _path(data.cache)


def model_name(config: Config) -> str:
    """The configured name, or one made from what the data are called.

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
