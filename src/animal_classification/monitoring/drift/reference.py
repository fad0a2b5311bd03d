"""What a window is compared with: photos that the model has not learned from, in ``monitor.npz`` of its bundle.

Photos that it has learned from will not do, nor out-of-fold scores: against those, one clean window in two to eight
raises an alarm (docs/drift.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.zip_damage import DAMAGED
from animal_classification.errors import BundleInvalidError
from animal_classification.inference.reference import load_arrays, pack
from animal_classification.monitoring.drift.sample import PhotoSample

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle

MONITOR_FILE = "monitor.npz"
FEWEST = 100
MOST = 2000
# The share of the reference's photos that count as strangers by their known score.
STRANGERS = 0.05
NO_LABEL = -1
ReferenceKind = Literal["training", "accepted"]
_PARTS = ("embedding", "stats", "label", "pred", "probability", "known")


@dataclass(frozen=True, kw_only=True)
class DriftReference:
    """Photos as they should look.

    Attributes:
        sample: What the model says of them.
        label: int64 ``[N]``, positions of the true labels; -1 where nobody said.
        sha: uint64 ``[N]``, first 64 bits of each photo's SHA-256; 0 where it is not known.
        kind: ``training``: kept apart when the model was trained. ``accepted``: a baseline from production.
        sha256: Identity of the reference: the hash of its file.
    """

    sample: PhotoSample
    label: NDArray[np.int64]
    sha: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    kind: ReferenceKind = "training"
    sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label.astype(np.int64))
        if not len(self.sha):
            object.__setattr__(self, "sha", np.zeros(len(self), np.uint64))
        if len(self.label) != len(self) or len(self.sha) != len(self):
            raise ValueError(f"a reference of {len(self)} photos needs as many labels and hashes")
        if not self.sha256:
            object.__setattr__(self, "sha256", hashlib.sha256(self.pack()).hexdigest())

    def __len__(self) -> int:
        return len(self.sample)

    @classmethod
    def of(cls, bundle: Bundle) -> DriftReference | None:
        """The one that a bundle brings; ``None`` where it has none.

        Raises:
            BundleError: Its file has changed since the bundle was verified, or is damaged.
        """
        if MONITOR_FILE not in bundle.info.files:
            return None
        return cls.unpack(bundle.content(MONITOR_FILE), "training", f"{bundle.path}/{MONITOR_FILE}")

    @classmethod
    def unpack(cls, data: bytes, kind: ReferenceKind, where: str) -> DriftReference:
        """From the content of a file.

        Args:
            data: What :meth:`pack` gave.
            kind: What it is used as.
            where: What to call the file in messages.

        Raises:
            BundleInvalidError: It is no such file.
        """
        try:
            return cls._from_arrays(load_arrays(data), kind, hashlib.sha256(data).hexdigest())
        except (*DAMAGED, KeyError, AttributeError, TypeError) as error:
            raise BundleInvalidError(
                f"{where}: not a reference for drift ({error}); make it again: animals monitor reference"
            ) from error

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, NDArray[Any]], kind: ReferenceKind, sha256: str) -> DriftReference:
        parts = {name: arrays[name] for name in _PARTS}
        label = parts.pop("label")
        sha = np.asarray(arrays.get("sha", np.empty(0)), np.uint64)
        return cls(sample=PhotoSample(**parts), label=label, sha=sha, kind=kind, sha256=sha256)

    def pack(self) -> bytes:
        """As the content of a file: about 2.7 kB a photo with 1,280 dimensions."""
        sample = self.sample
        return pack(
            {
                "embedding": sample.embedding.astype(np.float16),
                "stats": sample.stats.astype(np.float16),
                "label": self.label,
                "pred": sample.pred,
                "probability": sample.probability.astype(np.float32),
                "known": sample.known.astype(np.float32),
                "sha": self.sha,
            }
        )

    def take(self, chosen: NDArray[Any]) -> DriftReference:
        """Some of its photos, by position or by mask: another reference."""
        return DriftReference(
            sample=self.sample.take(chosen), label=self.label[chosen], sha=self.sha[chosen], kind=self.kind
        )

    @cached_property
    def threshold(self) -> float:
        """Known scores below it are those of strangers: the reference's own 5% quantile."""
        return float(np.quantile(self.sample.known, STRANGERS))

    @cached_property
    def deviations(self) -> NDArray[np.float64]:
        """Standard deviation of each of the twelve numbers, ``[12]``."""
        stats = self.sample.stats.astype(np.float64)
        stats = stats[np.isfinite(stats).all(axis=1)]
        found = stats.std(axis=0) if len(stats) else np.ones(stats.shape[1])
        result: NDArray[np.float64] = np.maximum(found, 1e-3)
        return result

    @cached_property
    def accuracy(self) -> float | None:
        """Share of its photos whose most probable label is right; ``None`` where true labels are not known."""
        labelled = self.label != NO_LABEL
        return float((self.sample.pred == self.label)[labelled].mean()) if labelled.any() else None
