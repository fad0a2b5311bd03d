"""Write deploy/grafana/dashboards/animals.json: the metrics of docs/serve.md in six rows' worth of panels.

Run it after a change: python tools/dashboard.py. A test fails while the file is stale.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "deploy/grafana/dashboards/animals.json"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
# Title, unit, kind, and what is shown: (expression, legend).
PANELS: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    (
        "Requests a second",
        "reqps",
        "timeseries",
        [("sum by (status) (rate(animals_http_requests_total[$__rate_interval]))", "{{status}}")],
    ),
    (
        "Latency of /v1/predict",
        "s",
        "timeseries",
        [
            (
                f'histogram_quantile({q}, sum by (le) (rate(animals_http_request_duration_seconds_bucket{{route="/v1/predict"}}[$__rate_interval])))',
                name,
            )
            for q, name in ((0.5, "half"), (0.95, "19 of 20"), (0.99, "99 of 100"))
        ],
    ),
    (
        "Photos that wait for a core",
        "short",
        "timeseries",
        [("sum by (instance) (animals_queue_depth)", "{{instance}}")],
    ),
    (
        "Seconds until a core is free",
        "s",
        "timeseries",
        [
            (
                "histogram_quantile(0.95, sum by (le) (rate(animals_queue_wait_seconds_bucket[$__rate_interval])))",
                "19 of 20",
            )
        ],
    ),
    (
        "Seconds of decoding and inference",
        "s",
        "timeseries",
        [
            (
                "sum by (stage) (rate(animals_inference_duration_seconds_sum[$__rate_interval])) / sum by (stage) (rate(animals_inference_duration_seconds_count[$__rate_interval]))",
                "{{stage}}",
            )
        ],
    ),
    (
        "Photos in a batch",
        "short",
        "timeseries",
        [
            (
                "sum(rate(animals_batch_size_sum[$__rate_interval])) / sum(rate(animals_batch_size_count[$__rate_interval]))",
                "mean",
            )
        ],
    ),
    (
        "Answers a second, the ten most frequent",
        "short",
        "timeseries",
        [("topk(10, sum by (label) (rate(animals_predictions_total[$__rate_interval])))", "{{label}}")],
    ),
    (
        "Share of photos that are none of the classes",
        "percentunit",
        "timeseries",
        [
            (
                "sum by (model, version) (rate(animals_unknown_total[$__rate_interval])) / sum by (model, version) (rate(animals_predictions_total[$__rate_interval]))",
                "{{model}} {{version}}",
            )
        ],
    ),
    (
        "Probability of answers",
        "percentunit",
        "timeseries",
        [
            (
                f"histogram_quantile({q}, sum by (le) (rate(animals_prediction_confidence_bucket[$__rate_interval])))",
                name,
            )
            for q, name in ((0.1, "lowest tenth"), (0.5, "half"))
        ],
    ),
    (
        "Drift",
        "short",
        "timeseries",
        [("max by (model, kind, source) (animals_drift_score)", "{{model}} {{kind}} {{source}}")],
    ),
    (
        "Refused a second",
        "short",
        "timeseries",
        [("sum by (reason) (rate(animals_rejected_total[$__rate_interval]))", "{{reason}}")],
    ),
    ("Models that answer", "short", "table", [("animals_model_info == 1", "")]),
    (
        "Accuracy: by the audit, and estimated without labels",
        "percentunit",
        "timeseries",
        [('max by (model, how) (animals_accuracy{source=""})', "{{model}} {{how}}")],
    ),
    ("Since the last judged window", "s", "timeseries", [("max by (model) (animals_drift_age_seconds)", "{{model}}")]),
]


def dashboard() -> dict[str, Any]:
    return {
        "uid": "animals",
        "title": "animals",
        "tags": ["animals"],
        "timezone": "browser",
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": [_panel(number, *panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, title: str, unit: str, kind: str, shown: list[tuple[str, str]]) -> dict[str, Any]:
    table = kind == "table"
    targets = [
        {"refId": chr(65 + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend, "instant": table, "range": not table,
         **({"format": "table"} if table else {})}
        for i, (expression, legend) in enumerate(shown)
    ]  # fmt: skip
    return {
        "id": number + 1,
        "title": title,
        "type": kind,
        "datasource": SOURCE,
        "gridPos": {"h": 8, "w": 8, "x": number % 3 * 8, "y": number // 3 * 8},
        "fieldConfig": {"defaults": {"unit": unit, **({} if table else {"min": 0})}, "overrides": []},
        "targets": targets,
    }


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
