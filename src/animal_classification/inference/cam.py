"""Where the model looked: class-activation maps (Zhou et al. 2016), computed from the graph's last feature map."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification import imaging
from animal_classification.errors import UsageError
from animal_classification.inference.engine import Engine, start_engine
from animal_classification.inference.multi_crop import most_familiar
from animal_classification.inference.postprocess import Postprocessor

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.imaging import ImageSource, Limits

# Dark blue over orange to pale yellow: brightness only rises, so it also reads in grey and for colour-blind eyes.
_STOPS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_COLOURS = np.array([(13, 8, 65), (106, 23, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float64)


def class_activation_map(features: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evidence for a class at each place.

    Args:
        features: float32 ``[D, h, w]``, the graph's ``features`` for one photo.
        weights: float32 ``[D]``, the class's row of the linear head.

    Returns:
        float32 ``[h, w]`` in [0, 1]; evidence against the class is 0, and all is 0 where nothing speaks for it.
    """
    evidence = np.maximum(np.tensordot(weights, features, axes=1), 0.0)
    peak = float(evidence.max())
    result: NDArray[np.float32] = (evidence / peak if peak > 0 else evidence).astype(np.float32)
    return result


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.float32], *, strength: float = 0.6) -> NDArray[np.uint8]:
    """Lay ``heat`` ``[h, w]`` in [0, 1] over ``pixels`` uint8 ``[H, W, 3]``; places without evidence keep the photo."""
    height, width = pixels.shape[:2]
    grown = Image.fromarray(heat.astype(np.float32), mode="F").resize((width, height), Image.Resampling.BICUBIC)
    value = np.clip(np.asarray(grown, dtype=np.float64), 0.0, 1.0)
    colours = np.stack([np.interp(value, _STOPS, _COLOURS[:, channel]) for channel in range(3)], axis=-1)
    alpha = strength * value[..., None]
    return np.asarray(np.round(pixels * (1.0 - alpha) + colours * alpha), dtype=np.uint8)


class Explainer:
    """Makes heatmaps with an engine of its own, because giving out the feature map costs every prediction a copy.

    The engine starts with the first heatmap.

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
        return self.heatmap_of(imaging.crops(photo, self._bundle.preprocess_spec, limits=self._limits), label_id)

    def heatmap_of(self, crops: NDArray[np.uint8], label_id: str | None = None) -> NDArray[np.uint8]:
        """As :meth:`heatmap`, of a photo that is prepared: its crops, uint8 ``[crops, size, size, 3]``."""
        outputs = self._engine.infer(crops)
        familiar = most_familiar(self._postprocessor.familiarity(outputs["logits"], outputs["embedding"]), [len(crops)])
        outputs, pixels = {name: values[familiar] for name, values in outputs.items()}, crops[int(familiar[0])]
        if label_id is None:
            index = int(outputs["logits"][0, : len(self._bundle.info.labels)].argmax())
        else:
            index = self._index(label_id)
        weight, _ = self._head
        return overlay(pixels, class_activation_map(outputs["features"][0], weight[index]))

    @cached_property
    def _postprocessor(self) -> Postprocessor:
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
