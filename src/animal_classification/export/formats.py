"""What a model can be exported to. A format makes the files of a bundle; measuring and writing are the same for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle.graph import parse_graph
from animal_classification.bundle.schema import MODEL_FILE
from animal_classification.common.progress import Progress, renamed
from animal_classification.errors import MissingExtraError, UsageError
from animal_classification.export.agreement import Original
from animal_classification.export.calibration_set import pixels
from animal_classification.export.comparison import TORCH, TORCH_MODULE
from animal_classification.export.mixed_precision import CalibrationPhotos, find_int8, run_graph
from animal_classification.export.openvino_ir import IR_FILES, IR_MODEL, as_ir
from animal_classification.export.weight_storage import float32_size, narrowed

if TYPE_CHECKING:
    from onnx import ModelProto

    from animal_classification.bundle import Bundle


INT8_PHOTOS, INT8_FEWEST = 512, 16
# Loaded by name, so that torch is imported only where pruning is wanted; the import contract holds it so.
_PRUNING_MODULE = "animal_classification.export.torch.structured_pruning"
PRUNING_PHOTOS, PRUNING_FEWEST = 4096, 64
# One photo in so many is not learned from, and says how near to the original the result is.
_HELD_BACK = 5
EPOCHS = 30


@dataclass(frozen=True)
class Pruning:
    """Options of pruning.

    Attributes:
        share: Of the parameters.
        minutes: That the recovery training may take at most.
    """

    share: float = 0.3
    minutes: float = 10.0


@dataclass(frozen=True)
class ExportSource:
    """What an export starts from.

    Attributes:
        bundle: The original.
        calibration: Photos to calibrate with, or to learn from.
        max_drop: Points of accuracy that may be lost.
        pruning: Options of pruning.
        threads: CPUs to use.
        progress: Told what is being done.
    """

    bundle: Bundle
    calibration: tuple[Path, ...]
    max_drop: float
    pruning: Pruning
    threads: int
    progress: Progress

    @cached_property
    def graph(self) -> ModelProto:
        """The original's graph."""
        return parse_graph(self.bundle.content(MODEL_FILE), str(self.bundle.path))

    def pixels(self, wanted: int, fewest: int, *, purpose: str = "calibrate with") -> NDArray[np.uint8]:
        """Pixels of the calibration photos: uint8 ``[N, H, W, 3]``.

        Raises:
            UsageError: There are fewer than ``fewest``.
        """
        found = pixels(
            self.calibration,
            self.bundle,
            wanted=wanted,
            threads=self.threads,
            progress=self.progress,
        )
        if len(found) < fewest:
            raise UsageError(
                f"{len(found)} photos are too few to {purpose}; at least {fewest} are needed, better {wanted}: name "
                "more with --calibrate"
            )
        return np.stack(found)

    def ask_original(self, images: NDArray[np.uint8]) -> Original:
        """The original's answers."""
        info = self.bundle.info
        logits = run_graph(
            self.graph,
            images,
            self.threads,
            renamed(self.progress, "asking the original"),
        )
        return Original(logits, len(info.labels), info.calibration.temperature)


@dataclass(frozen=True)
class ExportedFiles:
    """The files of an export.

    Attributes:
        files: To add to those of the original, or to put in their place.
        engines: For each engine that can run what was made: which file it runs.
        temperature: Where it is not the original's.
        facts: How it was made; plain JSON values.
        notes: What a person should know.
    """

    files: Mapping[str, bytes]
    engines: Mapping[str, str] = field(default_factory=lambda: {"openvino": MODEL_FILE, "onnxruntime": MODEL_FILE})
    temperature: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def model_bytes(self) -> int:
        """Size of what an engine runs."""
        main = next(iter(self.engines.values()))
        folder = f"{Path(main).parent.as_posix()}/"
        return sum(len(data) for name, data in self.files.items() if name == main or name.startswith(folder))


def to_int8(source: ExportSource) -> ExportedFiles:
    """Quantise to int8; layers that cost accuracy stay in float32."""
    images = source.pixels(INT8_PHOTOS, INT8_FEWEST)
    photos = CalibrationPhotos(ranges=images[::2], choosing=images[1::2])
    original = source.ask_original(photos.choosing)
    found = find_int8(
        source.graph,
        photos,
        original,
        max_drop=source.max_drop,
        threads=source.threads,
        progress=source.progress,
    )
    notes = []
    if not found.layers:
        notes.append("the model has no layer to compute in eight bits: only the last one's weights are in eight bits")
    if found.in_float:
        notes.append(f"{len(found.in_float)} of {found.layers} layers stay in float32")
    return ExportedFiles(
        files={MODEL_FILE: found.model.SerializeToString()},
        temperature=original.temperature_for(found.logits),
        facts={
            "range_photos": len(photos.ranges),
            "choosing_photos": len(photos.choosing),
            "ranges": found.rule,
            "layers": found.layers,
            "in_float32": list(found.in_float),
            "expected_drop": round(found.agreement.expected_drop, 4),
            "divergence": round(found.agreement.divergence, 6),
        },
        notes=tuple(notes),
    )


