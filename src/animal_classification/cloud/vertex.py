"""Training on Vertex AI: a job on CPUs, GPUs or several machines, and a study that Vertex itself conducts."""

from __future__ import annotations

from typing import Any

from animal_classification.cloud.deploy_settings import DeploySettings, Study, StudyRange, TrainingJob
from animal_classification.cloud.documents import Document
from animal_classification.errors import UsageError

_GOALS = {"minimise": "MINIMIZE", "maximise": "MAXIMIZE"}


def job(settings: DeploySettings) -> Document:
    """`animals train` or `animals sweep` with the settings' words; runs and models go to the bucket."""
    asked = _job(settings)
    # Vertex mounts buckets at /gcs.
    output = f"output=/gcs/{settings.bucket}/runs"
    words = [asked.command, *asked.arguments, *_together(settings, asked), output]
    name = f"{settings.name}-{asked.command}"
    body = {"displayName": name, "labels": settings.labels, "jobSpec": _spec(settings, asked, words)}
    return Document("vertex-job", f"{settings.parent}/customJobs/{name}", body)


def study(settings: DeploySettings) -> Document:
    """A hyper-parameter study; each trial is a training with the settings that Vertex chose."""
    asked, plan = _job(settings), settings.study
    if plan is None:
        raise UsageError("there is no study in the settings")
    words = ["train", *asked.arguments, f"output=/gcs/{settings.bucket}/runs"]
    single = asked.model_copy(update={"machine": asked.machine.model_copy(update={"workers": 1})})
    spec = _spec(settings, single, words)
    container = spec["workerPoolSpecs"][0]["containerSpec"]
    # Vertex adds `--optim.lr=0.01` and reads the metric from a file: cloud/vertex_trial.py stands in between.
    container |= {"command": ["python", "-m", "animal_classification.cloud.vertex_trial", plan.metric]}
    container["args"] = words[1:]
    name = f"{settings.name}-study"
    body = {
        "displayName": name,
        "labels": settings.labels,
        "maxTrialCount": plan.trials,
        "parallelTrialCount": min(plan.parallel, plan.trials),
        "maxFailedTrialCount": max(1, plan.trials // 4),
        "studySpec": _study_spec(plan),
        "trialJobSpec": spec,
    }
    return Document("vertex-study", f"{settings.parent}/hyperparameterTuningJobs/{name}", body)


def _together(settings: DeploySettings, asked: TrainingJob) -> list[str]:
    """How machines and GPUs share a training; they learn their numbers from Vertex' CLUSTER_SPEC."""
    gpus = asked.machine.accelerator.count if asked.machine.accelerator else 1
    if not asked.is_distributed or (asked.machine.workers == 1 and gpus == 1):
        return []
    return [
        f"trainer.nodes={asked.machine.workers}",
        f"trainer.devices={gpus}",
        f"data.cache=/gcs/{settings.bucket}/cache",
    ]


def _job(settings: DeploySettings) -> TrainingJob:
    if settings.job is None:
        raise UsageError("the settings have no job: say what to train, under job (docs/deploy.md)")
    return settings.job


def _spec(settings: DeploySettings, asked: TrainingJob, words: list[str]) -> dict[str, Any]:
    machine = asked.machine
    kind: dict[str, Any] = {"machineType": machine.type}
    if machine.accelerator is not None:
        kind |= {"acceleratorType": machine.accelerator.type, "acceleratorCount": machine.accelerator.count}
    environment = {"HOME": "/tmp", **asked.environment}  # noqa: S108 - in the container
    pool: dict[str, Any] = {
        "machineSpec": kind,
        "replicaCount": 1,
        "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": machine.disk_gb},
        "containerSpec": {
            "imageUri": settings.images.train,
            "command": ["animals", words[0]],
            "args": words[1:],
            "env": [{"name": name, "value": value} for name, value in environment.items()],
        },
    }
    pools = [pool]
    if machine.workers > 1:
        # Vertex wants the first machine in a pool of its own.
        pools.append({**pool, "replicaCount": machine.workers - 1})
    return {
        "workerPoolSpecs": pools,
        "scheduling": {
            "timeout": f"{round(machine.hours * 3600)}s",
            "strategy": "SPOT" if machine.spot else "STANDARD",
        },
        "serviceAccount": settings.account("train"),
        "baseOutputDirectory": {"outputUriPrefix": f"gs://{settings.bucket}/vertex"},
    }


def _study_spec(plan: Study) -> dict[str, Any]:
    return {
        "metrics": [{"metricId": plan.metric, "goal": _GOALS[plan.goal]}],
        "parameters": [_parameter(name, what) for name, what in plan.parameters.items()],
        "algorithm": "ALGORITHM_UNSPECIFIED",  # Vertex' own: Bayesian optimisation
        "measurementSelectionType": "BEST_MEASUREMENT",
    }


def _parameter(name: str, what: StudyRange) -> dict[str, Any]:
    if what.choices:
        return {"parameterId": name, "categoricalValueSpec": {"values": list(what.choices)}}
    scale = {"scaleType": "UNIT_LOG_SCALE" if what.log else "UNIT_LINEAR_SCALE"}
    if what.whole:
        bounds: dict[str, Any] = {"minValue": str(int(what.low or 0)), "maxValue": str(int(what.high or 0))}
        return {"parameterId": name, "integerValueSpec": bounds, **scale}
    return {"parameterId": name, "doubleValueSpec": {"minValue": what.low, "maxValue": what.high}, **scale}
