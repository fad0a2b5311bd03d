"""The network that is fine-tuned: frozen stages, stages that learn, and a head that begins as the probe's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from animal_classification.errors import UsageError
from animal_classification.training.neural.finetune.ensemble import in_a_row
from animal_classification.training.neural.finetune.stages import Ending, Tail, Whole, stages_of
from animal_classification.training.probe.linear_models import LinearHead

if TYPE_CHECKING:
    from animal_classification.training.neural.finetune.timm_backbone import TimmBackbone


# One stage in so many learns where activations are kept: most of the work is then done once.
_LEARNING = 5


class FinetuneNetwork(nn.Module):
    """A backbone, cut in two.

    Attributes:
        trunk: The stages that stay as they are.
        tail: Those that learn, and the head.
        given: Shape of what the trunk gives for one photo, ``(C, h, w)``.
        own: The backbone's classifier, if it is linear.
        preprocess: How photos reach it.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: TimmBackbone, stages: list[nn.Module], *, freeze: int, classes: int, drop: float
    ) -> None:
        super().__init__()
        size = backbone.preprocess.size
        self.trunk = nn.Sequential(*in_a_row(stages[:freeze])).requires_grad_(False)
        self.preprocess = backbone.preprocess
        self.own = _own(backbone.network)
        with torch.inference_mode():
            features = nn.Sequential(*stages)(torch.linspace(-1, 1, 3 * size * size).reshape(1, 3, size, size))
            ending = Ending(backbone.network, features)
            width = ending(features).shape[-1]
            self.given = tuple(self.trunk(torch.zeros(1, 3, size, size)).shape[1:])
        # A class-activation map needs one linear step from a map to the logits.
        self.maps = features.ndim == 4 and features.shape[1] == width
        self.tail = Tail(stages[freeze:], ending, nn.Linear(width, classes), drop=drop, width=self.given[0])
        for name in ("mean", "std"):
            values = torch.tensor(getattr(backbone, name)).reshape(1, -1, 1, 1) * 255
            self.register_buffer(name, values, persistent=False)

    @property
    def bytes_kept(self) -> int:
        """Of one photo's activations, in half precision, as it is and mirrored."""
        return 4 * math.prod(self.given) if len(self.trunk) else 0

    def normalised(self, images: Tensor) -> Tensor:
        """From 0 to 255 to what the weights are used to."""
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` for float ``[N, 3, H, W]``, 0 to 255."""
        return cast(Tensor, self.tail(self.trunk(self.normalised(images))))

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        """``logits``, ``embedding`` and, where there is one of that depth, the feature map."""
        # Of one piece, so that an exported graph does not join networks again and again.
        stages = nn.Sequential(*in_a_row([*self.trunk, *self.tail.stages]))
        features = stages(self.normalised(images))
        embedding = self.tail.ending(features)
        found = {"logits": self.tail.head(embedding), "embedding": embedding}
        return {**found, "features": features} if self.maps else found

    def begin_with(self, head: LinearHead) -> None:
        """Take over a head that was fitted to the embeddings."""
        with torch.no_grad():
            self.tail.head.weight.copy_(torch.from_numpy(head.weight))
            self.tail.head.bias.copy_(torch.from_numpy(head.bias))


def split_backbone(backbone: TimmBackbone, freeze: int | None, *, classes: int, drop: float) -> FinetuneNetwork:
    """Cut a backbone.

    Args:
        backbone: What to stand on.
        freeze: Stages that stay as they are; ``None`` for all but the last fifth.
        classes: Length of the logits.
        drop: Share of the embedding that is dropped in training.

    Raises:
        UsageError: There are not so many stages.
    """
    stages = stages_of(backbone.network, backbone.preprocess.size)
    if freeze is not None and freeze > len(stages):
        raise UsageError(f"recipe.freeze is {freeze}, and the network has {len(stages)} stages; choose at most that")
    if freeze and isinstance(stages[0], Whole):
        raise UsageError(f"recipe.freeze is {freeze}, and this network cannot be cut; set it to 0")
    if freeze is None:
        freeze = 0 if isinstance(stages[0], Whole) else _early(stages)
    return FinetuneNetwork(backbone, stages, freeze=freeze, classes=classes, drop=drop)


def _own(network: Any) -> LinearHead | None:
    classifier = network.get_classifier() if hasattr(network, "get_classifier") else None
    if not isinstance(classifier, nn.Linear) or classifier.bias is None:
        return None
    return LinearHead(classifier.weight.detach().numpy().astype(float), classifier.bias.detach().numpy().astype(float))


def _early(stages: list[nn.Module]) -> int:
    """All stages but the last fifth: most of the work, and what all photos have in common."""
    return len(stages) - max(1, round(len(stages) / _LEARNING))