def to_pruned(source: ExportSource) -> ExportedFiles:
    """Take out channels, and train the rest to answer as the original does.

    ``export.torch.structured_pruning`` does the work. Weights keep the original's precision.
    """
    images = source.pixels(PRUNING_PHOTOS, PRUNING_FEWEST, purpose="learn from")
    held_back = np.arange(len(images)) % _HELD_BACK == 0
    asked, choosing = source.pruning, images[held_back]
    original = source.ask_original(choosing)
    module: Any = import_module(_PRUNING_MODULE)
    plan = module.PruningPlan(
        share=asked.share,
        temperature=original.temperature,
        epochs=EPOCHS,
        seconds=60 * asked.minutes,
        threads=source.threads,
    )
    found = module.prune(source.graph, images[~held_back], plan, source.progress)
    bare, taught = (run_graph(model, choosing, source.threads) for model in (found.bare, found.model))
    divergence = [
        original.agreement_of(one, temperature=original.temperature_for(one)).divergence for one in (bare, taught)
    ]
    helped = divergence[1] <= divergence[0]
    model, logits = (found.model, taught) if helped else (found.bare, bare)
    return ExportedFiles(
        files={MODEL_FILE: _stored_as(source.graph, model).SerializeToString()},
        temperature=original.temperature_for(logits),
        facts=_pruning_facts(found, asked.share, (int((~held_back).sum()), len(choosing)), divergence),
        notes=_pruning_notes(found.recovered.epochs, asked.minutes, helped=helped),
    )


def _pruning_facts(found: Any, share: float, photos: tuple[int, int], divergence: Sequence[float]) -> dict[str, Any]:
    before, after = found.parameters
    learning, choosing = photos
    return {
        "asked": share,
        "pruned": round(1 - after / before, 4),
        "parameters": after,
        "original_parameters": before,
        "widths": {name: list(pair) for name, pair in found.widths.items()},
        "learning_photos": learning,
        "choosing_photos": choosing,
        "epochs": round(found.recovered.epochs, 2),
        "seconds": round(found.recovered.seconds, 1),
        "divergence_before_recovery": round(divergence[0], 6),
        "divergence": round(min(divergence), 6),
    }


def _pruning_notes(epochs: float, minutes: float, *, helped: bool) -> tuple[str, ...]:
    notes = []
    if epochs < EPOCHS:
        notes.append(
            f"the recovery training ended after {epochs:.1f} of {EPOCHS} passes: {minutes:g} minutes were allowed"
        )
    if not helped:
        notes.append("the recovery training brought the answers no nearer to the original's, and was taken back")
    return tuple(notes)


def _stored_as(original: ModelProto, model: ModelProto) -> ModelProto:
    """With weights in half precision where the original's are."""
    return narrowed(model) if original.ByteSize() < 0.7 * float32_size(original) else model


def to_fp16(source: ExportSource) -> ExportedFiles:
    """Weights are stored in half precision; it computes in float32 as before."""
    data = narrowed(source.graph).SerializeToString()
    before = source.bundle.model_path.stat().st_size
    smaller = len(data) < 0.9 * before
    notes = () if smaller else ("the original's weights are in half precision (or less) already",)
    return ExportedFiles(files={MODEL_FILE: data}, notes=notes)


def to_openvino(source: ExportSource) -> ExportedFiles:
    """OpenVINO's own format, weights in half precision, in a folder of the bundle; the ONNX graph stays beside it."""
    files = as_ir(source.bundle.content(MODEL_FILE), str(source.bundle.model_path))
    return ExportedFiles(files=dict(zip(IR_FILES, files, strict=True)), engines={"openvino": IR_MODEL})


def to_torchscript(source: ExportSource) -> ExportedFiles:
    """TorchScript, rebuilt from the graph, in a folder of the bundle; the ONNX graph stays beside it."""
    return _for_torch(source, "to_torchscript", "torch/model.pt")


def to_exported_program(source: ExportSource) -> ExportedFiles:
    """What ``torch.export`` makes, likewise."""
    return _for_torch(source, "to_exported_program", "torch/model.pt2")


def _for_torch(source: ExportSource, function: str, file: str) -> ExportedFiles:
    size = source.bundle.info.preprocess.size
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    data: bytes = getattr(import_module(TORCH_MODULE), function)(source.graph, images)
    return ExportedFiles(files={file: data}, engines={TORCH: file})


@dataclass(frozen=True)
class ExportFormat:
    """One way to export.

    Attributes:
        make: Makes the files.
        help: For people.
        calibrates: It needs photos besides those that it is measured on.
        needs: The package that it needs beside the core, and the extra that has it.
    """

    make: Callable[[ExportSource], ExportedFiles]
    help: str
    calibrates: bool = False
    needs: tuple[str, str] | None = None


_PYTORCH = (TORCH, "train")

KINDS: Mapping[str, ExportFormat] = {
    "int8": ExportFormat(
        to_int8, "eight-bit integers, calibrated; layers that do harm stay in float32", calibrates=True
    ),
    "fp16": ExportFormat(to_fp16, "weights stored in half precision"),
    "pruned": ExportFormat(
        to_pruned, "channels taken out, the rest trained to answer as before (extra train)", True, _PYTORCH
    ),
    "openvino": ExportFormat(
        to_openvino, "OpenVINO's own format, beside the ONNX graph (extra openvino)", needs=("openvino", "openvino")
    ),
    "torchscript": ExportFormat(to_torchscript, "TorchScript, beside the ONNX graph (extra train)", needs=_PYTORCH),
    "exported-program": ExportFormat(
        to_exported_program, "torch.export's format, beside the ONNX graph (extra train)", needs=_PYTORCH
    ),
}


def check_installed(kind: str) -> None:
    """Find out whether an export can be made here, before any photo is read.

    Raises:
        UsageError: There is no such kind.
        MissingExtraError: What it needs is not installed.
    """
    if kind not in KINDS:
        raise UsageError(f"cannot export to {kind!r}; choose one of {', '.join(KINDS)}")
    needs = KINDS[kind].needs
    if needs is not None and find_spec(needs[0]) is None:
        raise MissingExtraError(f"--to {kind}", needs[1])
