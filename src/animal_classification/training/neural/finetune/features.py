"""What frozen stages make of photos: computed once, by the engine that serves (three times as fast as torch), and kept.

Every photo is seen as it is and, where layers learn, mirrored. What is kept lies in the run's folder until the run is
finished, so that one that goes on after a kill learns from the very same numbers.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animal_classification import imaging
from animal_classification.common.atomic import new_file
from animal_classification.common.text_files import cannot_write
from animal_classification.errors import AnimalsError, ImageError
from animal_classification.inference.engine import Engine, create_engine, infer_in_batches
from animal_classification.inference.stream import Stream, decode_square, files_as_items
from animal_classification.training.neural.onnx_cleanup import tidied

if TYPE_CHECKING:
    from animal_classification.common.progress import Progress
    from animal_classification.training.neural.finetune.network import FinetuneNetwork

_OPSET = 17
_Pair = tuple[NDArray[np.float16], NDArray[np.float32]]


@dataclass(frozen=True)
class Features:
    """Of some photos, in their order.

    Attributes:
        activations: What the frozen stages give: float16 ``[N, h, w, VC]`` for ``V`` views, the mirrored one after the
            photo as it is. They are ``Pixels`` for the loop. Without frozen stages there are none: ``[N, 0, 0, 0]``.
        embeddings: What the whole pretrained network gives for the same: float32 ``[N, V, D]``.
    """

    activations: NDArray[np.float16]
    embeddings: NDArray[np.float32]

    def __reduce__(self) -> tuple[object, ...]:
        """Another process maps the same file, and does without embeddings."""
        file = getattr(self.activations, "filename", None)
        if file is None:
            return Features, (self.activations, self.embeddings)
        return _mapped, (str(file),)

    def mapped(self, file: Path) -> Features:
        """The same, its activations in a file that other processes map."""
        try:
            with new_file(file, durable=False) as temporary, temporary.open("wb") as stream:
                np.save(stream, self.activations)
            return replace(self, activations=np.load(file, mmap_mode="r"))
        except OSError as error:
            raise cannot_write(file, error, "make room, or choose another output=") from error

    def __len__(self) -> int:
        return len(self.activations)

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """``[n, h, w, 2C]``."""
        return self.activations[indices]

    def followed_by(self, other: Features) -> Features:
        """Both."""
        return Features(
            np.concatenate([self.activations, other.activations]), np.concatenate([self.embeddings, other.embeddings])
        )


def _mapped(file: str) -> Features:
    try:
        return Features(np.load(file, mmap_mode="r"), np.empty((0, 1, 0), dtype=np.float32))
    except (OSError, ValueError) as error:
        raise AnimalsError(
            f"{file!r} cannot be opened here ({error}): output must be a folder that all machines see"
        ) from error


class _Frozen(nn.Module):
    """uint8 ``[N, H, W, 3]`` in, activations of the frozen stages and the embedding out."""

    def __init__(self, network: FinetuneNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        activations = self.network.trunk(self.network.normalised(images.permute(0, 3, 1, 2).float()))
        return activations, self.network.tail.embed(activations)


def features_of(
    files: Sequence[Path],
    network: FinetuneNetwork,
    spec: imaging.PreprocessSpec,
    *,
    mirrored: bool,
    keep: Path,
    progress: Progress,
) -> Features:
    """Compute features, or read those that are kept.

    Args:
        files: The photos.
        network: Not trained yet.
        spec: How photos reach it.
        mirrored: Look at mirrored photos as well.
        keep: The file in which they are kept.
        progress: Told how far it is.

    Raises:
        AnimalsError: A photo cannot be read (any more).
        OutputError: They cannot be kept.
    """
    if keep.is_file():
        with np.load(keep) as found:
            return Features(found["activations"], found["embeddings"])
    with tempfile.TemporaryDirectory(prefix="animals-") as folder:
        model = Path(folder) / "frozen.onnx"
        model.write_bytes(_exported(network, spec.size))
        engine = create_engine(model, outputs=("activations", "embedding") if len(network.trunk) else ("embedding",))
        pairs = _passed(files, network, engine, spec, mirrored=mirrored, progress=progress)
    if not pairs:
        return Features(np.empty((0, 0, 0, 0), dtype=np.float16), np.empty((0, 1, 0), dtype=np.float32))
    features = Features(np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs]))
    _save(keep, features)
    return features


def _passed(
    files: Sequence[Path],
    network: FinetuneNetwork,
    engine: Engine,
    spec: imaging.PreprocessSpec,
    *,
    mirrored: bool,
    progress: Progress,
) -> list[_Pair]:
    decode = partial(decode_square, spec=spec, limits=imaging.Limits.of_container())

    def infer(photos: Sequence[NDArray[np.uint8]]) -> list[_Pair]:
        pixels = np.stack(photos)
        views = [infer_in_batches(engine, view) for view in ((pixels, pixels[:, :, ::-1]) if mirrored else (pixels,))]
        embeddings = np.stack([view["embedding"] for view in views], axis=1)
        if not len(network.trunk):
            return [(np.empty((0, 0, 0), dtype=np.float16), embedding) for embedding in embeddings]
        both = np.concatenate([view["activations"] for view in views], axis=1)
        activations = np.ascontiguousarray(np.moveaxis(both, 1, -1), dtype=np.float16)
        return list(zip(activations, embeddings, strict=True))

    def told(done: int) -> None:
        progress("looking at photos through the frozen layers", done, len(files))

    pairs = []
    for _, found in Stream(decode, infer).run(files_as_items(files), progress=told):
        if isinstance(found, ImageError):
            raise AnimalsError(f"{found}; photos changed since the run began: start again")
        pairs.append(found)
    return pairs


def _exported(network: FinetuneNetwork, size: int) -> bytes:
    stream = io.BytesIO()
    names = ["images", "activations", "embedding"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's age; the other one needs another package
        torch.onnx.export(
            _Frozen(network).eval(),
            (torch.zeros(2, size, size, 3, dtype=torch.uint8),),
            stream,  # type: ignore[arg-type]  # it takes files as well
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "N"} for name in names},
            opset_version=_OPSET,
            dynamo=False,
        )
    return tidied(stream.getvalue())


def _save(file: Path, features: Features) -> None:
    arrays: dict[str, Any] = {"activations": features.activations, "embeddings": features.embeddings}
    try:
        with new_file(file, durable=False) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)
    except OSError as error:
        raise cannot_write(file, error, "make room, or choose another output=") from error
