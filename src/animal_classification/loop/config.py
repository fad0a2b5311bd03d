"""``loop.yaml`` as typed, frozen objects: unknown keys and values out of range are refused in one line."""

from __future__ import annotations

import hashlib
import json
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from animal_classification.common.suggest import nearest
from animal_classification.common.text_files import read_text
from animal_classification.config.schema import ConfigModel, Place
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Share = Annotated[float, Field(gt=0, le=1)]
Points = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]


class LogConfig(ConfigModel):
    """Where the servers' prediction log is; what is not said comes from the environment, as for the servers."""

    folder: Place | None = None
    url: str | None = None
    photos: str | None = None


class StartConfig(ConfigModel):
    """When a cycle trains: ``labels`` new ones, and one more reason.

    Attributes:
        labels: New labelled photos without which nothing is trained.
        enough: So many are a reason of their own.
        days: So is the time since the last cycle.
        accuracy: So is an audited accuracy that is surely below this; ``None`` to leave that out.
        drift_days: So is harmful drift, confirmed on so many days running.
        every_days: At most one cycle in so many days.
        ask: Photos that people are asked about where there is drift and labels are lacking.
    """

    labels: Annotated[int, Field(ge=0)] = 50
    enough: Count = 200
    days: Annotated[float, Field(gt=0)] = 30
    accuracy: Share | None = 0.9
    drift_days: Annotated[int, Field(ge=1, le=30)] = 2
    every_days: Annotated[float, Field(ge=0)] = 1
    ask: Count = 100


class CollectConfig(ConfigModel):
    """Which words become labels.

    Attributes:
        trusted: Only words of these people; anybody's where it is empty.
        new_classes: Labels that the model does not know and that may become classes.
        min_class: Photos that such a class must have.
        most_of_class: Share of a class that may come from one person, or from one day, without ``--yes``.
        fresh: Share of the new photos that is kept out of training.
        check_labels: Look for labels that the other photos contradict.
    """

    trusted: tuple[str, ...] = ()
    new_classes: tuple[str, ...] = ()
    min_class: Count = 20
    most_of_class: Share = 0.3
    fresh: Annotated[float, Field(ge=0, lt=1)] = 0.3
    check_labels: bool = True


class GateConfig(ConfigModel):
    """What a candidate must show against the model in production; all margins in points.

    Attributes:
        margin: By how much it may be worse on the frozen photos where there are at least 600 of them.
        margin_few: The same where there are fewer.
        class_loss: By how much a class may get worse, where chance does not explain it.
        unknown: By how much more of the photos of its classes it may call unknown.
        strangers: By how much fewer photos of no class it may refuse.
        calibration: By how much its calibration error may be larger.
        slower: By which share it may take longer for a photo.
        memory: By which share it may take more memory.
        cost: Measure time and memory; takes some seconds.
        drop_labels: Labels that the candidate may lack.
        unknown_photos: Folders and files of photos of none of the classes, beside those that reviewers said so of.
    """

    margin: Points = 2
    margin_few: Points = 3
    class_loss: Points = 10
    unknown: Points = 2
    strangers: Points = 5
    calibration: Points = 2
    slower: Annotated[float, Field(ge=0)] = 0.2
    memory: Annotated[float, Field(ge=0)] = 0.5
    cost: bool = True
    drop_labels: tuple[str, ...] = ()
    unknown_photos: tuple[str, ...] = ()


class ShadowConfig(ConfigModel):
    """How long two models answer side by side.

    Attributes:
        on: Without it, a cycle goes from the gate to the canary.
        evidence: The e-value at which people's answers on disagreements decide.
        most: Decided disagreements after which the two count as equal.
    """

    on: bool = True
    evidence: Annotated[float, Field(gt=1)] = 20
    most: Count = 200


