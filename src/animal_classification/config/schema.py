"""A training configuration as typed, frozen objects. Unknown keys and values out of range are refused."""

from __future__ import annotations

import os.path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Auto = Literal["auto"]
Place = Annotated[str, Field(min_length=1), AfterValidator(os.path.expanduser)]  # no shell does it after key=


class ConfigModel(BaseModel):
    """Base of all parts: frozen, and no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)


class ColumnsConfig(ConfigModel):
    """Names of a table's columns, and the words that mean an empty cell, where they are not the usual ones."""

    path: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    missing: str | None = None


class DataConfig(ConfigModel):
    """Which photos, and how they are split; named as in ``animals data``."""

    path: Place
    kind: str = "auto"
    root: Place | None = None
    columns: ColumnsConfig = ColumnsConfig()
    boxes: Place | None = None
    blanks: bool = False
    test: Fraction = 0.2
    val: Fraction = 0.1
    resplit: bool = False
    cache: Place | None = None

    @model_validator(mode="after")
    def _something_is_left(self) -> DataConfig:
        if self.test + self.val >= 1:
            raise ValueError(
                f"test {self.test:g} and val {self.val:g} leave nothing to train on; their sum must be below 1"
            )
        return self


class ProbeConfig(ConfigModel):
    """A frozen backbone and a linear head."""

    name: Literal["probe"]
    folds: int = Field(default=5, ge=2, le=20)
    strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    flips: bool | Auto = "auto"
    balance: bool = True


class FinetuneConfig(ConfigModel):
    """A pretrained network: the probe's head on it, then its layers."""

    name: Literal["finetune"]
    epochs: int = Field(ge=0, le=10_000)
    batch_size: int = Field(ge=1, le=65_536)
    lr: float = Field(gt=0, le=100)
    layer_decay: float = Field(gt=0, le=1)
    augment: float = Field(ge=0, le=2)
    mixup: float = Field(ge=0, le=10)
    cutmix: float = Field(ge=0, le=10)
    label_smoothing: Fraction
    average: bool
    blend: float = Field(default=1.0, gt=0, le=1)
    freeze: Annotated[int, Field(ge=0)] | Auto = "auto"
    refit: bool = True
    balance: bool = True
    drop: Fraction = 0.2


class CnnConfig(ConfigModel):
    """The students' AnimalClassificationCNN."""

    name: Literal["cnn"]
    size: Annotated[int, Field(ge=8, le=1024)] | Auto = "auto"
    channels: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(min_length=1, max_length=6)
    hidden: int = Field(ge=1, le=65_536)
    dropout: Fraction
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=65_536)
    lr: float = Field(gt=0, le=100)
    augment: float = Field(ge=0, le=2)
    label_smoothing: Fraction
    balance: bool = True


RecipeConfig = Annotated[ProbeConfig | FinetuneConfig | CnnConfig, Discriminator("name")]


class BackboneConfig(ConfigModel):
    """The pretrained network under the model."""

    bundle: str = Field(min_length=1)
    timm: str = Field(min_length=1)
    weights: str = "auto"
    size: Annotated[int, Field(ge=32, le=1024)] | None = None
    crop: Annotated[float, Field(gt=0, le=1)] | None = None


class OptimConfig(ConfigModel):
    """The optimiser and its learning rate."""

    name: Literal["adamw", "adam", "sgd"]
    lr: float = Field(gt=0, le=100)
    weight_decay: float = Field(ge=0, le=10)
    momentum: Fraction = 0.9
    schedule: Literal["onecycle", "cosine", "constant"]
    warmup: Fraction = 0.1
    clip: float = Field(ge=0)


def _as_text(value: Any) -> Any:
    """32 is a number in YAML."""
    return str(value) if isinstance(value, int) else value


class TrainerConfig(ConfigModel):
    """Device, precision, checkpoints and caches."""

    accelerator: Literal["auto", "cpu", "cuda", "mps"]
    precision: Annotated[Literal["auto", "32", "bf16", "16"], BeforeValidator(_as_text)]
    threads: int = Field(ge=0, le=4096)
    accumulate: int = Field(ge=1, le=4096)
    patience: int = Field(ge=0)
    checkpoint_every: float = Field(ge=0)
    compile: bool
    channels_last: bool | Auto
    cache_bytes: int = Field(ge=0)
    profile: bool
    deterministic: bool = True
    devices: int = Field(default=1, ge=1, le=1024)
    nodes: int = Field(default=1, ge=1, le=1024)


TrackerName = Literal["auto", "mlflow", "wandb", "tensorboard", "csv"]


class UnknownConfig(ConfigModel):
    """When a photo is called unknown."""

    refused: float = Field(default=0.02, gt=0, le=0.5)


class TrackingConfig(ConfigModel):
    """Where a run's numbers go; ``tracking.factory.without_auto`` says what ``auto`` and no ``register`` stand for."""

    to: tuple[TrackerName, ...]
    uri: str | None = None
    experiment: str = Field(min_length=1)
    project: str = Field(min_length=1)
    register_model: bool | None = Field(alias="register")


class Range(ConfigModel):
    """Numbers to try, from ``low`` to ``high``, both included; integers where both are integers."""

    low: int | float
    high: int | float
    log: bool = False
    step: Annotated[int | float, Field(gt=0)] | None = None

    @property
    def whole(self) -> bool:
        """Only integers are tried."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} must be above 0 where log is true")
        if self.log and self.step is not None:
            raise ValueError("step and log exclude each other")
        return self


class Choice(ConfigModel):
    """Values to try."""

    values: tuple[bool | int | float | str, ...] = Field(min_length=1)


def _range_or_choice(value: Any) -> str:
    return "choice" if isinstance(value, Choice) or (isinstance(value, dict) and "values" in value) else "range"


Tried = Annotated[Annotated[Range, Tag("range")] | Annotated[Choice, Tag("choice")], Discriminator(_range_or_choice)]


class SweepConfig(ConfigModel):
    """What to try, how many times, and which metric decides."""

    study: str | None = None
    storage: str | None = None
    trials: int = Field(ge=1, le=1_000_000)
    seconds: float | None = Field(default=None, gt=0)
    sampler: Literal["tpe", "random", "grid"]
    pruner: Literal["median", "hyperband", "none"]
    min_resource: int = Field(default=2, ge=1)
    reduction_factor: int = Field(default=3, ge=2)
    metric: str = Field(min_length=1)
    direction: Literal["auto", "minimize", "maximize"]
    space: dict[str, Tried] = {}


class Config(ConfigModel):
    """All of it."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(ge=0, lt=2**31)
    output: Place
    data: DataConfig
    recipe: RecipeConfig
    backbone: BackboneConfig
    optim: OptimConfig
    trainer: TrainerConfig
    unknown: UnknownConfig = UnknownConfig()
    tracking: TrackingConfig
    sweep: SweepConfig

    @model_validator(mode="after")
    def _several_processes_have_something_to_do(self) -> Config:
        if self.recipe.name not in ("finetune", "cnn") and (self.trainer.devices > 1 or self.trainer.nodes > 1):
            raise ValueError("trainer.devices and trainer.nodes are for recipe=finetune and recipe=cnn")
        return self
