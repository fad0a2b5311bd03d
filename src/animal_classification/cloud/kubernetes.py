"""The API on Kubernetes, for `kubectl apply -k`: probes, limits, an autoscaler, a disruption budget."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from animal_classification.cloud import jobset
from animal_classification.cloud.cloud_run import PORT
from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.documents import Document
from animal_classification.cloud.kubernetes_settings import KEYS
from animal_classification.cloud.loop_schedule import cron_job
from animal_classification.cloud.server_environment import SECRETS, environment

_USER = 65532


def manifests(settings: DeploySettings) -> list[Document]:
    """Everything, with the kustomization that lists it."""
    parts = {
        "namespace": _namespace(settings),
        "serviceaccount": _object(settings, "v1", "ServiceAccount", automountServiceAccountToken=False),
        "configmap": _configmap(settings),
        "deployment": _object(settings, "apps/v1", "Deployment", spec=_deployment(settings)),
        "service": _object(settings, "v1", "Service", spec=_service(settings)),
        "autoscaler": _object(settings, "autoscaling/v2", "HorizontalPodAutoscaler", spec=_autoscaler(settings)),
        "disruption": _object(settings, "policy/v1", "PodDisruptionBudget", spec=_budget(settings)),
        "network": _object(settings, "networking.k8s.io/v1", "NetworkPolicy", spec=_network(settings)),
        **_monitor(settings),
        **_loop(settings),
    }
    image, _, digest = settings.images.api.partition("@")
    head, _, last = image.rpartition("/")
    name, _, tag = last.partition(":")
    new = {"newName": f"{head}/{name}" if head else name, **({"digest": digest} if digest else {"newTag": tag})}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": settings.kubernetes.namespace,
        "labels": [{"pairs": {"app.kubernetes.io/managed-by": "animals"}}],
        "images": [{"name": "animals-api", **new}],
        "resources": [f"{part}.yaml" for part in parts],
    }
    documents = {**parts, "kustomization": kustomization}
    server = [Document("kubernetes", f"{part}.yaml", body) for part, body in documents.items()]
    return [*server, *jobset.training(settings)]


def _object(settings: DeploySettings, version: str, kind: str, **rest: Any) -> dict[str, Any]:
    metadata = {
        "name": settings.name,
        "namespace": settings.kubernetes.namespace,
        "labels": {"app.kubernetes.io/name": settings.name, "app.kubernetes.io/component": "api"},
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _namespace(settings: DeploySettings) -> dict[str, Any]:
    # The cluster itself refuses pods here that want more rights than ours.
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    metadata = {"name": settings.kubernetes.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _environment(settings: DeploySettings) -> dict[str, str]:
    asked = settings.kubernetes
    # While a pod leaves, load balancers go on sending for a moment.
    leaving = {"ANIMALS_DRAIN": "5", "ANIMALS_GRACE": "20"}
    keys = {"ANIMALS_KEYS_FILE": f"{SECRETS}/{KEYS}/{KEYS}"} if asked.keys_secret else {}
    inside = f"{settings.name}.{asked.namespace}"
    own = environment(settings, cpu=asked.cpu, memory=asked.memory, hosts=[inside, f"{inside}.svc"])
    return {**leaving, **own, **keys}


def _configmap(settings: DeploySettings) -> dict[str, Any]:
    """The server's variables, under a name that changes with them: so a changed one is a rollout, and can be undone."""
    found = _object(settings, "v1", "ConfigMap", immutable=True, data=_environment(settings))
    found["metadata"]["name"] = _configmap_name(settings)
    return found


def _configmap_name(settings: DeploySettings) -> str:
    text = json.dumps(_environment(settings), sort_keys=True)
    return f"{settings.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _selector(settings: DeploySettings) -> dict[str, Any]:
    return {"matchLabels": {"app.kubernetes.io/name": settings.name}}


