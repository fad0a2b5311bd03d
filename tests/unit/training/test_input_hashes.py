"""What a model is made from counts by its content: a name or a path stays the same when the thing is replaced."""

from __future__ import annotations

from pathlib import Path

from animal_classification.config.compose import compose
from animal_classification.training.input_hashes import ingredients
from animal_classification.training.run import Origin, fingerprint
from tests.support.tiny_bundle import write_tiny_bundle


def test_a_backbone_counts_by_its_content(tmp_path: Path) -> None:
    place = tmp_path / "backbone"
    config = compose(["data.path=photos", f"backbone.bundle={place}"])
    found = []
    for names in (("red", "green"), ("green", "red"), ("red", "green")):
        target = tmp_path / "-".join(names)
        if not target.exists():
            write_tiny_bundle(target, names=names)
        place.unlink(missing_ok=True)
        place.symlink_to(target)
        found.append(ingredients(config)["backbone"])
    assert found[0] == found[2]
    assert found[0] != found[1]


def test_a_file_of_weights_counts_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    config = compose(["recipe=finetune", "data.path=photos", "backbone=lite1", f"backbone.weights={file}"])
    assert ingredients(config) == {"weights": "missing"}, "the recipe will say so"
    file.write_bytes(b"one")
    first = ingredients(config)
    file.write_bytes(b"other")
    second = ingredients(config)
    assert first != second
    file.write_bytes(b"one")
    assert ingredients(config) == first
    marks = {
        fingerprint(config, Origin(data_version="d", code={"version": "1"}, ingredients=made))
        for made in (first, second)
    }
    assert len(marks) == 2


def test_packaged_weights_count_by_the_package_s_version() -> None:
    found = ingredients(
        compose(["recipe=finetune", "data.path=photos", "backbone.timm=tf_efficientnet_lite9+resnet18"])
    )
    assert list(found) == ["weights"]
    assert found["weights"].count(", ") == 1
    assert ingredients(compose(["recipe=finetune", "data.path=photos", "backbone.weights=none"])) == {"weights": "none"}
    assert ingredients(compose(["recipe=cnn", "data.path=photos"])) == {}
