"""A plain Lightning + timm loop, as tutorials have it: standard augmentation, AdamW, one cycle, batches of 32."""

from __future__ import annotations

import sys
from pathlib import Path

import lightning
import torch
from common import MEAN, STD, Clock, cores, network, read, workers
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2


class Folder(Dataset):
    def __init__(self, rows: list, transform: v2.Transform) -> None:
        self.rows, self.transform = rows, transform

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, target = self.rows[index]
        return self.transform(Image.open(path).convert("RGB")), target


class Plain(lightning.LightningModule):
    def __init__(self, model: torch.nn.Module, tests: DataLoader, clock: Clock, epochs: int) -> None:
        super().__init__()
        self.model, self.tests, self.clock, self.epochs = model, tests, clock, epochs

    def training_step(self, batch: list, _: int) -> torch.Tensor:
        images, targets = batch
        return torch.nn.functional.cross_entropy(self.model(images), targets, label_smoothing=0.1)

    def configure_optimizers(self) -> dict:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.01)
        total = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=total)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_end(self) -> None:
        self.clock.stop()
        targets = torch.tensor([target for _, target in self.tests.dataset.rows])
        self.clock.report(float((self.answer().argmax(1) == targets).float().mean()))

    def answer(self) -> torch.Tensor:
        self.model.eval()
        with torch.inference_mode():
            logits = torch.cat([self.model(images) for images, _ in self.tests])
        self.model.train()
        return logits


def main(table: str, number: int, size: int, epochs: int, seed: int, begun: float) -> None:
    torch.set_num_threads(cores())
    lightning.seed_everything(seed, verbose=False)
    names, parts = read(Path(table))
    ending = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    train = v2.Compose([v2.RandomResizedCrop(size, scale=(0.35, 1.0)), v2.RandomHorizontalFlip(), *ending])
    test = v2.Compose([v2.Resize(round(size / 0.875), v2.InterpolationMode.BICUBIC), v2.CenterCrop(size), *ending])
    tests = DataLoader(Folder(parts["test"], test), 32)
    loader = DataLoader(
        Folder(parts["train"], train), 32, shuffle=True, num_workers=workers(), persistent_workers=workers() > 0
    )
    module = Plain(network(number, len(names)), tests, Clock(begun), epochs)
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(module, loader)


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:6]), float(sys.argv[6]))
