"""Training that makes a pruned network answer as the whole one did.

The whole network is the teacher (Hinton, Vinyals and Dean 2015), so that no labels are needed. Both see the same views,
mirrored and blended at random, and the teacher is asked about every one of them anew: a few hundred photos then go a
long way (Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent"). What stands before the
first layer that was cut is computed once.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from animal_classification.common.progress import Progress

# Of the root mean square of the weights that it moves: layers without batch norm differ in scale.
_LEARNING_RATE = 1e-3
_WARMUP = 50
_BLENDED = 0.5
_TIMED = 20
_LEAST_SIZE = 1e-3
_SEED = 0  # of views, blends and order


@dataclass(frozen=True)
class DistillPlan:
    """How long it may take, and how far it goes.

    Attributes:
        epochs: Passes over the photos, if time allows.
        seconds: At most, about.
        batch: Photos in a step.
        temperature: Of the teacher.
    """

    epochs: int
    seconds: float
    temperature: float
    batch: int = 32


@dataclass(frozen=True)
class Distilled:
    """What was done.

    Attributes:
        steps: Of the optimiser.
        epochs: Passes over the photos.
        seconds: How long it took.
    """

    steps: int
    epochs: float
    seconds: float


def recover(student: nn.Module, teacher: nn.Module, views: Tensor, plan: DistillPlan, progress: Progress) -> Distilled:
    """Train ``student`` in place.

    Args:
        student: Gives logits and embedding.
        teacher: The same, and stays as it is.
        views: ``[V, N, ...]``, what both are given: V views of N photos.
        plan: How long.
        progress: Told how many steps are done.
    """
    chance = torch.Generator().manual_seed(_SEED)
    optimiser = torch.optim.Adam(_groups(student), betas=(0.9, 0.99))
    photos = views.shape[1]
    batch = min(plan.batch, photos)
    each = photos // batch
    steps = plan.epochs * each
    variance = _variance(teacher, views[0])
    begun = time.monotonic()
    done = 0
    while done < steps:
        for chosen in torch.randperm(photos, generator=chance)[: each * batch].split(batch):
            for group in optimiser.param_groups:
                group["lr"] = group["size"] * _LEARNING_RATE * _factor(done, steps)
            loss = _loss(student, teacher, _drawn(views, chosen, chance), plan.temperature, variance)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            done += 1
            if done == _TIMED:  # then it is known how many there is time for
                steps = max(done, min(steps, int(plan.seconds * done / (time.monotonic() - begun))))
            progress("recovery training, step", done, steps)
            if done >= steps:
                break
    return Distilled(done, done / each, time.monotonic() - begun)


def _groups(student: nn.Module) -> list[dict[str, object]]:
    sizes = [(one, float(one.detach().square().mean().sqrt())) for one in student.parameters()]
    return [{"params": [one], "size": max(size, _LEAST_SIZE), "lr": 0.0} for one, size in sizes]


def _loss(student: nn.Module, teacher: nn.Module, images: Tensor, temperature: float, variance: Tensor) -> Tensor:
    """Divergence of the answers, and distance of the embeddings on the scale of their variance."""
    with torch.no_grad():
        wanted, there = teacher(images)
    logits, embedding = student(images)
    divergence = functional.kl_div(
        torch.log_softmax(logits / temperature, dim=1),
        torch.log_softmax(wanted / temperature, dim=1),
        log_target=True,
        reduction="batchmean",
    )
    return divergence + ((embedding - there) ** 2).mean() / variance


def _drawn(views: Tensor, chosen: Tensor, chance: torch.Generator) -> Tensor:
    """A view of each, half of them blended with another: what neither network has seen as a photo says more of both."""
    which = torch.randint(len(views), (len(chosen),), generator=chance)
    images = views[which, chosen].float()
    shape = (-1, *[1] * (images.ndim - 1))
    share = 0.5 + 0.5 * torch.rand(len(chosen), generator=chance)
    share = torch.where(torch.rand(len(chosen), generator=chance) < _BLENDED, share, torch.ones(())).reshape(shape)
    return images * share + images[torch.randperm(len(chosen), generator=chance)] * (1 - share)


def _factor(step: int, steps: int) -> float:
    """Warm-up and half a cosine."""
    return min(1.0, (step + 1) / _WARMUP) * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))


@torch.no_grad()
def _variance(teacher: nn.Module, views: Tensor) -> Tensor:
    """Of the embedding's numbers, on average."""
    found = torch.cat([teacher(batch.float())[1] for batch in views[:256].split(32)])
    return found.var(dim=0, correction=0).mean().clamp_min(1e-12)
