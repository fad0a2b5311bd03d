"""The kind ``pruned``: what PyTorch does is in ``training.neural.pruning``; here it is given photos, and described."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.bundle.schema import MODEL_FILE
from animal_classification.export.formats import ExportedFiles
from animal_classification.export.mixed_precision import run_graph
from animal_classification.export.weight_storage import float32_size, narrowed

if TYPE_CHECKING:
    from onnx import ModelProto

    from animal_classification.export.formats import ExportSource

# By name, because torch must not be imported (nor found by the import contract) where it is not asked for.
_MODULE = "animal_classification.export.torch.structured_pruning"
PHOTOS, FEWEST = 4096, 64
# One photo in so many is not learned from, and says how near to the original the result is.
_HELD_BACK = 5
EPOCHS = 30


def pruned(source: ExportSource) -> ExportedFiles:
    """Take channels out of the original, train what is left, and keep the original's precision of stored weights."""
    images = source.pixels(PHOTOS, FEWEST, purpose="learn from")
    held_back = np.arange(len(images)) % _HELD_BACK == 0
    asked, choosing = source.pruning, images[held_back]
    original = source.ask_original(choosing)
    module: Any = import_module(_MODULE)
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
        original.likeness(one, temperature=original.temperature_for(one)).divergence for one in (bare, taught)
    ]
    helped = divergence[1] <= divergence[0]
    model, logits = (found.model, taught) if helped else (found.bare, bare)
    before, after = found.parameters
    return ExportedFiles(
        files={MODEL_FILE: _stored_as(source.graph, model).SerializeToString()},
        temperature=original.temperature_for(logits),
        facts={
            "asked": asked.share,
            "pruned": round(1 - after / before, 4),
            "parameters": after,
            "original_parameters": before,
            "widths": {name: list(pair) for name, pair in found.widths.items()},
            "learning_photos": int((~held_back).sum()),
            "choosing_photos": len(choosing),
            "epochs": round(found.recovered.epochs, 2),
            "seconds": round(found.recovered.seconds, 1),
            "divergence_before_recovery": round(divergence[0], 6),
            "divergence": round(min(divergence), 6),
        },
        notes=_notes(found.recovered.epochs, asked.minutes, helped=helped),
    )


def _notes(epochs: float, minutes: float, *, helped: bool) -> tuple[str, ...]:
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
