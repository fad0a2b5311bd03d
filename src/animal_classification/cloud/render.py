"""Renders the documents of each target from the settings."""

from __future__ import annotations

from collections.abc import Callable

from animal_classification.cloud import (
    alerts,
    batch,
    cloud_build,
    cloud_run,
    drift_judging,
    iam,
    kubernetes,
    loop_schedule,
    vertex,
)
from animal_classification.cloud.batch_settings import Platform
from animal_classification.cloud.deploy_settings import DeploySettings
from animal_classification.cloud.documents import Document
from animal_classification.cloud.server_environment import check_settings

TARGETS = ("cloudrun", "vertex", "k8s", "github")


def render(target: str, settings: DeploySettings, *, on: Platform | None = None) -> list[Document]:
    """The documents of a target, in the order in which they can be applied.

    Args:
        target: One of ``TARGETS``, or ``batch``.
        settings: What is deployed.
        on: Where a batch is to run.

    Raises:
        UsageError: What the settings ask for cannot work there.
    """
    if target == "batch":
        return batch.documents(settings, on or "cloudrun-jobs")
    check_settings(settings, target)
    makers: dict[str, Callable[[DeploySettings], list[Document]]] = {
        "cloudrun": _cloudrun,
        "vertex": _vertex,
        "k8s": kubernetes.manifests,
        "github": loop_schedule.workflow,
    }
    return makers[target](settings)


def _cloudrun(settings: DeploySettings) -> list[Document]:
    data = ("data",) if settings.github else ()
    judge = ("judge",) if settings.drift else ()
    return merged(
        [
            *iam.accounts(settings, "api", "push", *data, *judge),
            cloud_build.repository(settings),
            cloud_run.service(settings),
            *iam.service_bindings(settings),
            *iam.judge_bindings(settings),
            *iam.metrics_bindings(settings),
            *iam.github_bindings(settings),
            *cloud_build.triggers(settings),
            *drift_judging.jobs(settings),
            *alerts.policies(settings),
        ]
    )


def _vertex(settings: DeploySettings) -> list[Document]:
    studies = [vertex.study(settings)] if settings.study else []
    return [
        *iam.accounts(settings, "train"),
        *iam.training_bindings(settings),
        vertex.job(settings),
        *studies,
    ]


def merged(documents: list[Document]) -> list[Document]:
    """Rights on one resource in one document."""
    found: dict[tuple[str, str], Document] = {}
    for document in documents:
        key = (document.kind, document.name)
        if key not in found:
            found[key] = document
            continue
        rights: dict[str, list[str]] = {}
        for binding in (*found[key].body["bindings"], *document.body["bindings"]):
            known = rights.setdefault(binding["role"], [])
            known += [member for member in binding["members"] if member not in known]
        bindings = [{"role": role, "members": members} for role, members in rights.items()]
        absent = {**found[key].absent, **document.absent}
        found[key] = Document(document.kind, document.name, {"bindings": bindings}, absent=absent)
    return list(found.values())
