"""Where a bundle's model looked: its own engine, because giving out the feature map costs every prediction a copy."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from animal_classification import imaging
from animal_classification.errors import UsageError
from animal_classification.inference.cam import class_activation_map, overlay
from animal_classification.inference.engine import Engine, start_engine
from animal_classification.inference.multi_crop import most_familiar
from animal_classification.inference.postprocess import Postprocessor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle
    from animal_classification.imaging import ImageSource, Limits


class Explainer:
    """Makes heatmaps; the engine starts when the first is wanted.

    Args:
        bundle: The model.
        engine: ``auto``, ``openvino`` or ``onnxruntime``.
        threads: CPUs to use; all that the process may use by default.
        limits: As for a classifier.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: str = "auto",
        threads: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._bundle = bundle
        self._engine_name = engine
        self._threads = threads
        self._limits = limits or imaging.Limits.of_container()

    def heatmap(self, photo: ImageSource, label_id: str | None = None) -> NDArray[np.uint8]:
        """Show where the model looked.

        Args:
            photo: A path, encoded bytes, a PIL image or an array.
            label_id: The label to explain; the most probable one by default.

        Returns:
            uint8 ``[size, size, 3]``: the crop most like one of the labels, with its class-activation map laid over it.

        Raises:
            ImageError: The photo cannot be used.
            UsageError: No such label, or the bundle's graph gives no feature map.
        """
        crops = imaging.crops(photo, self._bundle.preprocess_spec, limits=self._limits)
        outputs = self._engine.infer(crops)
        familiar = most_familiar(self._decider.familiarity(outputs["logits"], outputs["embedding"]), [len(crops)])
        outputs, pixels = {name: values[familiar] for name, values in outputs.items()}, crops[int(familiar[0])]
        if label_id is None:
            index = int(outputs["logits"][0, : len(self._bundle.info.labels)].argmax())
        else:
            index = self._index(label_id)
        weight, _ = self._head
        return overlay(pixels, class_activation_map(outputs["features"][0], weight[index]))

    @cached_property
    def _decider(self) -> Postprocessor:
        return Postprocessor.of(self._bundle)

    @cached_property
    def _engine(self) -> Engine:
        outputs = ("logits", "embedding", "features")
        return start_engine(self._bundle, outputs=outputs, name=self._engine_name, threads=self._threads)

    @cached_property
    def _head(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._bundle.head()

    def _index(self, label_id: str) -> int:
        info = self._bundle.info
        for index, label in enumerate(info.labels):
            if label.id == label_id:
                return index
        raise UsageError(f"the model {info.name!r} has no label with the id {label_id!r}")
