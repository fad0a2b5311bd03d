"""Applies documents to the cloud: reads the present state, shows the difference, changes it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from animal_classification.cloud.cloud_run import traffic
from animal_classification.cloud.deploy_settings import Traffic
from animal_classification.cloud.documents import Document, as_yaml, difference, write
from animal_classification.cloud.message_types import as_dict, find, merged, message
from animal_classification.cloud.resources import Resources, bindings_of
from animal_classification.errors import AnimalsError, UsageError


@dataclass(frozen=True)
class Step:
    """One document that differs from what is there.

    Attributes:
        document: What will be there: what is wanted, in what is there now.
        there: The message that is there; ``None`` for nothing.
        diff: How they differ, for people; it shows everything that goes.
    """

    document: Document
    there: Any | None
    diff: str


def plan(documents: Sequence[Document], resources: Resources) -> list[Step]:
    """The steps that would be done.

    Raises:
        AnimalsError: A document is not what its service takes, or the cloud refuses to tell.
    """
    steps = []
    with _explained():
        for document in documents:
            wanted = as_dict(message(document))
            there = resources.get(document)
            old, new = _rights(document, there) if document.is_rights else _whole(there, wanted)
            if diff := difference(as_yaml(old) if old else "", as_yaml(new) if new else "", document.name):
                made = document if document.is_rights else replace(document, body=new)
                steps.append(Step(made, there, diff))
    return steps


def _whole(there: Any | None, wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is there, and what will be: fields that the settings do not speak of stay."""
    if there is None:
        return {}, wanted
    found = as_dict(there)
    new = merged(found, wanted)
    if new != found and "template" in new:
        # A name that somebody gave the present revision cannot be given to the next one.
        new["template"] = {key: value for key, value in new["template"].items() if key != "revision"}
    return found, new


def _rights(document: Document, there: Any | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the rights that are there, those that are ours to give or to take away; and those that will be."""
    wanted = {one["role"]: one["members"] for one in document.body["bindings"]}
    ours = {role: [*wanted.get(role, ()), *document.absent.get(role, ())] for role in {**wanted, **document.absent}}
    given: dict[str, set[str]] = {}
    for one in () if there is None else bindings_of(there):
        if not one.get("condition"):
            given.setdefault(one["role"], set()).update(one.get("members", ()))
    held = {role: [name for name in names if name in given.get(role, ())] for role, names in ours.items()}
    return _bindings(held), _bindings(wanted)


def _bindings(rights: dict[str, list[str]]) -> dict[str, Any]:
    found = [{"role": role, "members": members} for role, members in rights.items() if members]
    return {"bindings": found} if found else {}


def apply(steps: Sequence[Step], resources: Resources, done: Callable[[Step], None]) -> None:
    """Run the steps in order; `done` is called after each.

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
        revision: Which one; by default the last one before the one that most requests go to. It must have become ready.

    Returns:
        The revision's name.

    Raises:
        UsageError: There is no such revision, or it never became ready.
        AnimalsError: The cloud refuses.
    """
    with _explained():
        service = resources.run.get_service(request={"name": name})
        found = list(resources.revisions.list_revisions(request={"parent": name}))
        found.sort(key=lambda one: one.create_time, reverse=True)
        names = [_last(one.name) for one in found]
        ready = [_last(one.name) for one in found if _became_ready(one)]
        chosen = revision or _before(names, ready, service)
        if chosen not in names:
            raise UsageError(f"{_last(name)} has no revision {chosen!r}; it has {', '.join(names)}")
        if chosen not in ready:
            raise UsageError(f"revision {chosen!r} never became ready; ready are {', '.join(ready) or 'none'}")
        wanted = Document("run-service", name, {"traffic": [traffic(Traffic(revision=chosen, percent=100))]})
        service.traffic = message(wanted).traffic
        resources.run.update_service(request={"service": service, "update_mask": {"paths": ["traffic"]}}).result()
        return chosen


def _before(names: list[str], ready: list[str], service: Any) -> str:
    """The newest revision that became ready, among those older than the one that most requests go to."""
    latest = _last(service.latest_ready_revision)
    shares = [(share.percent, share.revision or latest) for share in service.traffic_statuses]
    busiest = max(shares)[1] if shares else latest
    older = names[names.index(busiest) + 1 :] if busiest in names else []
    chosen = next((one for one in older if one in ready), None)
    if chosen is None:
        raise UsageError(f"there is no revision before {busiest!r} that became ready")
    return chosen


def _became_ready(revision: Any) -> bool:
    """Whether Cloud Run once started it: a revision that failed would be refused, or answer nobody."""
    states = {condition.type_: condition.state.name for condition in revision.conditions}
    return states.get("Ready") == "CONDITION_SUCCEEDED"


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
