"""The backbone: a bundle whose embeddings are used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.bundle import Preprocess
from animal_classification.bundle import load as load_bundle
from animal_classification.bundle.schema import MODEL_FILE
from animal_classification.data.sources.animal_mnist import is_animal_mnist
from animal_classification.errors import BundleInvalidError, ImageError, UsageError
from animal_classification.inference.engine import create_engine, infer_in_batches
from animal_classification.inference.stream import Stream, decode_square, files_as_items
from animal_classification.registry import resolve_model, tracking_uri
from animal_classification.training.probe.linear_models import LinearHead
from animal_classification.training.probe.onnx_head import with_size

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.config.schema import Config
    from animal_classification.inference.engine import Engine

_MIRRORED = " mirrored"
# Animals stand at the border as well: a wider crop than the backbone was trained with (docs/train.md).
CROP = 0.95
# Larger than the 224 that `photos` was trained with: crops in training make things look larger than they are in whole
# photos (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").
PHOTOS, PHOTOS_SIZE = "photos", 256
# What only fine-tuning reads, as far as it is the network in `photos`.
_PHOTOS_NETWORK = {"timm": "tf_efficientnet_lite0", "weights": "auto"}
# Silhouettes of 28 pixels gain little from more: 0.978 with it, 0.981 in two and a half times the time (docs/train.md).
SILHOUETTES_SIZE = 128


class BundleBackbone:
    """Gives embeddings; the engine starts when the first is wanted.

    Args:
        bundle: Verified.
        size: Height and width of what it looks at, in pixels; by default what the bundle says.
        crop: Share of the shorter side that it looks at; by default 0.95, or what the bundle says where that is more.
    """

    def __init__(self, bundle: Bundle, size: int | None = None, crop: float | None = None) -> None:
        self.bundle = bundle
        own = bundle.info.preprocess
        changed = {"size": size or own.size, "crop_pct": crop or max(CROP, own.crop_pct)}
        self.preprocess = Preprocess(**{**own.model_dump(), **changed})
        self._starting = Lock()

    @cached_property
    def model(self) -> bytes:
        """The graph, for photos of this size.

        Raises:
            UsageError: It computes with one size only, and that is another.
        """
        model, own = self.bundle.content(MODEL_FILE), self.bundle.info.preprocess.size
        if self.preprocess.size == own:
            return model
        try:
            return with_size(model, self.preprocess.size)
        except ValueError as error:
            raise UsageError(
                f"backbone.size is {self.preprocess.size}, and {self.bundle.info.name} looks at {own} pixels only; "
                "leave it out"
            ) from error

    @classmethod
    def of(cls, config: Config) -> BundleBackbone:
        """The bundle that a configuration names, verified.

        Raises:
            UsageError: Another network is asked for, which takes fine-tuning.
            BundleError: It is missing, damaged or too new.
        """
        name, size = config.backbone.bundle, config.backbone.size
        if name == PHOTOS:
            _require_its_network(config)
            small = is_animal_mnist(str(config.data.path), config.data.kind)
            size = size or (SILHOUETTES_SIZE if small else PHOTOS_SIZE)
        uri = tracking_uri(config.tracking.uri, output=config.output)
        return cls(load_bundle(resolve_model(name, uri=uri)), size, config.backbone.crop)

    @property
    def spec(self) -> imaging.PreprocessSpec:
        """What it wants to see."""
        return imaging.PreprocessSpec(**self.preprocess.model_dump())

    @property
    def key(self) -> str:
        """What embeddings depend on besides the photo."""
        spec = self.preprocess
        return f"{self.bundle.sha256} {spec.size} {spec.crop_pct} {spec.interpolation}"

    @property
    def mirrored_key(self) -> str:
        """The same for mirrored photos."""
        return self.key + _MIRRORED

    def head(self) -> LinearHead | None:
        """What it knows already: logits of its own classes; ``None`` where they are not linear in the embedding."""
        try:
            weight, bias = self.bundle.head()
        except BundleInvalidError:
            return None
        return LinearHead(weight.astype(np.float64), bias.astype(np.float64))

    def infer(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings ``[N, D]`` of what ``spec`` asks for, uint8 ``[N, H, W, 3]``; from several threads at once."""
        with self._starting:
            engine = self._engine
        return infer_in_batches(engine, pixels)["embedding"]

    @cached_property
    def _engine(self) -> Engine:
        return create_engine(self.bundle.model_path, outputs=("embedding",), content=self.model)

    def embed(self, files: Sequence[Path], *, mirrored: bool = False) -> Iterable[NDArray[np.float32] | None]:
        """An embedding for each file, in order; ``None`` for one that cannot be used."""
        decode = partial(decode_square, spec=self.spec, limits=imaging.Limits.of_container())

        def infer(photos: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
            pixels = np.stack(photos)
            return list(self.infer(pixels[:, :, ::-1] if mirrored else pixels))

        results = Stream(decode, infer).run(files_as_items(files))
        return (None if isinstance(found, ImageError) else found for _, found in results)


def _require_its_network(config: Config) -> None:
    """Who asks for another network would get that of `photos`; beside a bundle of one's own it is for `finetune`."""
    for key, usual in _PHOTOS_NETWORK.items():
        if config.recipe.name == "probe" and (value := getattr(config.backbone, key)) != usual:
            raise UsageError(
                f"backbone.{key} is {value!r}, and recipe=probe stands on a bundle, {PHOTOS!r}; "
                "use recipe=finetune (recipe.epochs=0 for the head alone), or leave it out"
            )
