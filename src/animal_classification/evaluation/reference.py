"""What a bundle remembers of its training photos: some embeddings with their paths, and which bytes it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.result import Neighbour
from animal_classification.inference.known import unit_length

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle

# Five megabytes for 1,280 dimensions.
LIMIT = 2000
_HEX_DIGITS = 16


def reference_arrays(
    *,
    embedding: NDArray[np.floating],
    label: NDArray[np.integer],
    paths: Sequence[str],
    seen: Sequence[str],
    limit: int = LIMIT,
) -> dict[str, NDArray[Any]]:
    """Arrays for ``reference.npz``, of bounded size.

    Args:
        embedding: Of the training photos, ``[N, D]``.
        label: Positions of their classes, ``[N]``.
        paths: Their paths below the source's root; empty where they are not known.
        seen: SHA-256, in hexadecimal, of all photos that training or calibration used.
        limit: How many embeddings to keep; classes take turns.

    Returns:
        ``embedding`` float16 ``[M, D]``, ``label`` int64 ``[M]``, ``path`` (UTF-8 bytes) ``[M]`` if there are paths,
        and ``seen``, the first 64 bits of the hashes, sorted.
    """
    chosen = in_turns(np.asarray(label), limit)
    names = {"path": [paths[index].encode("utf-8", "backslashreplace") for index in chosen]} if paths else {}
    return {
        "embedding": np.asarray(embedding)[chosen].astype(np.float16),
        "label": np.asarray(label, dtype=np.int64)[chosen],
        **{name: np.array(values, dtype=np.bytes_) for name, values in names.items()},
        "seen": np.unique(_prefixes(seen)),
    }


@dataclass(frozen=True)
class Reference:
    """The same, read back.

    Attributes:
        embedding: float32 ``[M, D]``, of length one; ``None`` where the bundle keeps none.
        label: int64 ``[M]``.
        paths: Empty where the bundle does not name them.
        seen: uint64, sorted; empty where the bundle does not say.
    """

    embedding: NDArray[np.float32] | None
    label: NDArray[np.int64]
    paths: tuple[str, ...]
    seen: NDArray[np.uint64]

    @classmethod
    def of(cls, bundle: Bundle) -> Reference:
        """What a bundle has of it.

        Raises:
            BundleInvalidError: ``reference.npz`` is damaged.
        """
        arrays = bundle.reference() or {}
        embedding = arrays.get("embedding")
        known = embedding is not None and embedding.ndim == 2 and len(embedding) == len(arrays.get("label", ()))
        paths = tuple(path.decode("utf-8", "replace") for path in arrays.get("path", np.empty(0, np.bytes_)).tolist())
        return cls(
            unit_length(embedding.astype(np.float32)) if known and embedding is not None else None,
            np.asarray(arrays.get("label", ()), dtype=np.int64),
            paths,
            np.asarray(arrays.get("seen", ()), dtype=np.uint64),
        )

    def has_seen(self, hashes: Sequence[str | None]) -> NDArray[np.bool_]:
        """Which of these bytes training or calibration used, ``[N]``."""
        result = np.zeros(len(hashes), dtype=np.bool_)
        known = [index for index, sha256 in enumerate(hashes) if sha256]
        if known and len(self.seen):
            result[known] = np.isin(_prefixes([str(hashes[index]) for index in known]), self.seen)
        return result

    def nearest(self, embeddings: NDArray[np.floating], labels: Sequence[str], k: int = 3) -> list[list[Neighbour]]:
        """The most similar training photos for each of ``embeddings`` ``[N, D]``; none where they are not kept."""
        kept = self.embedding
        if kept is None or len(self.paths) != len(kept) or not len(embeddings) or kept.shape[1] != embeddings.shape[1]:
            return [[] for _ in embeddings]
        cosines = unit_length(embeddings) @ kept.T
        found = []
        for row in cosines:
            best = np.argsort(-row, kind="stable")[:k]
            found.append(
                [
                    Neighbour(path=self.paths[i], label=labels[self.label[i]], similarity=round(float(row[i]), 4))
                    for i in best
                ]
            )
        return found


def _prefixes(hashes: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([int(sha256[:_HEX_DIGITS], 16) for sha256 in hashes], dtype=np.uint64)


def in_turns(label: NDArray[np.integer], limit: int) -> NDArray[np.intp]:
    """Positions of at most ``limit`` photos, ascending: the first of each class, the second of each, and so on."""
    turn = np.zeros(len(label), dtype=np.int64)
    for number in np.unique(label):
        here = label == number
        turn[here] = np.arange(here.sum())
    return np.sort(np.lexsort((label, turn))[:limit])
