"""A batch on Cloud Run Jobs, a Kubernetes Indexed Job, KubeRay or Vertex AI: no scheduler of ours.

Which task does what is not in these documents: every task takes shards that nobody has, so that any may die.
"""

from __future__ import annotations

import shlex
from typing import Any

from animal_classification.cloud import iam
from animal_classification.cloud.batch_settings import BatchJob, Platform
from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.documents import Document
from animal_classification.errors import UsageError

PLATFORMS = ("cloudrun-jobs", "k8s", "kuberay", "vertex")
USER = 65532
_KEPT_SECONDS = 24 * 3600
_OBJECT_STORE = 100 * 1024 * 1024
_HEAD_MEMORY = "2Gi"
_SUBMITTER_MEMORY = "1Gi"
_CALLED_WRONGLY = 2


def documents(settings: DeploySettings, platform: Platform) -> list[Document]:
    """What runs the settings' batch on a platform.

    Raises:
        UsageError: The settings have no batch, or it cannot run there.
    """
    asked = settings.batch
    if asked is None:
        raise UsageError("the settings have no batch: say where it is, under batch (docs/batch.md)")
    if asked.place.startswith("/"):  # no volume is mounted on any of them
        raise UsageError(f"batch.place is {asked.place!r}, which {platform} does not reach: plan it into gs://")
    if platform == "cloudrun-jobs":
        return [*_rights(settings), _run_job(settings, asked)]
    if platform == "vertex":
        return [*_rights(settings), _vertex_job(settings, asked)]
    body = _indexed_job(settings, asked) if platform == "k8s" else _ray_job(settings, asked)
    return [
        Document("kubernetes", "namespace.yaml", _namespace(settings)),
        Document("kubernetes", "serviceaccount.yaml", _account(settings, asked)),
        Document("kubernetes", "job.yaml" if platform == "k8s" else "rayjob.yaml", body),
        Document("kubernetes", "kustomization.yaml", _kustomization(settings, platform)),
    ]


def _rights(settings: DeploySettings) -> list[Document]:
    return [*iam.accounts(settings, "train"), *iam.training_bindings(settings)]


def _words(asked: BatchJob, runner: str) -> list[str]:
    return ["batch", "run", asked.place, "--runner", runner, "--workers", asked.cpu, "--json"]


def _variables(asked: BatchJob, **more: str) -> list[dict[str, str]]:
    # Models from a bucket are kept in the user's cache, which has to be somewhere.
    found = {"HOME": "/tmp", **more, **asked.environment}  # noqa: S108 - in the container
    return [{"name": name, "value": value} for name, value in found.items()]


def _name(settings: DeploySettings, asked: BatchJob) -> str:
    return f"{settings.name}-{asked.name}"


def _run_job(settings: DeploySettings, asked: BatchJob) -> Document:
    task = {
        "containers": [
            {
                "name": "batch",
                "image": asked.image,
                "command": ["animals"],
                "args": _words(asked, "index"),
                "env": _variables(asked),
                "resources": {"limits": {"cpu": asked.cpu, "memory": asked.memory}},
            }
        ],
        "maxRetries": asked.retries,
        "timeout": f"{asked.seconds}s",
        "serviceAccount": settings.account("train"),
        "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
    }
    template = {"taskCount": asked.tasks, "parallelism": asked.tasks, "template": task}
    body = {"labels": settings.labels, "template": template}
    return Document("run-job", f"{settings.parent}/jobs/{_name(settings, asked)}", body)


def _vertex_job(settings: DeploySettings, asked: BatchJob) -> Document:
    pool = {
        "machineSpec": {"machineType": asked.machine},
        "replicaCount": 1,
        "containerSpec": {
            "imageUri": asked.image,
            "command": ["animals"],
            # Vertex gives whole machines: one worker for each of their CPUs.
            "args": ["batch", "run", asked.place, "--runner", "index", "--json"],
            "env": _variables(asked),
        },
    }
    # Vertex wants the first machine in a pool of its own.
    pools = [pool, {**pool, "replicaCount": asked.tasks - 1}] if asked.tasks > 1 else [pool]
    spec = {
        "workerPoolSpecs": pools,
        "scheduling": {
            "timeout": f"{asked.seconds}s",
            "strategy": "SPOT" if asked.spot else "STANDARD",
            "restartJobOnWorkerRestart": False,
        },
        "serviceAccount": settings.account("train"),
    }
    name = _name(settings, asked)
    body = {"displayName": name, "labels": settings.labels, "jobSpec": spec}
    return Document("vertex-job", f"{settings.parent}/customJobs/{name}", body)