class CanaryConfig(ConfigModel):
    """How a candidate answers a growing share of requests.

    Attributes:
        shares: Of the requests, one after the other; empty for no canary.
        answers: That the candidate must have given at each share.
        minutes: That each share must last.
        errors: Share of failed requests above which it stops; needs ``metrics``.
        slower: Factor on the 95% quantile of latency above which it stops.
        evidence: The e-value at which a difference counts as shown.
        metrics: The servers' ``/metrics`` address, for failed requests; the log does not have them.
    """

    shares: tuple[Share, ...] = (0.1, 0.5)
    answers: Annotated[int, Field(ge=0)] = 500
    minutes: Annotated[float, Field(ge=0)] = 30
    errors: Share = 0.01
    slower: Annotated[float, Field(gt=1)] = 1.3
    evidence: Annotated[float, Field(gt=1)] = 20
    metrics: str | None = None


class WatchConfig(ConfigModel):
    """How a promoted model is watched.

    Attributes:
        days: How long.
        alerts: Alertmanager's address; alerts that began within the first hour take the model back.
        vanished: A class whose share of the answers falls below this part of what it was counts as vanished ...
        p_value: ... where chance explains it with a probability below this.
        rollback: Take the model back by itself; without it, the loop says what a person should type.
    """

    days: Annotated[float, Field(ge=0)] = 7
    alerts: str | None = None
    vanished: Share = 0.2
    p_value: Share = 0.001
    rollback: bool = True


class LoopConfig(ConfigModel):
    """All of it.

    Attributes:
        model: The registered model's name.
        data: The labelled photos that the loop begins with: a folder, a table beside its photos, or a manifest.
        folder: Where the loop keeps what it makes.
        train: Settings as for ``animals train``, such as ``recipe=probe``.
        registry: MLflow's tracking URI, as for ``animals models``.
        auto: ``promote`` lets a candidate that has passed everything into production without a person.
    """

    model: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$")
    data: Place
    folder: Place = "loop"
    train: tuple[str, ...] = ()
    registry: str | None = None
    auto: Literal["none", "promote"] = "none"
    log: LogConfig = LogConfig()
    start: StartConfig = StartConfig()
    collect: CollectConfig = CollectConfig()
    gate: GateConfig = GateConfig()
    shadow: ShadowConfig = ShadowConfig()
    canary: CanaryConfig = CanaryConfig()
    watch: WatchConfig = WatchConfig()

    @property
    def home(self) -> Path:
        """Where the loop keeps what it makes."""
        return Path(self.folder)

    @property
    def sha256(self) -> str:
        """Of everything that is set."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def load_config(path: Path) -> LoopConfig:
    """Read a configuration.

    Relative places in it start from the folder of the file, so that it means the same from everywhere.

    Raises:
        UsageError: It cannot be read, or says something that it must not; names the key.
    """
    if not path.is_file():
        raise UsageError(f"there is no {str(path)!r}: say with --config where it is (docs/loop.md has an example)")
    text = read_text(path)
    try:
        content: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # the last for a date that is none
        raise UsageError(f"{str(path)!r} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{str(path)!r} is no mapping; it must say at least model: and data:")
    try:
        config = LoopConfig.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{str(path)!r}: {_first(error.errors(include_url=False)[0])}") from error
    base = path.absolute().parent
    log = {name: _from(base, place) for name, place in config.log.model_dump().items() if name != "url" and place}
    return config.model_copy(
        update={
            "data": _from(base, config.data),
            "folder": _from(base, config.folder),
            "log": config.log.model_copy(update=log),
        }
    )


def _from(base: Path, place: str) -> str:
    return place if "://" in place else str(base / place)


def _first(error: ErrorDetails) -> str:
    """What is wrong with one value, by its key."""
    *above, last = (str(part) for part in error["loc"])
    key = ".".join((*above, last))
    if error["type"] == "extra_forbidden":
        return f"no such setting {key}{nearest(last, _fields(above))}"
    if error["type"] == "missing":
        return f"{key} is missing"
    reason = error["msg"]
    # Aliases make a few lines of YAML stand for a text without end.
    return f"{key} is {reprlib.repr(error['input'])[:200]}: {reason[:1].lower()}{reason[1:]}"


def _fields(above: list[str]) -> list[str]:
    part: type[ConfigModel] = LoopConfig
    for name in above:
        inner = part.model_fields[name].annotation
        if not (isinstance(inner, type) and issubclass(inner, ConfigModel)):
            return []
        part = inner
    return list(part.model_fields)
