"""Photos with labels and splits, as recipes want them: positions, class numbers, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from animal_classification.data.manifest import Manifest, ManifestRow


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
        notes: What a person should know about how it was read and divided, a line each.
        units: From path to the number of what must not be torn apart: a group, copies of one picture.
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
        """Names of the classes that can be learned: those with a photo in train. In the order of the logits."""
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