def _object(settings: DeploySettings, version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": settings.name, "app.kubernetes.io/component": "batch"}
    metadata = {"name": name, "namespace": settings.kubernetes.namespace, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _namespace(settings: DeploySettings) -> dict[str, Any]:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": settings.kubernetes.namespace, "labels": labels},
    }


def _account(settings: DeploySettings, asked: BatchJob) -> dict[str, Any]:
    """Who the pods are; on Google's clusters, with the rights of the account of trainings."""
    found = _object(settings, "v1", "ServiceAccount", _name(settings, asked), automountServiceAccountToken=False)
    found["metadata"]["annotations"] = {"iam.gke.io/gcp-service-account": settings.account("train")}
    return found


def _kustomization(settings: DeploySettings, platform: Platform) -> dict[str, Any]:
    job = "job.yaml" if platform == "k8s" else "rayjob.yaml"
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": settings.kubernetes.namespace,
        "labels": [{"pairs": {"app.kubernetes.io/managed-by": "animals"}}],
        "resources": ["namespace.yaml", "serviceaccount.yaml", job],
    }


def _indexed_job(settings: DeploySettings, asked: BatchJob) -> dict[str, Any]:
    """A plain Job, whose pods have numbers; a pod that was moved does not count as a failure."""
    container = _container(asked, "batch", asked.memory, ANIMALS_TASK_COUNT=str(asked.tasks))
    container |= {"command": ["animals"], "args": _words(asked, "index")}
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "FailJob",  # a call that is wrong stays wrong
            "onExitCodes": {"containerName": "batch", "operator": "In", "values": [_CALLED_WRONGLY]},
        },
    ]
    spec = {
        "completionMode": "Indexed",
        "completions": asked.tasks,
        "parallelism": asked.tasks,
        "backoffLimitPerIndex": asked.retries,
        "maxFailedIndexes": asked.tasks,
        "podFailurePolicy": {"rules": rules},
        "activeDeadlineSeconds": asked.seconds,
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "template": {"spec": {**_pod(settings, asked, [container]), "restartPolicy": "Never"}},
    }
    return _object(settings, "batch/v1", "Job", _name(settings, asked), spec=spec)


def _ray_job(settings: DeploySettings, asked: BatchJob) -> dict[str, Any]:
    """A cluster of Ray for this batch alone: the head takes no work, so that only workers can run out of memory."""
    store = {"object-store-memory": str(_OBJECT_STORE)}
    unspotted = asked.model_copy(update={"spot": False})
    submitter = _container(asked.model_copy(update={"cpu": "1"}), "ray-job-submitter", _SUBMITTER_MEMORY)
    head = _container(asked, "ray-head", _HEAD_MEMORY, RAY_USAGE_STATS_ENABLED="0")
    worker = _container(asked, "ray-worker", asked.memory, RAY_USAGE_STATS_ENABLED="0")
    cluster = {
        "rayVersion": asked.ray_version,
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", **store},
            "template": {"spec": _pod(settings, unspotted, [head])},
        },
        "workerGroupSpecs": [
            {
                "groupName": "workers",
                "replicas": asked.tasks,
                "minReplicas": asked.tasks,
                "maxReplicas": asked.tasks,
                "rayStartParams": {"num-cpus": asked.cpu, **store},
                "template": {"spec": _pod(settings, asked, [worker])},
            }
        ],
    }
    spec = {
        "entrypoint": f"animals batch run {shlex.quote(asked.place)} --runner ray --address auto --json",
        "submissionMode": "K8sJobMode",
        # KubeRay's own pod for this has no security context, so that the namespace would refuse it.
        "submitterPodTemplate": {"spec": {**_pod(settings, unspotted, [submitter]), "restartPolicy": "Never"}},
        "backoffLimit": asked.retries,
        "activeDeadlineSeconds": asked.seconds,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "rayClusterSpec": cluster,
    }
    return _object(settings, "ray.io/v1", "RayJob", _name(settings, asked), spec=spec)


def _pod(settings: DeploySettings, asked: BatchJob, containers: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "serviceAccountName": _name(settings, asked),
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": containers,
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "8Gi"}}],
    }
    if asked.spot:
        spot = "cloud.google.com/gke-spot"
        found["nodeSelector"] = {spot: "true"}
        found["tolerations"] = [{"key": spot, "operator": "Equal", "value": "true", "effect": "NoSchedule"}]
    return found


def _container(asked: BatchJob, name: str, memory: str, **variables: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": asked.image,
        "env": _variables(asked, **variables),
        "resources": {kind: {"cpu": asked.cpu, "memory": memory} for kind in ("requests", "limits")},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - in the container
    }
