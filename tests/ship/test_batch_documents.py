"""What runs a batch elsewhere: against Google's message types, Kubernetes' schemas and KubeRay's own."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from animal_classification.cli.main import main
from animal_classification.cloud import resources as cloud_resources
from animal_classification.cloud.batch_settings import Platform
from animal_classification.cloud.deploy_settings import load_settings
from animal_classification.cloud.documents import Document
from animal_classification.cloud.render import render

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/example.yaml"
SCHEMA = Path(__file__).parent / "schemas/rayjob-v1.json.gz"


def documents(on: Platform) -> dict[str, Document]:
    rendered = render("batch", load_settings(EXAMPLE), on=on)
    found = {one.file: one for one in rendered}
    assert len(found) == len(rendered), "documents have names of their own"
    return found


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, by which what it does not name is refused: the cluster would drop it without a word."""
    made = copy.deepcopy(schema)

    def close(part: Any) -> None:
        if isinstance(part, dict):
            if "properties" in part and not part.get("x-kubernetes-preserve-unknown-fields"):
                part.setdefault("additionalProperties", False)
            for value in part.values():
                close(value)
        elif isinstance(part, list):
            for value in part:
                close(value)

    close(made)
    made["properties"]["metadata"] = {"type": "object"}  # of every object; Kubernetes' own
    return made


@pytest.fixture(scope="module")
def rayjob() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(strict(json.loads(gzip.decompress(SCHEMA.read_bytes()))))


def test_the_rayjob_is_what_kuberay_takes(rayjob: jsonschema.Draft7Validator) -> None:
    body = documents("kuberay")["rayjob.yaml"].body
    assert [error.message for error in rayjob.iter_errors(body)] == []
    cluster = body["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert body["spec"]["backoffLimit"] == 3


@pytest.mark.parametrize(
    ("place", "key"),
    [(("spec",), "backofLimit"), (("spec", "rayClusterSpec", "workerGroupSpecs", 0), "replica"), ((), "specs")],
)
def test_a_typo_in_a_rayjob_is_refused(rayjob: jsonschema.Draft7Validator, place: tuple[Any, ...], key: str) -> None:
    body = copy.deepcopy(documents("kuberay")["rayjob.yaml"].body)
    inner = body
    for step in place:
        inner = inner[step]
    inner[key] = 1
    assert any(key in error.message for error in rayjob.iter_errors(body))


@pytest.mark.parametrize("on", ["k8s", "kuberay"])
def test_what_kubernetes_itself_takes(on: Platform) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    for name, document in documents(on).items():
        if name not in ("kustomization.yaml", "rayjob.yaml"):
            validate.validate(document.body, validate.latest_version(), strict=True)


def ray_pods() -> dict[str, Any]:
    """Everything that KubeRay starts for a job: the head, the workers, and what hands the job in."""
    spec = documents("kuberay")["rayjob.yaml"].body["spec"]
    cluster = spec["rayClusterSpec"]
    return {
        "head": cluster["headGroupSpec"]["template"],
        "worker": cluster["workerGroupSpecs"][0]["template"],
        "submitter": spec["submitterPodTemplate"],
    }


@pytest.mark.parametrize("name", ["head", "worker", "submitter"])
def test_pods_of_ray_follow_kubernetes_schema(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, **ray_pods()[name]}
    validate.validate(pod, validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", ["head", "worker", "submitter"])
def test_the_namespace_admits_each_pod_of_ray(name: str) -> None:
    """By the rules of https://kubernetes.io/docs/concepts/security/pod-security-standards/, profile Restricted."""
    pod = ray_pods()[name]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]


def test_kuberay_chooses_what_the_submitter_runs() -> None:
    """It puts its own command into the first container, but only where there is none; the image must be Ray's."""
    pod = ray_pods()["submitter"]["spec"]
    assert not {"command", "args"} & set(pod["containers"][0])
    assert pod["containers"][0]["image"] == ray_pods()["head"]["spec"]["containers"][0]["image"]
    assert pod["restartPolicy"] == "Never"


@pytest.mark.parametrize("on", ["cloudrun-jobs", "vertex"])
def test_what_google_takes(on: Platform) -> None:
    pytest.importorskip("google.cloud.run_v2")
    from animal_classification.cloud.message_types import as_dict, message
    from tests.ship.test_cloud import leaves

    for document in documents(on).values():
        assert leaves(as_dict(message(document))) >= leaves(document.body), document.file


def test_a_job_of_cloud_run_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("google.cloud.run_v2")
    from tests.ship.cloud_stand_in import StandIn

    cloud = StandIn()
    monkeypatch.setattr(cloud_resources.Resources.__init__, "__defaults__", (cloud.connect,))
    words = ["deploy", "apply", "batch", "--on", "cloudrun-jobs", "--settings", str(EXAMPLE), "--yes"]
    try:
        assert main(words) == 0
        assert "CreateJob" in cloud.calls
        cloud.calls.clear()
        assert main(words) == 0
        assert cloud.calls == []
    finally:
        cloud.close()


@pytest.mark.parametrize("on", ["cloudrun-jobs", "k8s", "vertex"])
def test_the_tasks_run_a_command_that_there_is(on: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    """The words in the documents are those of the command line, but for the batch, which is not there."""
    text = json.dumps([document.body for document in documents(on).values()])
    assert '"batch", "run", "gs://zoo-animals/batches/2026", "--runner", "index"' in text
    assert main(["batch", "run", "/nowhere", "--runner", "index", "--workers", "2", "--json"]) == 2
    assert "no plan at '/nowhere'" in capsys.readouterr().err
