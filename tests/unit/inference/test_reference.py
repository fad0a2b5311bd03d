"""What a bundle remembers of its training photos."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from animal_classification.bundle import load
from animal_classification.inference import reference
from animal_classification.inference.reference import REFERENCE_FILE, TrainingReference, pack, reference_arrays
from tests.support.tiny_bundle import write_tiny_bundle


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_classes_take_turns_where_there_is_no_room_for_all() -> None:
    label = np.array([0] * 90 + [1] * 5 + [2] * 5)
    arrays = reference_arrays(
        embedding=np.arange(100, dtype=np.float32)[:, None],
        label=label,
        paths=[f"{number}.jpg" for number in range(100)],
        seen=[],
        limit=20,
    )
    assert np.bincount(arrays["label"]).tolist() == [10, 5, 5]
    assert [path.decode() for path in arrays["path"]] == [f"{int(value)}.jpg" for value in arrays["embedding"][:, 0]]


def test_it_is_read_back_from_a_bundle(tmp_path: Path) -> None:
    arrays: dict[str, Any] = reference_arrays(
        embedding=np.eye(3, dtype=np.float32) * 7,
        label=np.array([0, 1, 2]),
        paths=["cat/é.jpg", "dog/b.jpg", "lion/c.jpg"],
        seen=[sha("a"), sha("b")],
    )
    path = write_tiny_bundle(tmp_path / "tiny", files={REFERENCE_FILE: pack(arrays)})
    remembered = TrainingReference.of(load(path))
    assert remembered.has_seen([sha("a"), None, sha("c"), sha("b")]).tolist() == [True, False, False, True]
    near = remembered.nearest(np.array([[1.0, 0.1, 0.0]]), ["cat", "dog", "lion"], k=2)[0]
    assert [(one.path, one.label) for one in near] == [("cat/é.jpg", "cat"), ("dog/b.jpg", "dog")]
    assert near[0].similarity > 0.99 > near[1].similarity


def test_a_bundle_without_it_has_seen_nothing_and_knows_no_neighbours(tmp_path: Path) -> None:
    reference = TrainingReference.of(load(write_tiny_bundle(tmp_path / "tiny")))
    assert not reference.has_seen([sha("a")]).any()
    assert reference.nearest(np.ones((2, 3)), ["cat", "dog", "lion"]) == [[], []]


def test_nothing_else_knows_the_file() -> None:
    source = Path(reference.__file__).parents[1]
    owners = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value == REFERENCE_FILE
    ]
    assert owners == ["inference/reference.py"]
