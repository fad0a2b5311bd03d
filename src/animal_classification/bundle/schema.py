"""``bundle.json`` as typed, frozen objects; its JSON Schema is generated from them.

Unknown keys are refused, so that a misspelt key is noticed and not silently ignored. What one field cannot say alone
(ids that are unique, names that stay inside the bundle) is checked here too: it holds for reading and for writing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

SCHEMA_VERSION = 1
GROUP_SEPARATOR = " > "
RANKS = ("class", "order", "family", "genus")
NO_TAXON = "-"
INFO_FILE = "bundle.json"
MODEL_FILE = "model.onnx"

# A list of what is allowed, because lists of what is dangerous ("..", "\\", "C:", "/", "%2e") are never complete.
_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*"


def _check_file_name(name: str) -> str:
    if not re.fullmatch(_FILE_NAME, name):
        raise ValueError(
            f"the file name {name!r} is refused: allowed are relative names of letters, digits, '.', '_' and '-', "
            "with '/' between folders and no part that starts with '.'"
        )
    if name == INFO_FILE:
        raise ValueError(f"{INFO_FILE} cannot list itself")
    return name


_TAXON = re.compile(rf"[A-Z][a-z]+(-[a-z]+)?|{NO_TAXON}")
FileName = Annotated[
    str, AfterValidator(_check_file_name), WithJsonSchema({"type": "string", "pattern": f"^{_FILE_NAME}$"})
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class _Part(BaseModel):
    # JSON has no word for infinity or "not a number": refused, and not turned into null behind the writer's back.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")


class Label(_Part):
    """One class that the model can answer with.

    Attributes:
        id: The class's own id: a WordNet id, or the name of the folder it was learned from.
        name: What people read.
        group: Coarser names, from coarse to fine, joined by ``" > "``: ``dog > retriever``.
        taxon: Scientific name, where there is one.
        lineage: Scientific names of the class, order, family and genus, in this order, joined by ``" > "``; ``-``
            where a rank between others has none. It ends where the label's own rank does: ``Mammalia > Carnivora >
            Canidae``.
    """

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    group: str | None = None
    taxon: str | None = None
    lineage: str | None = None

    @field_validator("group")
    @classmethod
    def _levels_are_names(cls, group: str | None) -> str | None:
        for level in group.split(GROUP_SEPARATOR) if group is not None else ():
            if not level or level != level.strip() or ">" in level:
                raise ValueError(f"{group!r} is not a list of names joined by {GROUP_SEPARATOR!r}, coarse to fine")
        return group

    @field_validator("lineage")
    @classmethod
    def _ranks_are_names(cls, lineage: str | None) -> str | None:
        names = lineage.split(GROUP_SEPARATOR) if lineage is not None else []
        if len(names) > len(RANKS) or names[-1:] == [NO_TAXON] or not all(map(_TAXON.fullmatch, names)):
            raise ValueError(
                f"{lineage!r} is not {GROUP_SEPARATOR.join(RANKS)}: scientific names joined by {GROUP_SEPARATOR!r}, "
                f"{NO_TAXON!r} for a rank in between that has none"
            )
        return lineage

    @model_serializer(mode="wrap")
    def _older_readers_know_no_lineage(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the key where there is none: versions that do not know it refuse it."""
        document: dict[str, Any] = write(self)
        if self.lineage is None:
            document.pop("lineage", None)
        return document

    @property
    def groups(self) -> tuple[str, ...]:
        """Coarser names, from coarse to fine; empty where the label has no group."""
        return tuple(self.group.split(GROUP_SEPARATOR)) if self.group else ()

    @property
    def ranks(self) -> tuple[str, str, str, str]:
        """Scientific names of the class, order, family and genus; empty where the label has none."""
        names = self.lineage.split(GROUP_SEPARATOR) if self.lineage else []
        names += [NO_TAXON] * (len(RANKS) - len(names))
        class_, order, family, genus = ("" if name == NO_TAXON else name for name in names)
        return class_, order, family, genus


class BackgroundClass(_Part):
    """A class that the graph scores and that is never an answer: a chair is not an animal."""

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)


class Preprocess(_Part):
    """How pixels reach the graph; see :class:`animal_classification.imaging.PreprocessSpec`."""

    size: int = Field(ge=8, le=4096)
    crop_pct: float = Field(gt=0.0, le=1.0)
    interpolation: Literal["bicubic", "bilinear", "lanczos", "nearest"]


