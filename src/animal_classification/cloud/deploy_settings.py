"""The settings file of a deployment, typed: what `animals deploy` knows. Unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from animal_classification.cloud.batch_settings import BatchJob
from animal_classification.cloud.kubernetes_settings import Kubernetes
from animal_classification.cloud.settings_model import (
    Cpu,
    File,
    Host,
    Image,
    LoopSchedule,
    Memory,
    Name,
    Secret,
    SettingsModel,
    Variable,
)
from animal_classification.errors import UsageError

LATEST = "latest"


class ContainerImages(SettingsModel):
    """Full names of what `make images` built, with a tag or, better, a digest."""

    api: Image
    train: Image


class Traffic(SettingsModel):
    """A share of the requests for one revision of the service; ``latest`` is the one that is being deployed."""

    revision: str = LATEST
    percent: int = Field(ge=0, le=100)
    tag: Name | None = None


class CloudRunService(SettingsModel):
    """The API.

    Attributes:
        model: What the server loads: a built-in name, `gs://…` or `models:/…`.
        cpu: Cores of one instance.
        memory: Of one instance.
        concurrency: Requests that one instance takes at once.
        min_instances: Kept running; 0 stops paying when nobody asks, and makes the first one wait.
        max_instances: The bound of what it may cost.
        timeout: Seconds for one request.
        hosts: Names under which the service is reached, beside Google's and the cluster's own: `animals.zoo.example`.
        public: Everybody may ask; otherwise who has the right `run.invoker`.
        environment: Settings of the server (docs/serve.md).
        secrets: Environment variables that come from a secret.
        secret_files: Files that come from a secret: NAME is at /secrets/NAME/NAME.
        traffic: How requests are divided among revisions.
    """

    model: str = "photos"
    cpu: Cpu = "2"
    memory: Memory = "2Gi"
    concurrency: int = Field(default=32, ge=1, le=1000)
    min_instances: int = Field(default=0, ge=0)
    max_instances: int = Field(default=4, ge=1, le=1000)
    timeout: int = Field(default=60, ge=1, le=3600)
    hosts: tuple[Host, ...] = ()
    public: bool = False
    environment: dict[Variable, str] = Field(default_factory=dict)
    secrets: dict[Variable, Secret] = Field(default_factory=dict)
    secret_files: dict[File, Secret] = Field(default_factory=dict)
    traffic: tuple[Traffic, ...] = (Traffic(percent=100),)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_instances > self.max_instances:
            raise ValueError(f"min_instances is {self.min_instances} and max_instances {self.max_instances}")
        if (total := sum(part.percent for part in self.traffic)) != 100:
            raise ValueError(f"traffic adds up to {total} percent")
        return self


class Accelerator(SettingsModel):
    """GPUs of one machine, by the name that Vertex AI has for them."""

    type: str = "NVIDIA_L4"
    count: int = Field(default=1, ge=1, le=16)


class Machine(SettingsModel):
    """Where a job runs.

    Attributes:
        type: Compute Engine's name.
        accelerator: GPUs; none for the CPU.
        workers: Machines that run the same command.
        disk_gb: Of each machine.
        hours: After which the job is stopped.
        spot: At a fraction of the price; may be taken away, and goes on from its checkpoint.
    """

    type: str = "n2-standard-8"
    accelerator: Accelerator | None = None
    workers: int = Field(default=1, ge=1, le=100)
    disk_gb: int = Field(default=100, ge=100)
    hours: float = Field(default=6, gt=0, le=168)
    spot: bool = False


class TrainingJob(SettingsModel):
    """A training on Vertex AI: `animals train` or `animals sweep` with these words.

    Several workers train one network together (recipe=finetune or recipe=cnn), or share the trials of a sweep
    (`sweep.storage=postgresql://…`).
    """

    command: Literal["train", "sweep"] = "train"
    arguments: tuple[str, ...] = ()
    machine: Machine = Machine()
    environment: dict[Variable, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.machine.workers > 1 and not (self.is_distributed or self._shares_trials):
            raise ValueError(
                f"{self.machine.workers} workers would each train the same model: they train one together with "
                "recipe=finetune or recipe=cnn among the arguments, or share a sweep (command: sweep, and "
                "sweep.storage=postgresql://… among the arguments)"
            )
        return self

    @property
    def is_distributed(self) -> bool:
        """Several machines can fit its network together."""
        return self.command == "train" and not {"recipe=finetune", "recipe=cnn"}.isdisjoint(self.arguments)

    @property
    def _shares_trials(self) -> bool:
        return self.command == "sweep" and any(word.startswith("sweep.storage=postgresql") for word in self.arguments)


class StudyRange(SettingsModel):
    """Numbers between two, or one of some choices."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        bounds = (self.low, self.high)
        if bool(self.choices) is (bounds != (None, None)):
            raise ValueError("either low and high, or choices")
        if not self.choices and (self.low is None or self.high is None or self.low >= self.high):
            raise ValueError("low must be below high")
        if self.log and self.low is not None and self.low <= 0:
            raise ValueError("on a logarithmic scale low must be above 0")
        return self


