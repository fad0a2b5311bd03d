"""The image repository, and the triggers that build images."""

from __future__ import annotations

from typing import Any

from animal_classification.cloud.deploy_settings import Build, DeploySettings
from animal_classification.cloud.documents import Document


def repository(settings: DeploySettings) -> Document:
    """Images in Artifact Registry; old ones go, those with a version's tag stay."""
    policies = {
        "keep-recent": {
            "id": "keep-recent",
            "action": "KEEP",
            "mostRecentVersions": {"keepCount": settings.keep_images},
        },
        "keep-releases": {
            "id": "keep-releases",
            "action": "KEEP",
            "condition": {"tagState": "TAGGED", "tagPrefixes": ["v"]},
        },
        "delete-old": {
            "id": "delete-old",
            "action": "DELETE",
            "condition": {"tagState": "ANY", "olderThan": "2592000s"},  # thirty days
        },
    }
    body = {
        "format": "DOCKER",
        "description": "Images of animals",
        "labels": settings.labels,
        "cleanupPolicies": policies,
        "dockerConfig": {"immutableTags": False},
    }
    return Document("repository", f"{settings.parent}/repositories/{settings.repository}", body)


def triggers(settings: DeploySettings) -> list[Document]:
    """A build for each push to the branch, and for each tag of a version; none where the settings have no build."""
    build = settings.build
    if build is None:
        return []
    events = {"branch": ({"branch": f"^{build.branch}$"}, "$SHORT_SHA"), "release": ({"tag": "^v[0-9]"}, "$TAG_NAME")}
    return [_trigger(settings, build, name, push, tag) for name, (push, tag) in events.items()]


def _trigger(settings: DeploySettings, build: Build, event: str, push: dict[str, str], tag: str) -> Document:
    name = f"{settings.name}-{event}"
    body = {
        "name": name,
        "description": "Images of animals",
        "tags": ["animals"],
        "github": {"owner": build.owner, "name": build.repository, "push": push},
        # What no image is made of starts no build.
        "includedFiles": ["src/**", "docker/**", "requirements/**", "pyproject.toml"],
        "serviceAccount": f"projects/{settings.project}/serviceAccounts/{settings.account('push')}",
        "build": _build(settings, build, tag),
    }
    return Document("build-trigger", f"{settings.parent}/triggers/{name}", body)


def _build(settings: DeploySettings, build: Build, tag: str) -> dict[str, Any]:
    places = {"api": _untagged(settings.images.api), "train": _untagged(settings.images.train)}
    steps = [
        {
            "id": image,
            "name": build.builder,
            "args": [
                "build",
                f"--file=docker/{image}.Dockerfile",
                f"--build-arg=BASE={build.base}",
                "--build-arg=REVISION=$COMMIT_SHA",
                f"--tag={place}:{tag}",
                ".",
            ],
            "waitFor": ["-"],
        }
        for image, place in places.items()
    ]
    return {
        "steps": steps,
        "images": [f"{place}:{tag}" for place in places.values()],
        "timeout": "3600s",
        "options": {"logging": "CLOUD_LOGGING_ONLY", "requestedVerifyOption": "VERIFIED", "diskSizeGb": "100"},
    }


def _untagged(image: str) -> str:
    name = image.partition("@")[0]
    head, _, last = name.rpartition("/")
    return f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
