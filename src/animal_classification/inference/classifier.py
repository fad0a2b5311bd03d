"""The classifier: a bundle, an engine, and photos in any form."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, overload

from animal_classification import bundle as bundles
from animal_classification import imaging
from animal_classification.common.limits import available_cpus
from animal_classification.errors import ImageError, UsageError
from animal_classification.inference.cam import Explainer
from animal_classification.inference.engine import Engine, start_engine
from animal_classification.inference.multi_crop import infer_photos
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.results import FileResult, Prediction
from animal_classification.inference.stream import Item, SomeItem, Stream, decode_crops

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle
    from animal_classification.bundle.schema import BundleInfo
    from animal_classification.common.parallel import Executor
    from animal_classification.imaging import DecodeBound, ImageSource, Limits, PreprocessSpec


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
            items = (Item("", photo) for photo in photos)
            return [_usable(answer) for _, answer in self.predict_items(items, top_k=top_k, embedding=embedding)]
        return self._classify([self.prepare(photos)], top_k, embedding)[0]  # type: ignore[arg-type]

    def predict_paths(
        self,
        paths: Iterable[tuple[str, str | os.PathLike[str]]],
        *,
        top_k: int = 5,
        embedding: bool = False,
    ) -> Iterator[FileResult]:
        """Classify any number of files, in order, with flat memory; a bad file gets a result that says why.

        Args:
            paths: Pairs of the name that the result carries and the file to read.
            top_k: How many of the most probable labels to return.
            embedding: Attach embeddings.
        """
        answers = self.predict_items((Item(*pair) for pair in paths), top_k=top_k, embedding=embedding)
        return (FileResult.of(item.name, answer) for item, answer in answers)

    def predict_items(
        self,
        items: Iterable[SomeItem],
        *,
        top_k: int = 5,
        embedding: bool = False,
        stopped: Callable[[], bool] | None = None,
        executor: Executor | None = None,
    ) -> Generator[tuple[SomeItem, Prediction | ImageError], None, None]:
        """Classify any number of images or parts of them, in order, with flat memory.

        Each thread decodes a chunk and infers it, so decoding on one core overlaps inference on another.

        Args:
            items: What to look at; see :class:`~animal_classification.inference.stream.Item`.
            top_k: How many of the most probable labels to return.
            embedding: Attach embeddings.
            stopped: Asked after each item; when it says yes, the generator ends.
            executor: Where the work is done, if not on threads of this process.

        Yields:
            Every item with its answer, or with the error that makes it unusable.
        """
        _check_top_k(top_k)
        stream = Stream(
            partial(decode_crops, spec=self._spec, limits=self._limits),
            partial(self._classify, top_k=top_k, embedding=embedding),
        )
        return stream.run(items, threads=self.threads, stopped=stopped, executor=executor)

    @property
    def spec(self) -> PreprocessSpec:
        """What the model wants to see."""
        return self._spec

    @property
    def limits(self) -> Limits:
        """Bounds on the bytes and pixels of a photo, and on the memory in which photos are decoded."""
        return self._limits

    def prepare(self, photo: ImageSource, *, light: DecodeBound | None = None) -> NDArray[np.uint8]:
        """Turn a photo into what :meth:`classify` takes: its crops, uint8 ``[crops, size, size, 3]``.

        A wide or tall photo has three, any other has one.

        Args:
            photo: As for :meth:`predict`.
            light: What decoding it may cost.

        Raises:
            HeavyImageError: It costs more than ``light``.
            ImageError: The photo cannot be used.
        """
        return imaging.crops(photo, self._spec, limits=replace(self._limits, light=light))

    def classify_in_batches(self, photos: Sequence[NDArray[np.uint8]], *, top_k: int = 5) -> list[Prediction]:
        """Classify any number of prepared photos on this thread, a few crops in each call of the engine.

        Returns:
            Predictions with their ``probabilities``.

        Raises:
            EngineError: The engine failed.
        """
        _check_top_k(top_k)
        if not photos:
            return []
        outputs = infer_photos(self._engine, self._decider, photos, size=None)
        return self._decider.decide(
            outputs["logits"], top_k=top_k, embeddings=outputs["embedding"], attach=False, probabilities=True
        )

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

    def heatmap_of(self, crops: NDArray[np.uint8], label_id: str | None = None) -> NDArray[np.uint8]:
        """As :meth:`heatmap`, of what :meth:`prepare` has made of a photo.

        Raises:
            UsageError: No such label, or the bundle's graph gives no feature map.
        """
        return self._explainer.heatmap_of(crops, label_id)

    def _classify(
        self, photos: Sequence[NDArray[np.uint8]], top_k: int, embedding: bool, *, size: int | None = None
    ) -> list[Prediction]:
        _check_top_k(top_k)
        if not photos:
            return []
        outputs = infer_photos(self._engine, self._decider, photos, size=size)
        return self._decider.decide(outputs["logits"], top_k=top_k, embeddings=outputs["embedding"], attach=embedding)


def _usable(answer: Prediction | ImageError) -> Prediction:
    if isinstance(answer, ImageError):
        raise answer
    return answer


def _check_top_k(top_k: int) -> None:
    if top_k < 1:
        raise UsageError(f"top_k must be at least 1, not {top_k}")