class Study(SettingsModel):
    """A sweep that Vertex AI itself conducts: it chooses the settings, each trial is a training."""

    metric: str = "val/loss"
    goal: Literal["minimise", "maximise"] = "minimise"
    trials: int = Field(default=20, ge=1, le=1000)
    parallel: int = Field(default=4, ge=1, le=100)
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z][\w.]*$")], StudyRange] = Field(min_length=1)


class Build(SettingsModel):
    """Images built by Cloud Build when GitHub has something new.

    Attributes:
        owner: Of the repository.
        repository: Its name.
        branch: Whose pushes are built.
        builder: The image that holds `docker`.
        base: What our images stand on, by digest.
    """

    owner: str
    repository: str
    branch: str = "main"
    builder: Image
    base: Annotated[str, Field(pattern=r".+@sha256:[0-9a-f]{64}$")]


class Alerts(SettingsModel):
    """When somebody is called.

    Attributes:
        channels: Notification channels, `projects/…/notificationChannels/…`.
        error_ratio: Share of requests that fail.
        latency_seconds: The slowest twentieth of requests.
        prometheus: Collect the server's own metrics with a sidecar, and watch unknown photos and drift too.
        collector: The sidecar's image: an OpenTelemetry Collector with the receiver `prometheus` and the exporter
            `googlemanagedprometheus`, such as Google's own build.
        metrics_key: A secret that holds an API key with the scope `metrics`; needed where the server asks for keys.
        unknown_ratio: Share of photos that are none of the classes.
        drift: Score of drift.
        accuracy: The least share of right answers, by the audit.
    """

    channels: tuple[Annotated[str, Field(pattern=r"^projects/[^/]+/notificationChannels/[0-9]+$")], ...] = ()
    error_ratio: float = Field(default=0.01, gt=0, lt=1)
    latency_seconds: float = Field(default=2, gt=0)
    prometheus: bool = False
    collector: Image | None = None
    metrics_key: Secret | None = None
    unknown_ratio: float = Field(default=0.3, gt=0, lt=1)
    drift: float = Field(default=0.25, gt=0)
    accuracy: float = Field(default=0.8, gt=0, lt=1)

    @model_validator(mode="after")
    def _is_collected(self) -> Self:
        if self.prometheus and self.collector is None:
            raise ValueError(
                "prometheus needs a collector, or nobody collects what the alerts watch: name its image (collector: …)"
            )
        return self


class DriftJudging(SettingsModel):
    """Cloud Scheduler has the service judge drift, where no instance lives long enough to do it by itself.

    Attributes:
        url: Under which Cloud Run answers, `https://NAME-NUMBER.REGION.run.app`: Scheduler asks there, and its token is
            for this address alone.
        schedule: When, in cron's form.
        time_zone: Of the schedule.
    """

    url: Annotated[str, Field(pattern=r"^https://[a-z0-9-]+(\.[a-z0-9-]+)*\.run\.app$")]
    schedule: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")] = "*/15 * * * *"
    time_zone: str = "Etc/UTC"


class GitHub(SettingsModel):
    """Whose workflows may push images and read data, without a stored key.

    Attributes:
        repository: OWNER/NAME.
        pool: The pool of identities that GitHub's tokens are exchanged in; it has the project's number, not its id.
    """

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    pool: Annotated[str, Field(pattern=r"^projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+$")]


class DeploySettings(SettingsModel):
    """Everything that is deployed.

    Attributes:
        project: Google Cloud's id of the project.
        region: Where it runs.
        name: Of the service, and the beginning of every other name.
        bucket: Of data, runs and models; without `gs://`.
        repository: In Artifact Registry, for the images.
        github: Whose workflows may push images and read data.
        keep_images: Versions that the repository keeps of each image.
        drift: Who has drift judged.
        loop: When `animals loop run` runs; nowhere without it.
    """

    project: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
    name: Name = "animals"
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")]
    repository: Name = "animals"
    github: GitHub | None = None
    keep_images: int = Field(default=10, ge=1)
    images: ContainerImages
    service: CloudRunService = CloudRunService()
    job: TrainingJob | None = None
    study: Study | None = None
    batch: BatchJob | None = None
    build: Build | None = None
    alerts: Alerts = Alerts()
    drift: DriftJudging | None = None
    kubernetes: Kubernetes = Kubernetes()
    loop: LoopSchedule | None = None

    @property
    def parent(self) -> str:
        """What resources of the region are named after."""
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def labels(self) -> dict[str, str]:
        """What every resource carries, so that it can be found and paid for."""
        return {"app": self.name, "managed-by": "animals"}

    def account(self, role: str) -> str:
        """The address of a service account: of ``api``, ``train``, ``push``, ``data`` or ``judge``."""
        return f"{self.name}-{role}@{self.project}.iam.gserviceaccount.com"


def load_settings(path: Path) -> DeploySettings:
    """Read a settings file.

    Raises:
        UsageError: It cannot be read, or does not say what it must; names the key.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{str(path)!r}: cannot be read ({error.strerror}); deploy/example.yaml is an example"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{str(path)!r}: is no YAML: {' '.join(str(error).split())}") from error
    try:
        return DeploySettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        reason = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{str(path)!r}: {where}: {reason[:1].lower()}{reason[1:]}") from error
