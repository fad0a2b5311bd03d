"""Alert policies of Cloud Monitoring: failures, slowness, and no room to grow; with Prometheus also the model's own."""

from __future__ import annotations

from typing import Any

from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.documents import Document

_RUN = 'resource.type = "cloud_run_revision" AND resource.labels.service_name = "{name}" AND metric.type = "{metric}"'
_REQUESTS = "run.googleapis.com/request_count"
_LATENCY = "run.googleapis.com/request_latencies"
_DRIFT = "Photos differ from the reference"
_INSTANCES = "run.googleapis.com/container/instance_count"


def policies(settings: DeploySettings) -> list[Document]:
    """All of them."""
    found = [_failing(settings), _slow(settings), _full(settings)]
    if settings.alerts.prometheus:
        return found + [_promql(settings, *rule) for rule in _model_rules(settings)]
    return [*found, drift_in_logs(settings), _drift_told(settings)] if watches_drift(settings) else found


def watches_drift(settings: DeploySettings) -> bool:
    """Drift is judged, by Cloud Scheduler or by the service itself."""
    return settings.drift is not None or "ANIMALS_DRIFT_EVERY" in settings.service.environment


def drift_in_logs(settings: DeploySettings) -> Document:
    """A metric on the server's log: confirmed and harmful verdicts, each a line with ``event: drift``."""
    where = f'resource.type="cloud_run_revision" AND resource.labels.service_name="{settings.name}"'
    what = f'jsonPayload.event="drift" AND jsonPayload.confirmed=true AND jsonPayload.score>{settings.alerts.drift}'
    body = {
        "name": f"{settings.name}-drift",
        "description": "Verdicts on drift that is confirmed and costs accuracy",
        "filter": f"{where} AND {what}",
        "metricDescriptor": {"metricKind": "DELTA", "valueType": "INT64", "unit": "1"},
    }
    return Document("log-metric", f"projects/{settings.project}/metrics/{settings.name}-drift", body)


def _drift_told(settings: DeploySettings) -> Document:
    metric = f"logging.googleapis.com/user/{settings.name}-drift"
    condition = {
        "filter": f'resource.type = "cloud_run_revision" AND metric.type = "{metric}"',
        "aggregations": [
            {"alignmentPeriod": "300s", "perSeriesAligner": "ALIGN_SUM", "crossSeriesReducer": "REDUCE_SUM"}
        ],
        "comparison": "COMPARISON_GT",
        "thresholdValue": 0,
        "duration": "0s",
    }
    return _policy(settings, "drift", _DRIFT, condition)


def _failing(settings: DeploySettings) -> Document:
    every = _RUN.format(name=settings.name, metric=_REQUESTS)
    condition = {
        "filter": f'{every} AND metric.labels.response_code_class = "5xx"',
        "aggregations": [_sum()],
        "denominatorFilter": every,
        "denominatorAggregations": [_sum()],
        "comparison": "COMPARISON_GT",
        "thresholdValue": settings.alerts.error_ratio,
        "duration": "300s",
    }
    return _policy(settings, "failing", "Requests fail", condition)


def _slow(settings: DeploySettings) -> Document:
    condition = {
        "filter": _RUN.format(name=settings.name, metric=_LATENCY),
        "aggregations": [
            {
                "alignmentPeriod": "300s",
                "perSeriesAligner": "ALIGN_PERCENTILE_95",
                "crossSeriesReducer": "REDUCE_MAX",
                "groupByFields": ["resource.label.service_name"],
            }
        ],
        "comparison": "COMPARISON_GT",
        "thresholdValue": settings.alerts.latency_seconds * 1000,  # Cloud Run tells milliseconds
        "duration": "600s",
    }
    return _policy(settings, "slow", "One request in twenty is slow", condition)


def _full(settings: DeploySettings) -> Document:
    condition = {
        "filter": _RUN.format(name=settings.name, metric=_INSTANCES),
        "aggregations": [
            {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MAX", "crossSeriesReducer": "REDUCE_SUM"}
        ],
        "comparison": "COMPARISON_GT",
        "thresholdValue": settings.service.max_instances - 0.5,
        "duration": "600s",
    }
    return _policy(settings, "full", "As many instances as there may be", condition)


def _model_rules(settings: DeploySettings) -> list[tuple[str, str, str, str]]:
    alerts = settings.alerts
    unknown = "sum(increase(animals_unknown_total[1h])) / sum(increase(animals_predictions_total[1h]))"
    blind = "max(animals_drift_age_seconds) > 7200 and on() sum(increase(animals_predictions_total[2h])) > 1000"
    accuracy = f'min(animals_accuracy{{how="audit"}}) < {alerts.accuracy}'
    return [
        ("unknown", "Many photos are none of the classes", f"{unknown} > {alerts.unknown_ratio}", "1800s"),
        # Two windows in a row have shown it before the score passes, so there is nothing to wait for.
        ("drift", _DRIFT, f"max(animals_drift_score) > {alerts.drift}", "0s"),
        ("drift-blind", "Photos come, and nobody judges whether they drift", blind, "300s"),
        ("accuracy", "Too few answers are right, by the audit", accuracy, "3600s"),
    ]


def _promql(settings: DeploySettings, name: str, title: str, query: str, duration: str) -> Document:
    condition = {"query": query, "duration": duration, "evaluationInterval": "60s"}
    return _policy(settings, name, title, condition, kind="conditionPrometheusQueryLanguage")


def _policy(
    settings: DeploySettings, name: str, title: str, condition: dict[str, Any], *, kind: str = "conditionThreshold"
) -> Document:
    body = {
        "displayName": f"{settings.name}: {title}",
        "documentation": {
            "content": f"{title}. What to do is in docs/operations.md.",
            "mimeType": "text/markdown",
        },
        "userLabels": {**settings.labels, "rule": name},
        "combiner": "OR",
        "conditions": [{"displayName": title, kind: condition}],
        "notificationChannels": list(settings.alerts.channels),
        "enabled": True,
    }
    return Document("alert-policy", f"projects/{settings.project}/alertPolicies/{settings.name}-{name}", body)


def _sum() -> dict[str, str]:
    return {"alignmentPeriod": "300s", "perSeriesAligner": "ALIGN_RATE", "crossSeriesReducer": "REDUCE_SUM"}
