"""``reference.npz``: what a bundle remembers of its training photos. Nothing else writes, reads or interprets it.

Some embeddings with their paths, which pictures training has seen, and statistics for the distance to the classes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.zip_damage import DAMAGED
from animal_classification.data.perceptual_hash import LENGTH, any_near
from animal_classification.errors import BundleInvalidError
from animal_classification.inference.ood import FeatureDistance, unit_length

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle

Arrays = Mapping[str, NDArray[Any]]

REFERENCE_FILE = "reference.npz"
# Five megabytes for 1,280 dimensions.
LIMIT = 2000
_LARGEST = 512 << 20  # bytes of all arrays
_DISTANCE = "distance_"
_DISTANCE_PARTS = ("centre", "basis", "within", "total", "means", "outside")
_HEX_DIGITS = 16
# Pairs of fingerprints: some seconds.
_MOST_COMPARED = 400_000_000


class SimilarPhoto(NamedTuple):
    """A training photo that is like a photo: path as in the training data, its class, cosine of the embeddings."""

    path: str
    label: str
    similarity: float


def pack(arrays: Arrays) -> bytes:
    """The content of ``reference.npz``."""
    stream = BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def load_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file.

    Raises:
        ValueError: It unpacks to more than ``_LARGEST`` bytes, or holds pickled objects, which are never loaded.
        BadZipFile: It is none; a damaged one raises whatever else ``zip_damage.DAMAGED`` has.
    """
    with zipfile.ZipFile(BytesIO(data)) as archive:  # what it declares is what is read of it
        size = sum(member.file_size for member in archive.infolist())
    if size > _LARGEST:
        raise ValueError(f"it unpacks to {size:,} bytes, and {_LARGEST:,} are the most")
    try:
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            return dict(arrays)
    except MemoryError as error:
        raise ValueError("one of its arrays says that it is larger than the memory") from error


