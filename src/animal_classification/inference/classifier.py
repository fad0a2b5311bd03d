"""The classifier: a bundle, an engine, and photos in any form."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, overload

from animal_classification import bundle as bundles
from animal_classification import imaging
from animal_classification.common.limits import available_cpus
from animal_classification.errors import ImageAccessError, ImageError, ImageNotFoundError, UsageError
from animal_classification.inference.cam import Explainer
from animal_classification.inference.engine import BATCH, Engine, start_engine
from animal_classification.inference.multi_crop import infer_photos
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.results import FileResult, Prediction
from animal_classification.inference.stream import map_in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle
    from animal_classification.bundle.schema import BundleInfo
    from animal_classification.imaging import ImageSource, Limits

# Decoding and inferring take turns on a core, and each finds the caches full of the other: so the turns are long.
CHUNK = 24


class Classifier:
    """Names the animals in photos.

    >>> classifier = Classifier.load("photos")
    >>> classifier.predict("lion.jpg").label
    'lion'

    One instance may be used from several threads at once.
    """

    def __init__(
        self, bundle: Bundle, engine: Engine, *, engine_name: str, threads: int, limits: Limits | None = None
    ) -> None:
        self.bundle = bundle
        self.threads = threads
        self._engine = engine
        self._limits = limits = limits or imaging.Limits.of_container()
        self._spec = bundle.preprocess_spec
        self._decider = Postprocessor.of(bundle)
        self._explainer = Explainer(bundle, engine=engine_name, threads=threads, limits=limits)

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] | Bundle = "photos",
        *,
        engine: str = "auto",
        threads: int | None = None,
        limits: Limits | None = None,
    ) -> Classifier:
        """Verify a bundle and start an engine on it.

        Args:
            model: A built-in name, a bundle's folder, an fsspec URL, or a bundle that is loaded already.
            engine: ``auto``, ``openvino`` or ``onnxruntime``.
            threads: CPUs to use; all that the process may use by default.
            limits: Bounds on the bytes and pixels of a photo, and on the memory in which photos are decoded; by default
                the usual ones, with a share of the container's memory.

        Raises:
            BundleError: The bundle is missing, damaged or too new.
            MissingExtraError: The engine is an extra that is not installed.
            EngineError: The engine refuses the graph.
        """
        loaded = model if isinstance(model, bundles.Bundle) else bundles.load(model)
        count = available_cpus() if threads is None else threads
        started = start_engine(loaded, outputs=("logits", "embedding"), name=engine, threads=count)
        return cls(loaded, started, engine_name=engine, threads=count, limits=limits)

    @property
    def info(self) -> BundleInfo:
        """What the bundle says of itself."""
        return self.bundle.info

    @property
    def engine(self) -> str:
        """Name of the engine in use."""
        return self._engine.name

    # A str is a sequence of str, so the two overlap for the type checker; a lone path never means a list of letters.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, photos: ImageSource, *, top_k: int = 5, embedding: bool = False
    ) -> Prediction: ...
    @overload
    def predict(
        self, photos: Sequence[ImageSource], *, top_k: int = 5, embedding: bool = False
    ) -> list[Prediction]: ...
    def predict(
        self, photos: ImageSource | Sequence[ImageSource], *, top_k: int = 5, embedding: bool = False
    ) -> Prediction | list[Prediction]:
        """Classify one photo, or a list of them.

        Args:
            photos: A path, encoded bytes, a PIL image or an array; or a list or tuple of these.
            top_k: How many of the most probable labels to return, at least 1.
            embedding: Attach the embedding, float32 ``[D]``.

        Raises:
            ImageError: A photo cannot be used. For many files, where one bad file should not stop the rest, see
                :meth:`predict_paths`.
        """
        if isinstance(photos, (list, tuple)):
            chunks = map_in_chunks(
                lambda batch: self._classify(self._prepared(batch), top_k, embedding),
                photos,
                workers=self.threads,
                chunk=CHUNK,
            )
            return list(chunks)
        return self._classify(self._prepared([photos]), top_k, embedding)[0]  # type: ignore[list-item]

    def predict_paths(
        self,
        paths: Iterable[tuple[str, str | os.PathLike[str]]],
        *,
        top_k: int = 5,
        embedding: bool = False,
    ) -> Iterator[FileResult]:
        """Classify any number of files, in order, with flat memory; a bad file gets a result that says why.

        Each worker decodes a chunk and infers it, so decoding on one core overlaps inference on another.

        Args:
            paths: Pairs of the name that the result carries and the file to read.
            top_k: How many of the most probable labels to return.
            embedding: Attach embeddings.
        """
        _check_top_k(top_k)
        return map_in_chunks(
            lambda batch: self._classify_files(batch, top_k, embedding), paths, workers=self.threads, chunk=CHUNK
        )

    def prepare(self, photo: ImageSource, *, light: int | None = None) -> NDArray[np.uint8]:
        """Turn a photo into what :meth:`classify` takes: its crops, uint8 ``[crops, size, size, 3]``.

        A wide or tall photo has three, any other has one.

        Args:
            photo: As for :meth:`predict`.
            light: Most bytes that decoding it may take.

        Raises:
            HeavyImageError: It takes more than ``light``.
            ImageError: The photo cannot be used.
        """
        return imaging.crops(photo, self._spec, limits=replace(self._limits, light=light))

    def classify(
        self, photos: Sequence[NDArray[np.uint8]], *, top_k: int = 5, embedding: bool = False
    ) -> list[Prediction]:
        """Classify prepared photos on this thread, as many crops in each call of the engine as there are photos.

        Raises:
            EngineError: The engine failed.
        """
        return self._classify(photos, top_k, embedding, size=len(photos))

    def heatmap(self, photo: ImageSource, label_id: str | None = None) -> NDArray[np.uint8]:
        """Show where the model looked.

        Args:
            photo: As for :meth:`predict`.
            label_id: The label to explain; the most probable one by default.

        Returns:
            uint8 ``[size, size, 3]``: the crop that the model sees with its class-activation map laid over it.

        Raises:
            UsageError: No such label, or the bundle's graph gives no feature map.
        """
        return self._explainer.heatmap(photo, label_id)

    def _prepared(self, photos: Sequence[ImageSource]) -> list[NDArray[np.uint8]]:
        return [self.prepare(photo) for photo in photos]

    def _classify(
        self, photos: Sequence[NDArray[np.uint8]], top_k: int, embedding: bool, *, size: int = BATCH
    ) -> list[Prediction]:
        _check_top_k(top_k)
        if not photos:
            return []
        outputs = infer_photos(self._engine, self._decider, photos, size=size)
        return self._decider.decide(outputs["logits"], top_k=top_k, embeddings=outputs["embedding"], attach=embedding)

    def _classify_files(
        self, batch: Sequence[tuple[str, str | os.PathLike[str]]], top_k: int, embedding: bool
    ) -> list[FileResult]:
        failed: dict[int, FileResult] = {}
        prepared = []
        for index, (name, path) in enumerate(batch):
            try:
                prepared.append(self.prepare(path))
            except (ImageNotFoundError, ImageAccessError) as error:
                failed[index] = FileResult(name, error=error.reason, reached=False)
            except ImageError as error:
                failed[index] = FileResult(name, error=error.reason)
        predictions = iter(self._classify(prepared, top_k, embedding))
        return [failed.get(index) or FileResult(name, next(predictions)) for index, (name, _) in enumerate(batch)]


def _check_top_k(top_k: int) -> None:
    if top_k < 1:
        raise UsageError(f"top_k must be at least 1, not {top_k}")
