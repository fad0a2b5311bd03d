"""load: where bundles are found, and every check that stands before them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animal_classification.bundle import Bundle, builtin_names, load, loader
from animal_classification.errors import BundleError, BundleInvalidError, BundleNotFoundError, UsageError
from animal_classification.inference.reference import read_arrays
from tests.support.tiny_bundle import tiny_model, write_tiny_bundle

Edit = Callable[[Callable[[dict[str, Any]], object]], None]


def _refused(path: Path, message: str, error: type[BundleError] = BundleInvalidError) -> None:
    with pytest.raises(error) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def _add_file(path: Path, edit: Edit, name: str, content: bytes) -> None:
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(content)
    edit(lambda document: document["files"].update({name: hashlib.sha256(content).hexdigest()}))


def test_a_good_bundle(tiny: Path) -> None:
    bundle = load(tiny)
    assert bundle.path == tiny
    assert bundle.model_path == tiny / "model.onnx"
    assert bundle.sha256 == hashlib.sha256((tiny / "bundle.json").read_bytes()).hexdigest()
    assert [label.name for label in bundle.info.labels] == ["cat", "dog", "lion"]
    spec = bundle.preprocess_spec
    assert (spec.size, spec.crop_pct, spec.interpolation) == (32, 1.0, "bilinear")
    assert bundle.card().startswith("---\nlicense: apache-2.0\n---")
    reference = read_arrays(bundle)
    assert reference["embedding"].shape == (3, 3)


def test_bundles_are_equal_by_identity_and_usable_as_keys(tiny: Path) -> None:
    assert load(tiny) == load(str(tiny))
    assert len({load(tiny), load(tiny)}) == 1


def test_a_relative_path_survives_a_change_of_directory(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.parent)
    bundle = load("tiny")
    monkeypatch.chdir("/")
    assert bundle.model_path.is_file()


def test_files_that_are_not_listed_are_ignored(tiny: Path, edit: Edit) -> None:
    edit(lambda document: (document["files"].pop("README.md"), document["files"].pop("reference.npz")))
    (tiny / "reference.npz").write_bytes(b"put there by somebody")
    (tiny / "notes.txt").write_text("mine", encoding="utf-8")
    bundle = load(tiny)
    assert not read_arrays(bundle)
    assert bundle.card() == ""


def test_files_in_folders(tiny: Path, edit: Edit) -> None:
    _add_file(tiny, edit, "plots/confusion.png", b"png")
    assert "plots/confusion.png" in load(tiny).info.files


@pytest.mark.parametrize("name", ["model.onnx", "reference.npz", "README.md"])
def test_a_changed_file(tiny: Path, name: str) -> None:
    (tiny / name).write_bytes((tiny / name).read_bytes() + b" ")
    _refused(tiny, f"{tiny}/{name}: its sha256 is ")


@pytest.mark.parametrize("name", ["model.onnx", "reference.npz", "README.md"])
def test_a_missing_file(tiny: Path, name: str) -> None:
    (tiny / name).unlink()
    _refused(tiny, f"{tiny}/{name}: not there, or not a file; copy or export the bundle again")


def test_a_pipe_does_not_block(tiny: Path) -> None:
    (tiny / "README.md").unlink()
    os.mkfifo(tiny / "README.md")
    _refused(tiny, "README.md: not there, or not a file")


def test_the_model_must_be_listed(tiny: Path, edit: Edit) -> None:
    edit(lambda document: document["files"].pop("model.onnx"))
    _refused(tiny, f"{tiny}/bundle.json: files: must list model.onnx")


def test_a_graph_for_other_classes(tiny: Path, edit: Edit) -> None:
    _add_file(tiny, edit, "model.onnx", tiny_model(5))
    _refused(tiny, "model.onnx: logits is float32 [?, 5] and must be float32 [N, 3]")


@pytest.mark.parametrize("name", ["README.md", "model.onnx", "bundle.json"])
def test_a_link_that_leads_out(tiny: Path, tmp_path: Path, name: str) -> None:
    (tiny / name).rename(tmp_path / "outside")
    (tiny / name).symlink_to(tmp_path / "outside")
    _refused(tiny, f"{tiny}/{name}: is a link that leads out of the bundle; put the file itself there")


def test_a_linked_folder_that_leads_out(tiny: Path, edit: Edit, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tiny / "plots").symlink_to(tmp_path / "outside")
    _add_file(tiny, edit, "plots/a.png", b"png")
    _refused(tiny, "plots/a.png: is a link that leads out of the bundle")


def test_links_within_and_to_the_bundle_are_fine(tiny: Path, tmp_path: Path) -> None:
    (tiny / "README.md").rename(tiny / "card.md")
    (tiny / "README.md").symlink_to("card.md")
    (tmp_path / "current").symlink_to(tiny)
    assert load(tmp_path / "current").card()


def test_links_in_a_circle(tiny: Path) -> None:
    (tiny / "README.md").unlink()
    (tiny / "README.md").symlink_to("README.md")
    _refused(tiny, "", BundleError)


def test_pickled_objects_are_never_loaded(tiny: Path, edit: Edit) -> None:
    stream = io.BytesIO()
    np.savez(stream, embedding=np.array([{"a": 1}], dtype=object))
    _add_file(tiny, edit, "reference.npz", stream.getvalue())
    with pytest.raises(BundleInvalidError, match=r"not an \.npz file of plain arrays"):
        read_arrays(load(tiny))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x80\x04]\x94."])
def test_a_reference_that_is_no_archive(tiny: Path, edit: Edit, content: bytes) -> None:
    _add_file(tiny, edit, "reference.npz", content)
    with pytest.raises(BundleInvalidError, match=r"not an \.npz file of plain arrays"):
        read_arrays(load(tiny))


@pytest.mark.parametrize("name", ["model.onnx", "README.md", "reference.npz"])
def test_a_file_that_changes_later_is_not_taken_for_what_was_verified(tiny: Path, name: str) -> None:
    bundle = load(tiny)
    reading: dict[str, Callable[[], object]] = {
        "model.onnx": bundle.head,
        "README.md": bundle.card,
        "reference.npz": partial(read_arrays, bundle),
    }
    assert reading[name]()
    assert bundle.content(name) == (tiny / name).read_bytes()
    (tiny / name).write_bytes(b"another model's")
    with pytest.raises(BundleError, match=f"{name}: its sha256 is"):
        reading[name]()
    (tiny / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: cannot be read any more"):
        reading[name]()


def test_nothing_there(tmp_path: Path) -> None:
    _refused(tmp_path / "gone", "no such model; name a bundle's directory, a URL or a built-in", BundleNotFoundError)


def test_a_directory_without_bundle_json(tmp_path: Path) -> None:
    _refused(tmp_path, "holds no bundle.json, so it is not a bundle", BundleNotFoundError)


def test_a_file_in_place_of_its_directory(tiny: Path) -> None:
    _refused(tiny / "model.onnx", "is a file; name the directory that holds bundle.json", BundleNotFoundError)


def test_a_name_that_no_system_allows() -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        load("x" * 5000)


def test_built_in_names_win_over_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_bundle(tmp_path / "models" / "photos", name="built-in")
    write_tiny_bundle(tmp_path / "here" / "photos", name="mine")
    monkeypatch.setattr(loader, "_builtin_directory", lambda: tmp_path / "models")
    monkeypatch.chdir(tmp_path / "here")
    assert builtin_names() == ("photos",)
    assert load("photos").info.name == "built-in"
    assert load("./photos").info.name == "mine"
    assert load(Path("photos")).info.name == "mine"
    with pytest.raises(BundleNotFoundError, match=r"photo: no such model; .*; did you mean 'photos'\?"):
        load("photo")


def test_registry_names_belong_to_the_registry() -> None:
    with pytest.raises(UsageError, match="models:/zoo@champion: is a name of the model registry"):
        load("models:/zoo@champion")


def test_an_empty_name() -> None:
    with pytest.raises(UsageError, match="the model's name is empty"):
        load("")


def test_importing_the_room_is_cheap() -> None:
    program = """
import sys, json
import animal_classification
first = [name for name in sys.modules if name.startswith("animal_classification.bundle")]
import animal_classification.bundle
print(json.dumps([first, [n for n in ("pydantic", "numpy", "onnx", "fsspec", "platformdirs") if n in sys.modules]]))
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert json.loads(out) == [[], []]


def test_every_name_exported_exists() -> None:
    from animal_classification import bundle

    for name in bundle.__all__:
        assert getattr(bundle, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        bundle.nothing  # noqa: B018
    assert bundle.Bundle is Bundle