class Calibration(_Part):
    """Logits are divided by ``temperature`` before the softmax (Guo et al. 2017)."""

    temperature: float = Field(gt=0.0)


class Conformal(_Part):
    """Split-conformal prediction sets: ``quantile`` gives sets that hold the truth with probability ``1 - alpha``.

    Attributes:
        alpha: How often the truth may be missing.
        quantile: Labels join a set, the most probable first, until their probabilities together (and the penalties)
            pass it.
        method: ``aps`` (Romano, Sesia and Candès 2020), or ``raps``, the same with a penalty on large sets
            (Angelopoulos, Bates, Malik and Jordan 2021).
        penalty: What each label beyond the first ``free`` adds; 0 for ``aps``.
        free: How many labels cost nothing.
        n: Photos that the quantile comes from.
    """

    alpha: float = Field(gt=0.0, lt=1.0)
    quantile: float
    method: Literal["aps", "raps"] = "aps"
    penalty: float = Field(default=0.0, ge=0.0)
    free: int = Field(default=0, ge=0)
    n: int | None = Field(default=None, ge=1)


class Scale(_Part):
    """What a score is like on photos of the classes: it is used as ``(score - mean) / deviation``."""

    mean: float
    deviation: float = Field(gt=0.0)


class Unknown(_Part):
    """When a photo is none of the classes.

    Attributes:
        method: ``background``: the score is the probability that all labels have together, the rest belonging to the
            background classes. ``max_probability``: the score is the best label's probability. ``energy``: the
            logarithm of the sum of the exponentials of the calibrated logits (Liu et al. 2020). ``energy_mahalanobis``:
            that and the relative Mahalanobis distance of the embedding (Ren et al. 2021), each brought to its scale
            and added; ``reference.npz`` holds what the distance needs.
        threshold: A score below it means unknown.
        energy: Scale of the energy, for the two methods that use it.
        distance: Scale of the negative distance, for ``energy_mahalanobis``.
    """

    method: Literal["background", "max_probability", "energy", "energy_mahalanobis"]
    threshold: float
    energy: Scale | None = None
    distance: Scale | None = None

    @model_validator(mode="after")
    def _scales_are_there(self) -> Unknown:
        wanted = {"energy": ("energy",), "energy_mahalanobis": ("energy", "distance")}.get(self.method, ())
        for name in wanted:
            if getattr(self, name) is None:
                raise ValueError(f"method {self.method!r} needs the key {name}")
        return self


class Rollup(_Part):
    """A label less probable than ``threshold`` is answered by the finest group that reaches it."""

    threshold: Fraction


class Data(_Part):
    """What the model learned from; ``crops``: animals cut out of photos, so whole pictures are new to it."""

    version: str
    n_train: int | None = Field(default=None, ge=0)
    n_test: int | None = Field(default=None, ge=0)
    classes: int = Field(ge=1)
    crops: bool | None = None


class Code(_Part):
    """What made the bundle."""

    version: str
    git: str | None = None


class BundleInfo(_Part):
    """All of ``bundle.json``."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(min_length=1)
    created: datetime
    license: str | None = None
    labels: tuple[Label, ...] = Field(min_length=1)
    background: tuple[BackgroundClass, ...] = ()
    preprocess: Preprocess
    calibration: Calibration = Calibration(temperature=1.0)
    conformal: Conformal | None = None
    unknown: Unknown | None = None
    rollup: Rollup | None = None
    data: Data
    code: Code
    config: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    files: dict[FileName, Sha256] = Field(default={}, json_schema_extra={"additionalProperties": False})

    @model_validator(mode="after")
    def _classes_are_distinct(self) -> BundleInfo:
        _refuse_twice("labels: the name", (label.name for label in self.labels))
        ids = [label.id for label in self.labels] + [background.id for background in self.background]
        _refuse_twice("labels: the id", ids)
        return self

    @model_validator(mode="after")
    def _unknown_can_be_judged(self) -> BundleInfo:
        if self.unknown and self.unknown.method == "background" and not self.background:
            raise ValueError(
                "unknown.method: 'background' needs classes under the key background; use 'max_probability'"
            )
        return self


def _refuse_twice(what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value!r} is there twice and must be unique")
        seen.add(value)
