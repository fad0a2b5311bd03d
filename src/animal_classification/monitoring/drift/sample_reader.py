"""Photos through a model, for the monitor: embedding, twelve numbers and answer of each, as it is and changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.common.limits import available_cpus
from animal_classification.common.progress import Progress, silent
from animal_classification.errors import ImageError
from animal_classification.imaging.statistics import NAMES, photo_statistics
from animal_classification.inference.engine import BATCH, start_engine
from animal_classification.inference.multi_crop import infer_photos
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.stream import Stream, decode_crops, files_as_items
from animal_classification.monitoring.drift.sample import PhotoSample

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.imaging import PreprocessSpec
    from animal_classification.imaging.corruptions import Corruption
    from animal_classification.inference.engine import Engine

_View = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]  # logits, embedding, statistics


@dataclass(frozen=True)
class SampleReadings:
    """What a model says of photos, in one or several views: as they are, and changed.

    Attributes:
        positions: int64 ``[N]``: which of the files could be used, ascending.
        logits: float32 ``[N, V, C]``.
        embedding: float16 ``[N, V, D]``, half precision as in bundles and logs.
        stats: float32 ``[N, V, 12]``.
        errors: Position of a file that could not be used, and why.
        reader: What read them.
    """

    positions: NDArray[np.int64]
    logits: NDArray[np.float32]
    embedding: NDArray[np.float16]
    stats: NDArray[np.float32]
    errors: dict[int, str]
    reader: SampleReader

    def __len__(self) -> int:
        return len(self.positions)

    def sample(self, view: int = 0) -> PhotoSample:
        """The monitor's sight of one view: 0 is the photos as they are."""
        outputs = self.logits[:, view], self.embedding[:, view].astype(np.float32)
        return sample_of(self.reader.decider, self.reader.labels, outputs, self.stats[:, view])


@dataclass(frozen=True)
class SampleReader:
    """Reads photos as predictions do, with several crops of wide ones.

    Attributes:
        spec: How pixels are made.
        decider: The model's rules.
        engine: Runs the graph; gives logits and embedding.
        labels: How many labels the model has.
        threads: CPUs to use.
    """

    spec: PreprocessSpec
    decider: Postprocessor
    engine: Engine
    labels: int
    threads: int

    @classmethod
    def of(cls, bundle: Bundle, *, engine: str = "auto", threads: int | None = None) -> SampleReader:
        """For a bundle.

        Raises:
            EngineError: The engine cannot be started.
        """
        count = threads or available_cpus()
        running = start_engine(bundle, outputs=("logits", "embedding"), name=engine, threads=count)
        return cls(bundle.preprocess_spec, Postprocessor.of(bundle), running, len(bundle.info.labels), count)

    def read(
        self, files: Sequence[Path], *, changes: Sequence[Corruption] = (), progress: Progress = silent
    ) -> SampleReadings:
        """Read photos, each as it is and under every change; about 13 ms a view on one core.

        Args:
            files: Photos.
            changes: The further views.
            progress: Told how far it is.
        """
        decode = partial(decode_crops, spec=self.spec, limits=imaging.Limits.of_container())
        stream = Stream(decode, partial(self._infer, changes=changes))
        found = stream.run(
            files_as_items(files),
            threads=self.threads,
            progress=lambda done: progress("looking at photos", done, len(files)),
        )
        return self._gathered([row for _, row in found], 1 + len(changes))

    def _infer(self, photos: Sequence[NDArray[np.uint8]], changes: Sequence[Corruption]) -> list[list[_View]]:
        return [self._views(crops, changes) for crops in photos]

    def _views(self, crops: NDArray[np.uint8], changes: Sequence[Corruption]) -> list[_View]:
        views = [crops, *(np.stack([change.apply(crop) for crop in crops]) for change in changes)]
        outputs = infer_photos(self.engine, self.decider, views, size=BATCH)
        stats = (photo_statistics(view[0]) for view in views)
        return list(zip(outputs["logits"], outputs["embedding"], stats, strict=True))

    def _gathered(self, found: Sequence[list[_View] | ImageError], views: int) -> SampleReadings:
        good = [row for row in found if not isinstance(row, ImageError)]
        empty = np.empty((0, views, 0), np.float32), np.empty((0, views, len(NAMES)), np.float32)
        parts = [np.array([[view[part] for view in row] for row in good]) for part in range(3)] if good else []
        logits, embedding, stats = parts or (empty[0], empty[0], empty[1])
        return SampleReadings(
            positions=np.array([i for i, row in enumerate(found) if not isinstance(row, ImageError)], dtype=np.int64),
            logits=logits,
            embedding=embedding.astype(np.float16),
            stats=stats,
            errors={i: row.reason for i, row in enumerate(found) if isinstance(row, ImageError)},
            reader=self,
        )


def sample_of(
    decider: Postprocessor,
    labels: int,
    outputs: tuple[NDArray[np.float32], NDArray[np.float32]],
    stats: NDArray[np.float32],
) -> PhotoSample:
    """The monitor's sight of a network's outputs.

    Args:
        decider: The model's rules.
        labels: How many labels it has; what follows them in the logits are background classes.
        outputs: Logits ``[N, C]`` and embeddings ``[N, D]``.
        stats: ``[N, 12]``.
    """
    logits, embedding = outputs
    probabilities = decider.probabilities(logits)
    known, _ = decider.detect_unknown(logits, embedding, probabilities)
    own = probabilities[:, :labels]
    return PhotoSample(
        embedding=embedding, stats=stats, pred=own.argmax(axis=1), probability=own.max(axis=1), known=known
    )
