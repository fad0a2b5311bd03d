"""Bring the cloud to what documents say: look at what is there, show the difference, change it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animal_classification.cloud.documents import Document, as_yaml, difference, write
from animal_classification.cloud.messages import as_dict, message, restricted
from animal_classification.cloud.resources import Resources
from animal_classification.cloud.service import traffic
from animal_classification.cloud.settings import Traffic
from animal_classification.errors import AnimalsError, UsageError


@dataclass(frozen=True)
class Step:
    """One document that differs from what is there.

    Attributes:
        document: What is wanted.
        there: The message that is there; ``None`` for nothing.
        diff: How they differ, for people.
    """

    document: Document
    there: Any | None
    diff: str


def plan(documents: Sequence[Document], resources: Resources) -> list[Step]:
    """What would have to be done.

    Raises:
        AnimalsError: A document is not what its service takes, or the cloud refuses to tell.
    """
    steps = []
    with _explained():
        for document in documents:
            wanted = as_dict(message(document))
            there = resources.get(document)
            found = {} if there is None else _found(document, there, wanted)
            old = as_yaml(found) if found else ""
            if diff := difference(old, as_yaml(wanted), document.name):
                steps.append(Step(document, there, diff))
    return steps


def _found(document: Document, there: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    if not document.is_rights:
        found: dict[str, Any] = restricted(as_dict(there), wanted)
        return found
    bindings = there.bindings if document.kind == "bucket-policy" else as_dict(there).get("bindings", [])
    given = {one["role"]: set(one["members"]) for one in bindings if not one.get("condition")}
    kept = [
        {"role": one["role"], "members": [member for member in one["members"] if member in given.get(one["role"], ())]}
        for one in wanted["bindings"]
    ]
    return {"bindings": [one for one in kept if one["members"]]}


def apply(steps: Sequence[Step], resources: Resources, done: Callable[[Step], None]) -> None:
    """Do it, in order; `done` is told of each.

    Raises:
        AnimalsError: The cloud refuses; what was done before stays done, and the same call goes on from there.
    """
    with _explained():
        for step in steps:
            there = step.there
            if there is None and step.document.is_rights:
                there = resources.get(step.document)  # what carries the rights has been made meanwhile
                if there is None:
                    raise AnimalsError(f"{step.document.name}: does not exist; make it first")
            resources.put(step.document, there)
            done(step)


def roll_back(name: str, resources: Resources, revision: str | None) -> str:
    """Send all requests to an earlier revision of a Cloud Run service.

    Args:
        name: Of the service, in full.
        resources: The cloud.
        revision: Which one; by default the last one before the one that most requests go to.

    Returns:
        The revision's name.

    Raises:
        UsageError: There is no such revision.
        AnimalsError: The cloud refuses.
    """
    with _explained():
        service = resources.run.get_service(request={"name": name})
        found = list(resources.revisions.list_revisions(request={"parent": name}))
        names = [_last(one.name) for one in sorted(found, key=lambda one: one.create_time, reverse=True)]
        chosen = revision or _before(names, service)
        if chosen not in names:
            raise UsageError(f"{_last(name)} has no revision {chosen!r}; it has {', '.join(names)}")
        wanted = Document("run-service", name, {"traffic": [traffic(Traffic(revision=chosen, percent=100))]})
        service.traffic = message(wanted).traffic
        resources.run.update_service(request={"service": service, "update_mask": {"paths": ["traffic"]}}).result()
        return chosen


def _before(names: list[str], service: Any) -> str:
    latest = _last(service.latest_ready_revision)
    shares = [(share.percent, share.revision or latest) for share in service.traffic_statuses]
    busiest = max(shares)[1] if shares else latest
    older = names[names.index(busiest) + 1 :] if busiest in names else []
    if not older:
        raise UsageError(f"there is no revision before {busiest!r}")
    return older[0]


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def kubectl(documents: Sequence[Document], *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``kubectl WORDS -k`` on the manifests.

    Raises:
        UsageError: There is no kubectl.
    """
    if (program := shutil.which("kubectl")) is None:
        raise UsageError("kubectl is not on the path; install it, or use `animals deploy render k8s --output DIR`")
    with tempfile.TemporaryDirectory() as folder:
        write(documents, Path(folder))
        return subprocess.run(  # noqa: S603 - fixed words
            [program, *words, "--kustomize", folder], capture_output=True, text=True, check=False
        )


@contextmanager
def _explained() -> Iterator[None]:
    """Google's errors as one line of ours."""
    from animal_classification.cloud.messages import find

    call_error = find("google.api_core.exceptions:GoogleAPICallError")
    sign_in_error = find("google.auth.exceptions:GoogleAuthError")
    try:
        yield
    except sign_in_error as error:
        raise AnimalsError(
            f"not signed in to Google Cloud ({_line(error)}); try: gcloud auth application-default login"
        ) from error
    except call_error as error:
        raise AnimalsError(f"Google Cloud refuses: {_line(error)}") from error


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]}…"
