"""One fit as a Lightning module: steps, measures, and everything that has to survive a kill.

Where it stands is told by ``epoch``, ``position`` (batches used in it) and ``step`` (of the optimiser). The order of
photos, their augmentation, dropout and learning rates are functions of these; weights, the optimiser's state, averages
and the best weights so far are in the checkpoint. So a restart goes on exactly as the undisturbed run would have.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional

from animal_classification.errors import AnimalsError
from animal_classification.training.neural import checkpoints, dataloader, optimizers, seeded_random
from animal_classification.training.neural.ema import ExponentialMovingAverage
from animal_classification.training.neural.fit import FitPhotos, FitPlan, Fitted, channels_last

if TYPE_CHECKING:
    from animal_classification.training.neural.dataloader import Batch, Batches
    from animal_classification.training.recipe import RecipeInputs

Weights = dict[str, Tensor]


class Module(LightningModule):
    """See above. Everything is ready after the constructor; ``restore`` then goes back to a checkpoint."""

    def __init__(
        self, job: RecipeInputs, network: nn.Module, groups: optimizers.Groups, photos: FitPhotos, plan: FitPlan
    ) -> None:
        super().__init__()
        self.job, self.photos, self.plan = job, photos, plan
        self.format = torch.channels_last if channels_last(job.config.trainer) else torch.contiguous_format
        self.network = network.to(memory_format=self.format)
        if job.config.trainer.compile:
            self.network.compile()
        self.chosen = optimizers.optimizer(groups, job.config.optim)
        self.register_buffer("weight", _class_weights(photos) if plan.balance else None, persistent=False)
        self.register_buffer("sums", torch.zeros(3), persistent=False)  # loss, right answers, photos
        self.average = ExponentialMovingAverage(network) if plan.average else None
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
        """Write the checkpoint.

        Raises:
            OutputError: The system refuses; the last one is good.
        """
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.chosen.state_dict(),
            "precision": dict(self.trainer.precision_plugin.state_dict()) if self._trainer else self.precision_state,
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

    # ------------------------------------------------------------------------------------------- what Lightning asks

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.chosen

    def train_dataloader(self) -> Batches:
        return dataloader.training(
            self.photos.train,
            self.photos.train_targets,
            size=self.plan.batch_size,
            seed=self.job.config.seed,
            epoch=self.epoch + self.plan.first_epoch,
            start=self.position,
        )

    def val_dataloader(self) -> Batches:
        return dataloader.in_order(self.photos.val, self.photos.val_targets, size=max(64, self.plan.batch_size))

    def on_train_start(self) -> None:
        if self.optimizer_state is not None:
            self.chosen.load_state_dict(self.optimizer_state)
            self.trainer.precision_plugin.load_state_dict(self.precision_state)
            self.optimizer_state = None

    def on_train_epoch_start(self) -> None:
        self.began_at, self.seen = time.monotonic(), 0

    def training_step(self, batch: Batch, _: int) -> Tensor:
        pixels, targets, indices = batch
        config, epoch = self.job.config, self.epoch + self.plan.first_epoch
        self.rate = optimizers.set_rate(self.chosen, config.optim, self.step, self.steps)
        torch.manual_seed(seeded_random.step_seed(config.seed, epoch, self.position))
        images = self._images(pixels)
        if self.plan.augment is not None:
            images = self.plan.augment(images, seeded_random.keys(config.seed, epoch, indices.cpu().numpy()))
        aims = targets
        if self.plan.mix is not None:
            images, aims = self.plan.mix(images, functional.one_hot(targets, self.photos.classes).float())
        logits = self.network(images.contiguous(memory_format=self.format))
        loss = functional.cross_entropy(logits, aims, weight=self.weight, label_smoothing=self.plan.label_smoothing)
        with torch.no_grad():
            right = (logits.argmax(1) == targets).sum()
            seen = right.new_tensor(len(targets))
            self.sums += torch.stack([loss.detach() * seen, right, seen])
        self.seen += len(targets)
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        self.position += 1
        last = self.position == self.batches
        if last or self.position % self.job.config.trainer.accumulate == 0:
            self.step += 1
            if self.average is not None:
                self.average.update(self.network, self.step)
            if not last and self._is_due():
                self.save()
        self.job.progress(self._title(), self.position, self.batches)

    def on_validation_epoch_start(self) -> None:
        self.val_logits = []
        if self.average is not None:
            self.average.swap(self.network)

    def validation_step(self, batch: Batch, _: int) -> None:
        images = self._images(batch[0]).contiguous(memory_format=self.format)
        self.val_logits.append(self.network(images).float().cpu())

    def on_validation_epoch_end(self) -> None:
        logits, targets = torch.cat(self.val_logits), torch.from_numpy(self.photos.val_targets)
        loss = float(functional.cross_entropy(logits, targets))
        self.measured = {"val/loss": loss, "val/accuracy": float((logits.argmax(1) == targets).float().mean())}
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
        return self.plan.epochs * -(-self.batches // self.job.config.trainer.accumulate)

    def _images(self, pixels: Tensor) -> Tensor:
        return pixels.permute(0, 3, 1, 2).float()

    def _is_due(self) -> bool:
        every = self.job.config.trainer.checkpoint_every
        return every > 0 and time.monotonic() - self.saved_at >= every

    def _stops(self) -> bool:
        patience = self.job.config.trainer.patience
        waited = bool(self.best) and 0 < patience <= self.epoch - self.best_epoch
        return waited or self.epoch >= self.plan.epochs

    def _title(self) -> str:
        return f"epoch {self.epoch + 1} of {self.plan.epochs}"


def _class_weights(photos: FitPhotos) -> Tensor:
    """Inverse to the classes' sizes, 1 on average over the photos."""
    counts = np.bincount(photos.train_targets, minlength=photos.classes)
    weights = len(photos.train_targets) / (photos.classes * np.maximum(counts, 1))
    return torch.from_numpy(weights.astype(np.float32))
