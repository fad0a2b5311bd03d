"""The part of a settings file that only Kubernetes reads."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from animal_classification.cloud.settings_model import Cpu, File, Memory, Name, SecretKey, SettingsModel, Variable

# The file of API keys, as it is called in secrets.
KEYS = "keys.json"


class MetricsScraping(SettingsModel):
    """Who collects the server's metrics on a cluster.

    Attributes:
        collector: `annotations` for a Prometheus that follows `prometheus.io/scrape`, `prometheus-operator` for a
            ServiceMonitor, `google` for a PodMonitoring of Managed Prometheus, `none` for nobody.
        key: NAME/KEY of a Secret that holds an API key with the scope `metrics`; needed where the server asks for keys.
        labels: What the Prometheus of the operator selects its monitors by.
    """

    collector: Literal["annotations", "prometheus-operator", "google", "none"] = "annotations"
    key: SecretKey | None = None
    labels: dict[str, str] = Field(default_factory=dict)


class ClusterTraining(SettingsModel):
    """The training of `job` on several machines of a cluster, as a JobSet.

    Attributes:
        machines: Pods, on a machine each.
        cpu: Of one pod.
        memory: Of one pod.
        gpus: Of one pod; a process for each.
        volume: A PersistentVolumeClaim that all pods may write (ReadWriteMany), for runs and decoded photos.
        restarts: How often all start again when one of them has failed; they go on from the last checkpoint.
    """

    machines: int = Field(default=2, ge=1, le=1000)
    cpu: Cpu = "4"
    memory: Memory = "8Gi"
    gpus: int = Field(default=0, ge=0, le=16)
    volume: Name
    restarts: int = Field(default=10, ge=0)


class Kubernetes(SettingsModel):
    """The same API on a cluster.

    Attributes:
        namespace: Where everything goes.
        cpu: Asked for, and the limit, of one replica.
        memory: The same.
        min_replicas: At least two, so that one may be moved.
        max_replicas: Bound of the autoscaler.
        target_cpu: Percent of the CPU asked for that the autoscaler aims at.
        keys_secret: A Secret with `keys.json`, who may ask; everybody where it is empty.
        secrets: Environment variables that come from a Secret, each as NAME/KEY.
        secret_files: Files that come from a Secret, each as NAME/KEY: FILE is at /secrets/FILE/FILE, as on Cloud Run.
        metrics: Who collects the server's metrics.
        training: Where `job` trains, if it does so on this cluster.
    """

    namespace: Name = "animals"
    cpu: Cpu = "2"
    memory: Memory = "2Gi"
    min_replicas: int = Field(default=2, ge=1)
    max_replicas: int = Field(default=6, ge=1)
    target_cpu: int = Field(default=70, ge=1, le=100)
    keys_secret: str = ""
    secrets: dict[Variable, SecretKey] = Field(default_factory=dict)
    secret_files: dict[File, SecretKey] = Field(default_factory=dict)
    metrics: MetricsScraping = MetricsScraping()
    training: ClusterTraining | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas is {self.min_replicas} and max_replicas {self.max_replicas}")
        return self

    @property
    def files(self) -> dict[str, str]:
        """Every file that comes from a Secret, the API keys among them: NAME/KEY by its own name."""
        keys = {KEYS: f"{self.keys_secret}/{KEYS}"} if self.keys_secret else {}
        return {**self.secret_files, **keys}
