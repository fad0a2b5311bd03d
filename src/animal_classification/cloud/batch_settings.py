"""The part of a settings file that says where and how a batch runs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from animal_classification.cloud.settings_model import Cpu, Image, Memory, Name, SettingsModel, Variable

Platform = Literal["cloudrun-jobs", "k8s", "kuberay", "vertex"]
MOST_TASKS = 10_000  # of a job of Cloud Run


class BatchJob(SettingsModel):
    """A batch that `animals batch plan` has planned.

    Attributes:
        place: The batch's folder, at a place that all machines reach.
        image: What runs there: docker/batch.Dockerfile, which holds Ray in the version `ray_version` as well.
        tasks: Machines, or pods.
        cpu: Of each; one worker for each CPU.
        memory: Of each; a worker takes about 200 MB.
        retries: How often a task that failed is started again.
        hours: After which the job is stopped.
        spot: At a fraction of the price; may be taken away, which costs a shard's work.
        machine: Of Vertex AI, by Compute Engine's name.
        ray_version: Of the image, for KubeRay.
        environment: Variables of every task.
    """

    place: Annotated[str, Field(pattern=r"^((gs|s3)://[a-z0-9][a-z0-9._-]*/.+|/.+)$")]
    image: Image
    name: Name = "batch"
    tasks: int = Field(default=10, ge=1, le=MOST_TASKS)
    cpu: Cpu = "2"
    memory: Memory = "2Gi"
    retries: int = Field(default=3, ge=0, le=10)
    hours: float = Field(default=24, gt=0, le=168)
    spot: bool = True
    machine: str = "n2-highcpu-4"
    ray_version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] = "2.60.0"
    environment: dict[Variable, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.cpu.isdecimal() or self.cpu == "0":
            raise ValueError(f"cpu is {self.cpu!r}; workers have whole CPUs: write 1, 2, 4 or 8")
        return self

    @property
    def seconds(self) -> int:
        """After which the job is stopped."""
        return round(self.hours * 3600)