def read_arrays(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """The arrays of a bundle's ``reference.npz``; none if it has no such file.

    Raises:
        BundleError: The file has changed since it was verified, or is gone.
        BundleInvalidError: It is no archive, or holds pickled objects, which are never loaded.
    """
    # A file that is not listed has no hash: anybody may have put it there.
    if REFERENCE_FILE not in bundle.info.files:
        return {}
    data = bundle.content(REFERENCE_FILE)
    try:
        return load_arrays(data)
    except (*DAMAGED, AttributeError, TypeError) as error:
        raise BundleInvalidError(
            f"{bundle.path}/{REFERENCE_FILE}: not an .npz file of plain arrays ({error}); export it again"
        ) from error


def distance_arrays(distance: FeatureDistance) -> dict[str, NDArray[Any]]:
    """A distance as arrays of ``reference.npz``; the basis, which is nearly all of it, in half precision."""
    values = {name: np.asarray(getattr(distance, name), np.float32) for name in _DISTANCE_PARTS}
    return {_DISTANCE + name: value.astype(np.float16) if name == "basis" else value for name, value in values.items()}


def distance_from(arrays: Arrays, where: str) -> FeatureDistance:
    """The distance that :func:`distance_arrays` wrote.

    Raises:
        BundleInvalidError: Some arrays are missing.
    """
    missing = [_DISTANCE + name for name in _DISTANCE_PARTS if _DISTANCE + name not in arrays]
    if missing:
        raise BundleInvalidError(
            f"{where}/{REFERENCE_FILE}: unknown.method 'energy_mahalanobis' needs {', '.join(missing)}; "
            "export the model again"
        )
    parts = {name: np.asarray(arrays[_DISTANCE + name], np.float32) for name in _DISTANCE_PARTS}
    return FeatureDistance(**{**parts, "outside": float(parts["outside"])})  # type: ignore[arg-type]


def reference_arrays(
    *,
    embedding: NDArray[np.floating],
    label: NDArray[np.integer],
    paths: Sequence[str],
    seen: Sequence[str],
    fingerprints: Sequence[bytes] = (),
    limit: int = LIMIT,
) -> dict[str, NDArray[Any]]:
    """Arrays for ``reference.npz``, of bounded size.

    Args:
        embedding: Of the training photos, ``[N, D]``.
        label: Positions of their classes, ``[N]``.
        paths: Their paths below the source's root; empty where they are not known.
        seen: SHA-256, in hexadecimal, of all photos that training or calibration used.
        fingerprints: Perceptual hashes of the same photos, by which copies of them are known (38 kB for 1,200).
        limit: How many embeddings to keep; classes take turns.

    Returns:
        ``embedding`` float16 ``[M, D]``, ``label`` int64 ``[M]``, ``path`` (UTF-8 bytes) ``[M]`` if there are paths,
        ``seen``, the first 64 bits of the hashes, sorted, and ``fingerprint`` uint8 ``[K, 32]`` if there are any.
    """
    chosen = round_robin(np.asarray(label), limit)
    names = {"path": [paths[index].encode("utf-8", "backslashreplace") for index in chosen]} if paths else {}
    prints = {"fingerprint": _packed(fingerprints)} if fingerprints else {}
    return {
        "embedding": np.asarray(embedding)[chosen].astype(np.float16),
        "label": np.asarray(label, dtype=np.int64)[chosen],
        **{name: np.array(values, dtype=np.bytes_) for name, values in names.items()},
        "seen": np.unique(_prefixes(seen)),
        **prints,
    }


@dataclass(frozen=True)
class TrainingReference:
    """The same, read back.

    Attributes:
        embedding: float32 ``[M, D]``, of length one; ``None`` where the bundle keeps none.
        label: int64 ``[M]``.
        paths: Empty where the bundle does not name them.
        seen: uint64, sorted; empty where the bundle does not say.
        fingerprints: uint8 ``[K, 32]``; empty where the bundle has none.
    """

    embedding: NDArray[np.float32] | None
    label: NDArray[np.int64]
    paths: tuple[str, ...]
    seen: NDArray[np.uint64]
    fingerprints: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, LENGTH), dtype=np.uint8))

    @classmethod
    def of(cls, bundle: Bundle) -> TrainingReference:
        """What a bundle has of it.

        Raises:
            BundleInvalidError: ``reference.npz`` is damaged.
        """
        return cls.from_arrays(read_arrays(bundle))

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> TrainingReference:
        """From the content of ``reference.npz``; what is not there, or of another shape, says nothing."""
        embedding = arrays.get("embedding")
        known = embedding is not None and embedding.ndim == 2 and len(embedding) == len(arrays.get("label", ()))
        paths = tuple(path.decode("utf-8", "replace") for path in arrays.get("path", np.empty(0, np.bytes_)).tolist())
        return cls(
            unit_length(embedding.astype(np.float32)) if known and embedding is not None else None,
            np.asarray(arrays.get("label", ()), dtype=np.int64),
            paths,
            np.asarray(arrays.get("seen", ()), dtype=np.uint64),
            _fingerprints(arrays.get("fingerprint")),
        )

    def has_seen(self, hashes: Sequence[str | None]) -> NDArray[np.bool_]:
        """Which of these bytes training or calibration used, ``[N]``."""
        result = np.zeros(len(hashes), dtype=np.bool_)
        known = [index for index, sha256 in enumerate(hashes) if sha256]
        if known and len(self.seen):
            result[known] = np.isin(_prefixes([str(hashes[index]) for index in known]), self.seen)
        return result

    def knows_copies(self, count: int) -> bool:
        """Whether copies of what training used can be found among ``count`` photos, in some seconds at most."""
        known = len(self.fingerprints)
        return bool(len(self.seen)) and bool(known) and count * known <= _MOST_COMPARED

    def has_copy_of(self, fingerprints: Sequence[bytes | None]) -> NDArray[np.bool_]:
        """Which of these pictures training or calibration used, saved anew or mirrored as they may be; ``[N]``."""
        result = np.zeros(len(fingerprints), dtype=np.bool_)
        places = [index for index, one in enumerate(fingerprints) if one is not None]
        if places and len(self.fingerprints):
            result[places] = any_near(_packed([one for one in fingerprints if one is not None]), self.fingerprints)
        return result

    def nearest(self, embeddings: NDArray[np.floating], labels: Sequence[str], k: int = 3) -> list[list[SimilarPhoto]]:
        """The most similar training photos for each of ``embeddings`` ``[N, D]``; none where they are not kept."""
        kept = self.embedding
        if kept is None or len(self.paths) != len(kept) or not len(embeddings) or kept.shape[1] != embeddings.shape[1]:
            return [[] for _ in embeddings]
        cosines = unit_length(embeddings) @ kept.T
        found = []
        for row in cosines:
            best = np.argsort(-row, kind="stable")[:k]
            found.append([SimilarPhoto(self.paths[i], labels[self.label[i]], round(float(row[i]), 4)) for i in best])
        return found


def _packed(fingerprints: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(fingerprints), dtype=np.uint8).reshape(len(fingerprints), LENGTH)


def _fingerprints(array: NDArray[Any] | None) -> NDArray[np.uint8]:
    if array is None or array.ndim != 2 or array.shape[1] != LENGTH or array.dtype != np.uint8:
        return np.empty((0, LENGTH), dtype=np.uint8)
    return array


def _prefixes(hashes: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([int(sha256[:_HEX_DIGITS], 16) for sha256 in hashes], dtype=np.uint64)


def round_robin(label: NDArray[np.integer], limit: int) -> NDArray[np.intp]:
    """Positions of at most ``limit`` photos, ascending: the first of each class, the second of each, and so on."""
    turn = np.zeros(len(label), dtype=np.int64)
    for number in np.unique(label):
        here = label == number
        turn[here] = np.arange(here.sum())
    return np.sort(np.lexsort((label, turn))[:limit])
