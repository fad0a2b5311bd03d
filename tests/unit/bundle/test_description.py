"""describe and resolve_name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from animal_classification.bundle import BundleInfo, describe, load, resolve_name
from animal_classification.errors import UsageError
from tests.support.tiny_bundle import write_tiny_bundle

GROUPS = {"house cat": "feline > small cat", "dog": "canine", "lion": "feline > big cat"}


@pytest.fixture
def zoo(tmp_path: Path) -> BundleInfo:
    return load(write_tiny_bundle(tmp_path / "zoo", names=("house cat", "dog", "lion"), groups=GROUPS)).info


def test_describe_gives_facts_that_json_can_hold(tmp_path: Path) -> None:
    path = write_tiny_bundle(tmp_path / "zoo", names=("lion", "dog", "house cat"), groups=GROUPS, background=("chair",))
    facts = describe(load(path))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["name"] == "tiny"
    assert facts["classes"] == 3
    assert facts["background_classes"] == 1
    assert facts["labels"] == ["lion", "dog", "house cat"]
    assert facts["groups"] == {"feline": 2, "canine": 1}
    assert facts["input"] == {"size": 32, "crop_pct": 1.0, "interpolation": "bilinear"}
    assert facts["unknown"] == {"method": "background", "threshold": 0.5, "energy": None, "distance": None}
    assert facts["temperature"] == 1.0
    files = facts["files"]
    assert isinstance(files, dict)
    assert files["model.onnx"]["bytes"] == (path / "model.onnx").stat().st_size


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("lion", (2,)),
        (" LION ", (2,)),
        ("lion-id", (2,)),
        ("House Cat", (0,)),
        ("feline", (0, 2)),
        ("Big Cat", (2,)),
        ("canine", (1,)),
    ],
)
def test_a_word_means_a_name_an_id_or_a_group(zoo: BundleInfo, text: str, indices: tuple[int, ...]) -> None:
    assert resolve_name(zoo, text) == indices


def test_a_misspelt_word_gets_the_nearest(zoo: BundleInfo) -> None:
    with pytest.raises(UsageError, match=r"model tiny knows no 'loin'; did you mean 'lion'\?"):
        resolve_name(zoo, "loin")
    with pytest.raises(UsageError, match="did you mean 'feline'"):
        resolve_name(zoo, "FELLINE")


def test_a_word_like_no_other(zoo: BundleInfo) -> None:
    with pytest.raises(UsageError, match="knows no 'xyzzy'; it knows 3 names, such as house cat, dog, lion"):
        resolve_name(zoo, "xyzzy")
