"""Runs in MLflow: on SQLite in the output folder, or wherever ``tracking.uri`` says."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.registry.mlflow_client import artifact_location, connect, experiment_id, tracking_uri
from animal_classification.tracking.metric_names import picture_file, plain_name
from animal_classification.tracking.run_state import recall, remember

if TYPE_CHECKING:
    from mlflow.tracking.client import MlflowClient

    from animal_classification.config.schema import Config
    from animal_classification.training.run import Run

NAME = "mlflow"
BUNDLE_FOLDER = "bundle"
_PARAMS_AT_ONCE = 100  # what MLflow's servers take in one request
_METRICS_AT_ONCE = 1000


class MlflowTracker:
    """One run of one experiment.

    A metric that the run has already for a step is not logged again.
    """

    def __init__(self, client: MlflowClient, run_id: str, *, resumed: bool) -> None:
        self._client = client
        self._run_id = run_id
        self._resumed = resumed
        self._steps: dict[str, set[int]] = {}

    def log_config(self, config: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        there = self._client.get_run(self._run_id).data.params if self._resumed else {}
        # Parameters cannot be changed, and some (tracking.…) may be others when a run goes on.
        params = [Param(plain_name(key), str(value)) for key, value in config.items() if plain_name(key) not in there]
        for begin in range(0, len(params), _PARAMS_AT_ONCE):
            self._client.log_batch(self._run_id, params=params[begin : begin + _PARAMS_AT_ONCE])

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        named = {plain_name(name): float(value) for name, value in values.items()}
        metrics = [Metric(name, value, now, step) for name, value in named.items() if self._is_new(name, step)]
        for begin in range(0, len(metrics), _METRICS_AT_ONCE):
            self._client.log_batch(self._run_id, metrics=metrics[begin : begin + _METRICS_AT_ONCE])

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        file = Path("pictures", picture_file(name, step))
        with tempfile.TemporaryDirectory(prefix="animals-picture-") as folder:
            path = Path(folder, file.name)
            path.write_bytes(png)
            self._client.log_artifact(self._run_id, str(path), file.parent.as_posix())

    def log_bundle(self, bundle: Path) -> None:
        self._client.log_artifacts(self._run_id, str(bundle), BUNDLE_FOLDER)

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self._run_id, "FAILED" if failed else "FINISHED")

    def _is_new(self, name: str, step: int) -> bool:
        if not self._resumed:
            return True
        if name not in self._steps:
            self._steps[name] = {point.step for point in self._client.get_metric_history(self._run_id, name)}
        return step not in self._steps[name]


def open_mlflow(config: Config, run: Run) -> MlflowTracker:
    """Begin a run in MLflow, or go on with the one that this folder began.

    Raises:
        Exception: Whatever MLflow, its database or the network raise.
    """
    uri = tracking_uri(config.tracking.uri, output=config.output)
    client = connect(uri)
    earlier = recall(run.path).get(NAME, {})
    run_id = earlier.get("run_id", "")
    if run.resumed and earlier.get("uri") == uri and _goes_on(client, run_id):
        return MlflowTracker(client, run_id, resumed=True)
    experiment = experiment_id(client, config.tracking.experiment, artifact_location(uri, output=config.output))
    run_id = client.create_run(experiment, run_name=run.id, tags=_tags(config, run)).info.run_id
    remember(run.path, NAME, {"run_id": run_id, "uri": uri})
    return MlflowTracker(client, run_id, resumed=False)


def _goes_on(client: MlflowClient, run_id: str) -> bool:
    """Whether the run is still there; it is then running again."""
    from mlflow.exceptions import MlflowException

    try:
        client.update_run(run_id, status="RUNNING")
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE"):
            return False  # somebody has deleted it
        raise
    return True


def _tags(config: Config, run: Run) -> dict[str, str]:
    info = run.info
    code: dict[str, Any] = info["code"]
    tags = {
        "mlflow.source.name": "animals train",
        "mlflow.source.git.commit": code.get("git"),
        "animals.folder": str(run.path.absolute()),
        "animals.recipe": config.recipe.name,
        "animals.data_version": info["data"]["version"],
        "animals.code_version": code.get("version"),
    }
    return {key: str(value) for key, value in tags.items() if value}
