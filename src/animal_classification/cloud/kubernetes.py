"""The API on Kubernetes, for `kubectl apply -k`: probes, limits, an autoscaler, a disruption budget."""

from __future__ import annotations

from typing import Any

from animal_classification.cloud.documents import Document
from animal_classification.cloud.service import PORT, SECRETS
from animal_classification.cloud.settings import DeploySettings

_USER = 65532


def manifests(settings: DeploySettings) -> list[Document]:
    """Everything, with the kustomization that lists it."""
    parts = {
        "namespace": _namespace(settings),
        "serviceaccount": _object(settings, "v1", "ServiceAccount", automountServiceAccountToken=False),
        "configmap": _object(settings, "v1", "ConfigMap", data=_environment(settings)),
        "deployment": _object(settings, "apps/v1", "Deployment", spec=_deployment(settings)),
        "service": _object(settings, "v1", "Service", spec=_service(settings)),
        "autoscaler": _object(settings, "autoscaling/v2", "HorizontalPodAutoscaler", spec=_autoscaler(settings)),
        "disruption": _object(settings, "policy/v1", "PodDisruptionBudget", spec=_budget(settings)),
        "network": _object(settings, "networking.k8s.io/v1", "NetworkPolicy", spec=_network(settings)),
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
    return [Document("kubernetes", f"{part}.yaml", body) for part, body in documents.items()]


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
    # While a pod leaves, load balancers go on sending for a moment.
    own = {"ANIMALS_MODEL": settings.service.model, "ANIMALS_DRAIN": "5", "ANIMALS_GRACE": "20"}
    keys = {"ANIMALS_KEYS_FILE": f"{SECRETS}/keys.json"} if settings.kubernetes.keys_secret else {}
    return {**own, **settings.service.environment, **keys}


def _selector(settings: DeploySettings) -> dict[str, Any]:
    return {"matchLabels": {"app.kubernetes.io/name": settings.name}}


def _deployment(settings: DeploySettings) -> dict[str, Any]:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": _selector(settings),
    }
    secret = settings.kubernetes.keys_secret
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]
    volumes += [{"name": "keys", "secret": {"secretName": secret, "defaultMode": 0o440}}] if secret else []
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
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}
    metadata = {"labels": {"app.kubernetes.io/name": settings.name}, "annotations": annotations}
    return {
        # The autoscaler says how many.
        "selector": _selector(settings),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "minReadySeconds": 5,
        "revisionHistoryLimit": 5,
        "template": {"metadata": metadata, "spec": pod},
    }


def _container(settings: DeploySettings) -> dict[str, Any]:
    asked = settings.kubernetes
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - in the container
    mounts += [{"name": "keys", "mountPath": SECRETS, "readOnly": True}] if asked.keys_secret else []
    return {
        "name": "api",
        "image": "animals-api",
        "ports": [{"name": "http", "containerPort": PORT}],
        "envFrom": [{"configMapRef": {"name": settings.name}}],
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
