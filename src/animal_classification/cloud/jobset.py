"""A training on several machines of a Kubernetes cluster, as a JobSet (jobset.sigs.k8s.io).

Each pod runs the same `animals train`. An Indexed Job numbers them, and the JobSet gives the first one a name that the
others find. It starts all again when one has failed; they then go on from the last checkpoint.
"""

from __future__ import annotations

from typing import Any

from animal_classification.cloud.deploy_settings import DeploySettings, TrainingJob
from animal_classification.cloud.documents import Document
from animal_classification.cloud.kubernetes_settings import ClusterTraining
from animal_classification.errors import UsageError

FILE = "training-jobset.yaml"
_WORKERS, _PORT = "workers", 29500
_SHARED = "/shared"
_USER = 65532


def training(settings: DeploySettings) -> list[Document]:
    """The JobSet, if one is asked for. It is made by `kubectl create`: applying the server's manifests starts nothing.

    Raises:
        UsageError: There is no job, or it is none that several machines can share.
    """
    asked = settings.kubernetes.training
    if asked is None:
        return []
    if settings.job is None or not settings.job.is_distributed:
        raise UsageError("kubernetes.training needs a job: command train, with recipe=finetune or recipe=cnn")
    name = f"{settings.name}-train"
    labels = {"app.kubernetes.io/name": settings.name, "app.kubernetes.io/component": "training"}
    workers = {"name": _WORKERS, "replicas": 1, "template": {"spec": _job(settings, asked, name, labels)}}
    body = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name, "namespace": settings.kubernetes.namespace, "labels": labels},
        "spec": {
            "network": {"enableDNSHostnames": True, "subdomain": name},
            "failurePolicy": {"maxRestarts": asked.restarts},
            "replicatedJobs": [workers],
        },
    }
    return [Document("kubernetes", FILE, body)]


def _job(settings: DeploySettings, asked: ClusterTraining, name: str, labels: dict[str, str]) -> dict[str, Any]:
    pod = {
        "restartPolicy": "Never",  # all start again together
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings, asked, name)],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "shared", "persistentVolumeClaim": {"claimName": asked.volume}},
        ],
    }
    return {
        "completionMode": "Indexed",
        "parallelism": asked.machines,
        "completions": asked.machines,
        "backoffLimit": 0,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }


def _container(settings: DeploySettings, asked: ClusterTraining, name: str) -> dict[str, Any]:
    assert settings.job is not None
    resources = {"cpu": asked.cpu, "memory": asked.memory, **({"nvidia.com/gpu": asked.gpus} if asked.gpus else {})}
    return {
        "name": "train",
        "image": settings.images.train,
        "command": ["animals", "train"],
        "args": _words(settings.job, asked),
        "env": [{"name": key, "value": value} for key, value in _environment(settings.job, name).items()],
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container
            {"name": "shared", "mountPath": _SHARED},
        ],
    }


def _words(job: TrainingJob, asked: ClusterTraining) -> list[str]:
    ours = [f"trainer.nodes={asked.machines}", f"trainer.devices={asked.gpus or 1}"]
    return [*job.arguments, *ours, f"data.cache={_SHARED}/cache", f"output={_SHARED}/runs"]


def _environment(job: TrainingJob, name: str) -> dict[str, str]:
    """The number of a pod is in JOB_COMPLETION_INDEX, which Kubernetes sets."""
    first = f"{name}-{_WORKERS}-0-0.{name}"
    return {"HOME": "/tmp", "MASTER_ADDR": first, "MASTER_PORT": str(_PORT), **job.environment}  # noqa: S108