def _deployment(settings: DeploySettings) -> dict[str, Any]:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": _selector(settings),
    }
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]
    volumes += [_secret_volume(file, source) for file, source in settings.kubernetes.files.items()]
    pod = {
        "serviceAccountName": settings.name,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 35,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [spread],
        "containers": [_container(settings)],
        "volumes": volumes,
    }
    metadata: dict[str, Any] = {"labels": {"app.kubernetes.io/name": settings.name}}
    if settings.kubernetes.metrics.collector == "annotations":
        scraped = {"scrape": "true", "port": str(PORT), "path": "/metrics"}
        metadata["annotations"] = {f"prometheus.io/{name}": value for name, value in scraped.items()}
    return {
        # The autoscaler says how many.
        "selector": _selector(settings),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "minReadySeconds": 5,
        "revisionHistoryLimit": 5,
        "template": {"metadata": metadata, "spec": pod},
    }


def _loop(settings: DeploySettings) -> dict[str, dict[str, Any]]:
    """The scheduled loop, where the settings want one."""
    if settings.loop is None:
        return {}
    secrets = [_secret_variable(name, source) for name, source in settings.kubernetes.secrets.items()]
    found = _object(settings, "batch/v1", "CronJob", spec=cron_job(settings, settings.loop, secrets))
    found["metadata"]["name"] = f"{settings.name}-loop"
    # No part of the API: the service must send nothing there.
    found["metadata"]["labels"] = {"app.kubernetes.io/name": f"{settings.name}-loop"}
    return {"loop": found}


def _secret_volume(file: str, source: str) -> dict[str, Any]:
    name, _, key = source.partition("/")
    secret = {"secretName": name, "defaultMode": 0o440, "items": [{"key": key, "path": file}]}
    return {"name": _volume_name(file), "secret": secret}


def _volume_name(file: str) -> str:
    """A name that Kubernetes takes, and no other file has."""
    return f"secret-{hashlib.sha256(file.encode()).hexdigest()[:10]}"


def _secret_variable(name: str, source: str) -> dict[str, Any]:
    secret, _, key = source.partition("/")
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _container(settings: DeploySettings) -> dict[str, Any]:
    asked = settings.kubernetes
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - in the container
    mounts += [{"name": _volume_name(file), "mountPath": f"{SECRETS}/{file}", "readOnly": True} for file in asked.files]
    return {
        "name": "api",
        "image": "animals-api",
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [_secret_variable(name, source) for name, source in asked.secrets.items()],
        "envFrom": [{"configMapRef": {"name": _configmap_name(settings)}}],
        "resources": {
            "requests": {"cpu": asked.cpu, "memory": asked.memory},
            "limits": {"cpu": asked.cpu, "memory": asked.memory},
        },
        "startupProbe": _probe("/readyz", period=1, failures=120),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    asked = {"path": path, "port": "http"}
    return {"httpGet": asked, "periodSeconds": period, "timeoutSeconds": 2, "failureThreshold": failures}


def _service(settings: DeploySettings) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {"selector": {"app.kubernetes.io/name": settings.name}, "ports": ports}


def _autoscaler(settings: DeploySettings) -> dict[str, Any]:
    asked = settings.kubernetes
    target = {"type": "Utilization", "averageUtilization": asked.target_cpu}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": settings.name},
        "minReplicas": asked.min_replicas,
        "maxReplicas": asked.max_replicas,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    }


def _budget(settings: DeploySettings) -> dict[str, Any]:
    return {"maxUnavailable": 1, "selector": _selector(settings)}


def _network(settings: DeploySettings) -> dict[str, Any]:
    return {
        "podSelector": _selector(settings),
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
    }


def _monitor(settings: DeploySettings) -> dict[str, dict[str, Any]]:
    """Who collects the metrics, as an object of its operator."""
    asked = settings.kubernetes.metrics
    if asked.collector not in {"prometheus-operator", "google"}:
        return {}
    endpoint: dict[str, Any] = {"port": "http", "path": "/metrics", "interval": "30s"}
    if asked.key is not None:
        name, _, key = asked.key.partition("/")
        credentials = {"name": name, "key": key}
        endpoint["authorization"] = {
            "type": "Bearer",
            "credentials": credentials if asked.collector == "prometheus-operator" else {"secret": credentials},
        }
    spec = {"selector": _selector(settings), "endpoints": [endpoint]}
    if asked.collector == "google":
        return {"monitor": _object(settings, "monitoring.googleapis.com/v1", "PodMonitoring", spec=spec)}
    monitor = _object(settings, "monitoring.coreos.com/v1", "ServiceMonitor", spec=spec)
    monitor["metadata"]["labels"] |= asked.labels
    return {"monitor": monitor}
