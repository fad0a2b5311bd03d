"""There is one loop from files to rows, and one place that chooses how many threads and items it takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import animal_classification

PACKAGE = Path(animal_classification.__file__).parent
# Who may turn one image into what a model sees: the stream, one photo of a request, and the scan, which has its bytes.
DECODE_FOR_A_MODEL = {"inference/stream.py", "inference/classifier.py", "inference/cam.py", "data/scanner.py"}
# Threads for something else than photos: down- and uploads, fits of a classifier, a batch ahead of the graphics card.
OTHER_THREADS = {
    "common/parallel.py",
    "data/sources/remote.py",
    "prediction_log/photo_store.py",
    "scale/merge.py",
    "scale/shard_reader.py",
    "scale/given_boxes.py",
    "scale/plan_writer.py",
    "serving/models/loader.py",
    "training/neural/dataloader.py",
    "training/probe/head.py",
}


def calls() -> Iterator[tuple[str, str]]:
    """Modules, and the names of what they call."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.relative_to(PACKAGE).as_posix(), ast.unparse(node.func)


def test_nobody_else_decodes_for_a_model_or_starts_threads() -> None:
    found = list(calls())
    decoding = {module for module, name in found if name in ("imaging.preprocess", "imaging.crops")}
    threads = {module for module, name in found if name == "ThreadPoolExecutor"}
    assert decoding == DECODE_FOR_A_MODEL
    assert threads <= OTHER_THREADS
    assert "common/parallel.py" in threads
