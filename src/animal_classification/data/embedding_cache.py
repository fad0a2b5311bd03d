"""Embeddings by content: the caller computes them, this cache keeps them under the model and the photo's hash."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.progress import Progress, silent
from animal_classification.data.cache_folder import default_directory
from animal_classification.data.manifest import Manifest

if TYPE_CHECKING:
    from animal_classification.imaging import PreprocessSpec

Compute = Callable[[Sequence[Path]], Iterable[NDArray[np.float32] | None]]
"""Takes files and gives an embedding for each, in order; ``None`` for one that cannot be used."""

Infer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Takes what a model sees, uint8 ``[N, H, W, 3]``, and gives embeddings, float32 ``[N, D]``; side by side."""

_BATCH = 256
_TABLE = """
CREATE TABLE IF NOT EXISTS embeddings (
    model TEXT, sha256 TEXT, vector BLOB, PRIMARY KEY (model, sha256)
) WITHOUT ROWID;
"""


def embed(
    manifest: Manifest, compute: Compute, *, model: str, cache: Path | None = None, progress: Progress = silent
) -> NDArray[np.float32]:
    """Give every photo of a manifest its embedding.

    Args:
        manifest: The photos.
        compute: Called with the files that no embedding is known of.
        model: What the numbers depend on besides the photo, such as the hash of the bundle.
        cache: Folder in which they are remembered; the user's own by default.
        progress: Told about every photo.

    Returns:
        float32 ``[rows, D]``, in the manifest's order; NaN where there is no usable photo.
    """
    files = {row.sha256: manifest.file(row) for row in manifest.usable if row.sha256}
    table = _EmbeddingTable(manifest)
    with closing(_EmbeddingDatabase((cache or default_directory()), model)) as store:
        for sha256, vector in store.find(files):
            table.put(sha256, vector)
        waiting = [sha256 for sha256 in files if sha256 not in table.known]
        batch: dict[str, NDArray[np.float32]] = {}
        vectors = compute([files[sha256] for sha256 in waiting]) if waiting else ()
        for sha256, found in zip(waiting, vectors, strict=True):
            if found is not None:
                batch[sha256] = found.astype(np.float32)
                table.put(sha256, batch[sha256])
            if len(batch) >= _BATCH:
                store.keep(batch)
                batch = {}
            progress("embedding photos", len(table.known), len(files))
        store.keep(batch)
    return table.rows


class _EmbeddingTable:
    """The result, filled row by row: kept apart as well, the vectors of many photos would take as much again."""

    def __init__(self, manifest: Manifest) -> None:
        self.known: set[str] = set()
        self.rows = np.empty((len(manifest), 0), dtype=np.float32)
        self._places: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(manifest):
            if row.problem is None and row.sha256:
                self._places[row.sha256].append(index)

    def put(self, sha256: str, vector: NDArray[np.float32]) -> None:
        """Give every row of this photo its vector."""
        if not self.known:
            self.rows = np.full((len(self.rows), len(vector)), np.nan, dtype=np.float32)
        self.known.add(sha256)
        self.rows[self._places[sha256]] = vector


class Embedder:
    """Embeds photos while somebody else decodes them, for ``scan``; keeps what comes out.

    Args:
        infer: Computes embeddings.
        spec: What the model wants to see.
        model: As for ``embed``, which finds what was embedded here.
        cache: As for ``embed``.
    """

    def __init__(self, infer: Infer, spec: PreprocessSpec, *, model: str, cache: Path | None = None) -> None:
        self.spec = spec
        self._infer = infer
        self._store = _EmbeddingDatabase(cache or default_directory(), model)
        self._lock = Lock()
        self._known: set[str] = set()
        self._waiting: dict[str, NDArray[np.float32]] = {}

    def wants(self, sha256: str) -> bool:
        """Whether the embedding of a photo is unknown."""
        with self._lock:
            if sha256 in self._known:
                return False
            if self._store.has(sha256):
                self._known.add(sha256)
                return False
            return True

    def take(self, photos: Sequence[str], pixels: NDArray[np.uint8]) -> None:
        """Embed photos, given their hashes and what the model sees of them, uint8 ``[N, H, W, 3]``."""
        vectors = self._infer(pixels)
        with self._lock:
            self._known.update(photos)
            self._waiting.update(zip(photos, vectors, strict=True))
            if len(self._waiting) >= _BATCH:
                self._keep()

    def close(self) -> None:
        """Write down what has not been yet."""
        with self._lock:
            self._keep()
            self._store.close()

    def _keep(self) -> None:
        self._store.keep(self._waiting)
        self._waiting = {}


class _EmbeddingDatabase:
    """A database of vectors; where it cannot be opened or written, nothing is remembered."""

    def __init__(self, folder: Path, model: str) -> None:
        self._model = model
        self._database: sqlite3.Connection | None = None
        with contextlib.suppress(OSError, sqlite3.Error):
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(folder / "embeddings-1.sqlite", timeout=10, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_TABLE)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def has(self, sha256: str) -> bool:
        if self._database is None:
            return False
        try:
            found = self._database.execute(
                "SELECT 1 FROM embeddings WHERE model = ? AND sha256 = ?", (self._model, sha256)
            ).fetchone()
        except sqlite3.Error:
            return False
        return found is not None

    def find(self, wanted: Iterable[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        if self._database is None:
            return
        with contextlib.suppress(sqlite3.Error):
            for sha256 in wanted:
                row = self._database.execute(
                    "SELECT vector FROM embeddings WHERE model = ? AND sha256 = ?", (self._model, sha256)
                ).fetchone()
                if row is not None:
                    yield sha256, np.frombuffer(row[0], dtype=np.float32)

    def keep(self, batch: dict[str, NDArray[np.float32]]) -> None:
        if self._database is None or not batch:
            return
        with contextlib.suppress(sqlite3.Error), self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                [(self._model, sha256, vector.tobytes()) for sha256, vector in batch.items()],
            )
