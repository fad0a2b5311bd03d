"""The API on Cloud Run: one service, its traffic, and who may ask."""

from __future__ import annotations

from typing import Any

from animal_classification.cloud.deploy_settings import LATEST, DeploySettings, Traffic
from animal_classification.cloud.documents import Document, as_yaml
from animal_classification.cloud.server_environment import MIB, SECRETS, environment

PORT = 8080
COLLECTOR = "collector"
_TMP = 512 * MIB
_ALLOCATION = "TRAFFIC_TARGET_ALLOCATION_TYPE_"


def service(settings: DeploySettings) -> Document:
    """The service with its next revision."""
    asked = settings.service
    template = {
        "serviceAccount": settings.account("api"),
        "timeout": f"{asked.timeout}s",
        "maxInstanceRequestConcurrency": asked.concurrency,
        "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
        "scaling": {"minInstanceCount": asked.min_instances, "maxInstanceCount": asked.max_instances},
        "containers": [_container(settings), *([_collector(settings)] if settings.alerts.prometheus else [])],
        "volumes": _volumes(settings),
    }
    body = {
        "labels": settings.labels,
        "ingress": "INGRESS_TRAFFIC_ALL",
        "template": template,
        "traffic": [traffic(part) for part in asked.traffic],
    }
    return Document("run-service", f"{settings.parent}/services/{settings.name}", body)


def traffic(part: Traffic) -> dict[str, Any]:
    """A share of the requests, as Cloud Run says it."""
    target: dict[str, Any] = {"type": f"{_ALLOCATION}LATEST", "percent": part.percent}
    if part.revision != LATEST:
        target |= {"type": f"{_ALLOCATION}REVISION", "revision": part.revision}
    return {**target, **({"tag": part.tag} if part.tag else {})}


def _container(settings: DeploySettings) -> dict[str, Any]:
    asked = settings.service
    own = environment(settings, cpu=asked.cpu, memory=asked.memory, hosts=["*.run.app"], temporary=_TMP)
    # A server that is told to stop has ten seconds here; and Google's front end stands between it and its clients.
    place = {"ANIMALS_GRACE": "8", "ANIMALS_TRUSTED_PROXIES": "1"}
    variables = [{"name": name, "value": value} for name, value in {**place, **own}.items()]
    variables += [_secret_variable(name, secret) for name, secret in asked.secrets.items()]
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - in the container: memory of its own
    mounts += [{"name": _volume(file), "mountPath": f"{SECRETS}/{file}"} for file in asked.secret_files]
    return {
        "name": "api",
        "image": settings.images.api,
        "ports": [{"name": "http1", "containerPort": PORT}],
        "env": variables,
        "resources": {
            "limits": {"cpu": asked.cpu, "memory": asked.memory},
            "cpuIdle": asked.min_instances == 0,
            "startupCpuBoost": True,
        },
        "volumeMounts": mounts,
        "startupProbe": {
            "httpGet": {"path": "/readyz", "port": PORT},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "failureThreshold": 120,  # a model may have to be fetched
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": PORT},
            "periodSeconds": 10,
            "timeoutSeconds": 3,
            "failureThreshold": 3,
        },
    }


def _secret_variable(name: str, secret: str) -> dict[str, Any]:
    reference, _, version = secret.partition("/")
    return {"name": name, "valueSource": {"secretKeyRef": {"secret": reference, "version": version or LATEST}}}


def _collector(settings: DeploySettings) -> dict[str, Any]:
    """An OpenTelemetry Collector beside the server, configured by its environment; a key comes from a secret."""
    key = settings.alerts.metrics_key
    variables = [{"name": "COLLECTOR_CONFIG", "value": collector_config(settings, PORT)}]
    variables += [_secret_variable("ANIMALS_METRICS_KEY", key)] if key else []
    return {
        "name": COLLECTOR,
        "image": settings.alerts.collector,
        "args": ["--config=env:COLLECTOR_CONFIG"],
        "env": variables,
        "resources": {"limits": {"cpu": "1", "memory": "512Mi"}},
        "dependsOn": ["api"],
    }


def _volumes(settings: DeploySettings) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"medium": "MEMORY", "sizeLimit": f"{_TMP // MIB}Mi"}}]
    for file, secret in settings.service.secret_files.items():
        reference, _, version = secret.partition("/")
        items = [{"path": file, "version": version or LATEST}]
        volumes.append({"name": _volume(file), "secret": {"secret": reference, "items": items}})
    return volumes


def _volume(file: str) -> str:
    return "secret-" + "".join(letter if letter.isalnum() else "-" for letter in file.lower())


def collector_config(settings: DeploySettings, port: int) -> str:
    """YAML for the OpenTelemetry Collector beside the server: what ``/metrics`` says goes to Managed Prometheus.

    A key is named, not written: the collector takes it from its environment.
    """
    job: dict[str, Any] = {
        "job_name": settings.name,
        "scrape_interval": "30s",
        "metrics_path": "/metrics",
        "static_configs": [{"targets": [f"localhost:{port}"]}],
    }
    if settings.alerts.metrics_key:
        job["authorization"] = {"type": "Bearer", "credentials": "${env:ANIMALS_METRICS_KEY}"}
    attributes = [
        # Without it the series of several instances would write over each other.
        {"key": "service.instance.id", "from_attribute": "faas.id", "action": "upsert"},
        {"key": "service.name", "value": "${env:K_SERVICE}", "action": "insert"},
    ]
    pipeline = {
        "receivers": ["prometheus"],
        "processors": ["memory_limiter", "resourcedetection", "resource", "batch"],
        "exporters": ["googlemanagedprometheus"],
    }
    return as_yaml(
        {
            "receivers": {"prometheus": {"config": {"scrape_configs": [job]}}},
            "processors": {
                "memory_limiter": {"check_interval": "1s", "limit_percentage": 65, "spike_limit_percentage": 20},
                "resourcedetection": {"detectors": ["env", "gcp"]},
                "resource": {"attributes": attributes},
                "batch": {"send_batch_max_size": 200, "send_batch_size": 200, "timeout": "5s"},
            },
            "exporters": {"googlemanagedprometheus": None},
            "service": {"pipelines": {"metrics": pipeline}},
        }
    )
