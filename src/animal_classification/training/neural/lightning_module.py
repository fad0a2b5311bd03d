"""One fit as a Lightning module: steps, metrics, and everything that must survive a kill.

``epoch``, ``position`` (batches used in it) and ``step`` (of the optimiser) say how far it is. The order of photos,
their augmentation, dropout and learning rates are functions of these; weights, the optimiser's state, averages and the
best weights so far are in the checkpoint. So a run that was killed continues exactly as it would have otherwise.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn import functional

from animal_classification.errors import AnimalsError
from animal_classification.training.neural import checkpoints, dataloader, optimizers, seeded_random
from animal_classification.training.neural.device import channels_last
from animal_classification.training.neural.fit_plan import FitPhotos, FitTask, Fitted
from animal_classification.training.neural.optimizers import ExponentialMovingAverage
from animal_classification.training.neural.shard import Shard, share_dropout

if TYPE_CHECKING:
    from animal_classification.training.neural.dataloader import Batch, Batches
    from animal_classification.training.recipe import RecipeInputs

Weights = dict[str, Tensor]


class FitModule(LightningModule):
    """A network with its optimiser and metrics; ``restore`` goes back to a checkpoint.

    Args:
        task: What is fitted to what, and how.
        shard: This process's part of each batch.
        job: Where checkpoints, numbers and progress go; ``None`` in a process that does not lead.
    """

    def __init__(self, task: FitTask, shard: Shard, job: RecipeInputs | None) -> None:
        super().__init__()
        config, photos, plan = task.config, task.photos, task.plan
        self.config, self.photos, self.plan, self.shard, self.job = config, photos, plan, shard, job
        self.format = torch.channels_last if channels_last(config.trainer) else torch.contiguous_format
        self.network = task.network.to(memory_format=self.format)
        if config.trainer.compile:
            self.network.compile()
        self.chosen = optimizers.optimizer(task.groups, config.optim)
        self.register_buffer("weight", _class_weights(photos) if plan.balance else None, persistent=False)
        self.register_buffer("sums", torch.zeros(3), persistent=False)  # loss, right answers, photos
        self.average = ExponentialMovingAverage(self.network) if plan.average else None
        self.epoch = self.position = self.step = 0
        self.finished = False
        self.best: Weights = {}
        self.best_epoch, self.best_loss = 0, math.inf
        self.history: list[dict[str, float]] = []
        self.measured: dict[str, float] = {}
        self.val_logits: list[Tensor] = []
        self.optimizer_state: dict[str, Any] | None = None
        self.precision_state: dict[str, Any] = {}
        self.saved_at = time.monotonic()
        self.began_at, self.seen = time.monotonic(), 0

    # ------------------------------------------------------------------------------------------- what survives a kill

    def save(self) -> None:
        """Write the checkpoint, where this process leads.

        Raises:
            OutputError: The system refuses; the last one is good.
        """
        if self.job is None:
            return
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.chosen.state_dict(),
            "precision": self._precision(),
            "average": self.average.weights if self.average else {},
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "sums": self.sums,
            "history": self.history,
            "epoch": self.epoch,
            "position": self.position,
            "step": self.step,
            "finished": self.finished,
        }
        checkpoints.save(self.job.run.checkpoints / f"{self.plan.stage}.ckpt", state)
        self.saved_at = time.monotonic()

    def restore(self, state: checkpoints.State) -> None:
        """Go back to a checkpoint; the optimiser follows when training starts, on its device."""
        self.network.load_state_dict(state["network"])
        self.optimizer_state, self.precision_state = state["optimizer"], state["precision"]
        if self.average is not None:
            self.average.weights = state["average"]
        self.best, self.best_epoch, self.best_loss = state["best"], state["best_epoch"], state["best_loss"]
        self.sums.copy_(state["sums"])
        self.history = list(state["history"])
        self.epoch, self.position, self.step = state["epoch"], state["position"], state["step"]
        self.finished = state["finished"] or self._stops()

    def best_weights(self) -> Weights:
        """Those with the lowest val/loss; the last ones where there is no val."""
        if self.best:
            return self.best
        return self.average.weights if self.average is not None else self.network.state_dict()

    def fitted(self) -> Fitted:
        epoch = self.best_epoch or len(self.history)
        return Fitted(
            metrics=self.history[epoch - 1],
            epoch=epoch + self.plan.first_epoch,
            epochs=len(self.history),
            history=tuple(self.history),
        )

    # ------------------------------------------------------------------------------------------- Lightning's hooks

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.chosen

    def train_dataloader(self) -> Batches:
        batches = dataloader.shuffled(
            self.photos.train,
            self.photos.train_targets,
            size=self.plan.batch_size,
            seed=self.config.seed,
            epoch=self.epoch + self.plan.first_epoch,
        )
        return replace(batches, start=self.position, shard=self.shard)

    def val_dataloader(self) -> Batches:
        size = max(64, self.plan.batch_size)
        return dataloader.in_order(self.photos.val, self.photos.val_targets, size=size, shard=self.shard)

    def on_train_start(self) -> None:
        if self.optimizer_state is not None:
            self.chosen.load_state_dict(self.optimizer_state)
            self.trainer.precision_plugin.load_state_dict(self.precision_state)
            self.optimizer_state = None

    def on_train_epoch_start(self) -> None:
        self.began_at, self.seen = time.monotonic(), 0

    def training_step(self, batch: Batch, _: int) -> Tensor:
        pixels, targets, indices, whole = batch
        epoch = self.epoch + self.plan.first_epoch
        self.rate = optimizers.set_rate(self.chosen, self.config.optim, self.step, self.steps)
        torch.manual_seed(seeded_random.step_seed(self.config.seed, epoch, self.position))
        images, wanted = self._augmented(pixels, indices), targets
        if self.plan.mix is not None:
            images, wanted = self._mixed(images, targets, whole)
        share_dropout(self.network, self.shard, len(whole))
        logits = self.network(images.contiguous(memory_format=self.format))
        loss = self._loss(logits, wanted, whole)
        with torch.no_grad():
            counted = self.shard.counts(len(whole))
            right = (logits.argmax(1) == targets).sum() * counted
            seen = right.new_tensor(len(targets) * counted)
            self.sums += self.shard.total(torch.stack([loss.detach() * len(whole), right, seen]))
        self.seen += len(whole)
        # What the processes' gradients are averaged to is then the sum of their shares.
        return loss * self.shard.world

    def on_train_batch_end(self, *_: Any) -> None:
        self.position += 1
        last = self.position == self.batches
        if last or self.position % self.config.trainer.accumulate == 0:
            self.step += 1
            if self.average is not None:
                self.average.update(self.network, self.step)
            if not last and self._is_due():
                self.save()
        if self.job is not None:
            self.job.progress(self._title(), self.position, self.batches)

    def on_validation_epoch_start(self) -> None:
        self.val_logits = []
        if self.average is not None:
            self.average.swap(self.network)

    def validation_step(self, batch: Batch, _: int) -> None:
        images = self._images(batch[0]).contiguous(memory_format=self.format)
        self.val_logits.append(self.network(images).float().cpu())

    def on_validation_epoch_end(self) -> None:
        count = len(self.photos.val_targets)
        logits = torch.cat(self.val_logits)
        targets = torch.from_numpy(self.shard.part(self.photos.val_targets))
        own = (
            float(functional.cross_entropy(logits, targets, reduction="sum")),
            float((logits.argmax(1) == targets).sum()),
        )
        sums = torch.tensor(own, dtype=torch.float64) * self.shard.counts(count)
        loss, right = (self.shard.total(sums) / count).tolist()
        self.measured = {"val/loss": loss, "val/accuracy": right}
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, self.epoch + 1
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        if self.average is not None:
            self.average.swap(self.network)

    def on_train_epoch_end(self) -> None:
        seconds = max(1e-9, time.monotonic() - self.began_at)
        loss, right, count = self.sums.tolist()
        number = self.epoch + self.plan.first_epoch + 1
        if not math.isfinite(loss):
            raise AnimalsError(f"the loss of epoch {number} is not a number any more; try a smaller recipe.lr")
        metrics = {"train/loss": loss / count, "train/accuracy": right / count, **self.measured, "lr": self.rate}
        if self.job is not None:
            self.job.tracker.log_metrics({**metrics, "images_per_second": self.seen / seconds}, step=number)
        self.history.append(metrics)
        self.epoch, self.position = self.epoch + 1, 0
        self.sums.zero_()
        self.save()
        if self._stops():
            self.trainer.should_stop = True

    # ----------------------------------------------------------------------------------------------------------- parts

    @property
    def batches(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.photos.train) // self.plan.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the optimiser in all epochs."""
        return self.plan.epochs * -(-self.batches // self.config.trainer.accumulate)

    def _precision(self) -> dict[str, Any]:
        """The scale of losses in half precision; as restored where no trainer has the module yet."""
        try:
            return dict(self.trainer.precision_plugin.state_dict())
        except RuntimeError:
            return self.precision_state

    def _augmented(self, pixels: Tensor, indices: Tensor) -> Tensor:
        images = self._images(pixels)
        if self.plan.augment is None:
            return images
        epoch = self.epoch + self.plan.first_epoch
        return self.plan.augment(images, seeded_random.keys(self.config.seed, epoch, indices.cpu().numpy()))

    def _mixed(self, images: Tensor, targets: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        """Blended with their partners, which may be another process's photos; each reads its own partners."""
        assert self.plan.mix is not None
        own = images, functional.one_hot(targets, self.photos.classes).float()
        if self.shard.alone:
            return self.plan.mix(*own)
        blend = self.plan.mix.draw(len(whole), *images.shape[-2:])
        if blend is None:
            return own
        chosen = self.shard.part(whole.cpu().numpy()[blend.partner.numpy()])
        pixels = torch.from_numpy(np.ascontiguousarray(self.photos.train.take(chosen))).to(images.device)
        others = torch.from_numpy(self.photos.train_targets[chosen]).to(images.device)
        augmented = self._augmented(pixels, torch.from_numpy(chosen))
        return blend.apply(own, (augmented, functional.one_hot(others, self.photos.classes).float()))

    def _loss(self, logits: Tensor, wanted: Tensor, whole: Tensor) -> Tensor:
        """This process's share of the whole batch's mean: the shares of all add up to it."""
        smoothing = self.plan.label_smoothing
        if self.shard.alone:
            return functional.cross_entropy(logits, wanted, weight=self.weight, label_smoothing=smoothing)
        summed = functional.cross_entropy(
            logits, wanted, weight=self.weight, label_smoothing=smoothing, reduction="sum"
        )
        # What torch divides by: the photos' weights, or their number where targets are blended.
        divisor = torch.tensor(float(len(whole)), device=logits.device)
        if self.weight is not None and wanted.ndim == 1:
            targets = torch.from_numpy(self.photos.train_targets)[whole.cpu()].to(logits.device)
            divisor = self.weight[targets].sum()
        return summed / divisor * self.shard.counts(len(whole))

    def _images(self, pixels: Tensor) -> Tensor:
        return pixels.permute(0, 3, 1, 2).float()

    def _is_due(self) -> bool:
        every = self.config.trainer.checkpoint_every
        return every > 0 and time.monotonic() - self.saved_at >= every

    def _stops(self) -> bool:
        patience = self.config.trainer.patience
        waited = bool(self.best) and 0 < patience <= self.epoch - self.best_epoch
        return waited or self.epoch >= self.plan.epochs

    def _title(self) -> str:
        return f"epoch {self.epoch + 1} of {self.plan.epochs}"


def _class_weights(photos: FitPhotos) -> Tensor:
    """Inverse to the classes' sizes, 1 on average over the photos."""
    counts = np.bincount(photos.train_targets, minlength=photos.classes)
    weights = len(photos.train_targets) / (photos.classes * np.maximum(counts, 1))
    return torch.from_numpy(weights.astype(np.float32))
