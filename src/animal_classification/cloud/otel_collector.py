"""The configuration of the OpenTelemetry Collector that stands beside the server on Cloud Run."""

from __future__ import annotations

from typing import Any

from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.documents import as_yaml


def configuration(settings: DeploySettings, port: int) -> str:
    """YAML for the collector: what the server tells at ``/metrics`` goes to Managed Prometheus.

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
