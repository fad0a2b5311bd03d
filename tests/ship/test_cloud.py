"""Documents against Google's own message types and Kubernetes' schemas; `apply` against a cloud on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from animal_classification.cli.main import main
from animal_classification.cloud import resources as cloud_resources
from animal_classification.cloud.deploy_settings import load_settings
from animal_classification.cloud.kubernetes_settings import ClusterTraining
from animal_classification.cloud.render import render
from animal_classification.errors import AnimalsError

pytest.importorskip("google.cloud.run_v2")

from animal_classification.cloud.message_types import as_dict, message
from tests.ship.cloud_stand_in import StandIn

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/example.yaml"
GOOGLE = [document for target in ("cloudrun", "vertex") for document in render(target, load_settings(EXAMPLE))]
OTHERS = {"kustomization.yaml", "monitor.yaml"}  # of kustomize, and of an operator
MANIFESTS = [one for one in render("k8s", load_settings(EXAMPLE)) if one.name not in OTHERS]
SERVICE = "projects/zoo-project/locations/europe-west4/services/animals"


@pytest.mark.parametrize("document", GOOGLE, ids=lambda one: one.file)
def test_documents_are_messages_of_googles_libraries(document: Any) -> None:
    """Every field exists, has the right type, and arrives: nothing is dropped on the way."""
    sent = as_dict(message(document))
    assert leaves(sent) >= leaves(document.body)


def leaves(value: Any) -> int:
    """How many values there are; empty ones, zeros and false do not count, as in messages."""
    if isinstance(value, dict):
        return sum(map(leaves, value.values()))
    if isinstance(value, list):
        return sum(map(leaves, value))
    return int(bool(value) and value != "ALGORITHM_UNSPECIFIED")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("run-service", {"templete": {}}),
        ("run-service", {"traffic": "all"}),
        ("vertex-job", {"jobSpec": {"workerPoolSpecs": [{"replicaCount": "many"}]}}),
        ("vertex-study", {"maxTrialCount": {}}),
        ("alert-policy", {"combiner": "XOR"}),
        ("repository", {"format": "PAPER"}),
        ("build-trigger", {"build": {"steps": [{"nmae": "x"}]}}),
        ("service-account", {"email2": "x"}),
        ("bucket-policy", {"bindings": [{"roles": []}]}),
    ],
)
def test_a_broken_document_is_noticed(kind: str, change: dict[str, Any]) -> None:
    document = next(one for one in GOOGLE if one.kind == kind)
    with pytest.raises(AnimalsError, match=kind):
        message(replace(document, body={**document.body, **change}))


@pytest.mark.parametrize("document", MANIFESTS, ids=lambda one: one.name)
def test_manifests_follow_kubernetes_schemas(document: Any) -> None:
    import kubernetes_validate

    kubernetes_validate.validate(document.body, kubernetes_validate.latest_version(), strict=True)


def test_the_monitor_is_what_its_operator_takes() -> None:
    from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor

    (monitor,) = (one.body for one in render("k8s", load_settings(EXAMPLE)) if one.name == "monitor.yaml")
    read = ServiceMonitor.model_validate(monitor)
    assert leaves(read.model_dump(by_alias=True, exclude_none=True)) == leaves(monitor), "nothing is dropped"
    with pytest.raises(ValueError, match="endpoints"):
        ServiceMonitor.model_validate({**monitor, "spec": {"selector": {}}})


def test_a_jobset_holds_a_job_that_kubernetes_takes() -> None:
    import kubernetes_validate

    asked = load_settings(EXAMPLE)
    cluster = asked.kubernetes.model_copy(update={"training": ClusterTraining(volume="disk", gpus=1)})
    documents = render("k8s", asked.model_copy(update={"kubernetes": cluster}))
    (jobset,) = (one.body for one in documents if one.body["kind"] == "JobSet")
    # The fields of JobSet's own that v1alpha2 has; the rest is Kubernetes' Job.
    assert jobset["spec"].keys() <= {"replicatedJobs", "network", "successPolicy", "failurePolicy", "startupPolicy"}
    assert jobset["spec"]["network"].keys() <= {"enableDNSHostnames", "subdomain", "publishNotReadyAddresses"}
    assert jobset["spec"]["failurePolicy"].keys() <= {"maxRestarts", "restartStrategy", "rules"}
    for part in jobset["spec"]["replicatedJobs"]:
        assert part.keys() <= {"name", "replicas", "template", "groupName", "dependsOn"}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": part["name"]}, **part["template"]}
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_a_broken_manifest_is_noticed() -> None:
    import kubernetes_validate

    deployment = next(one for one in MANIFESTS if one.name == "deployment.yaml")
    broken = {**deployment.body, "spec": {**deployment.body["spec"], "replicsa": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


def test_builds_follow_cloud_builds_schema(tmp_path: Path) -> None:
    for document in GOOGLE:
        if document.kind != "build-trigger":
            continue
        file = tmp_path / "cloudbuild.json"
        file.write_text(json.dumps(document.body["build"]), encoding="utf-8")
        words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild", str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    stand_in = StandIn()
    monkeypatch.setattr(cloud_resources.Resources.__init__, "__defaults__", (stand_in.connect,))
    yield stand_in
    stand_in.close()


def apply(target: str, *words: str, settings: Path = EXAMPLE) -> int:
    return main(["deploy", "apply", target, "--settings", str(settings), *words])


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "deploy.yaml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    return file


def test_apply_makes_everything_once(cloud: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert apply("cloudrun", "--dry-run") == 0
    assert "+    image: REGISTRY" in capsys.readouterr().out.replace("+  - ", "+    ")
    assert cloud.calls == []
    assert apply("cloudrun", "--yes") == 0
    assert cloud.calls.count("CreateServiceAccount") == 3
    assert {"CreateRepository", "CreateService", "CreateBuildTrigger", "CreateAlertPolicy"} <= set(cloud.calls)
    assert "animals-api@" in json.dumps(cloud.bucket_rights)

    cloud.calls.clear()
    capsys.readouterr()
    assert apply("cloudrun", "--yes") == 0
    assert cloud.calls == []
    assert "everything is as the settings say" in capsys.readouterr().err

    assert apply("cloudrun", "--yes", settings=changed(tmp_path, "max_instances: 6", "max_instances: 9")) == 0
    shown = capsys.readouterr().out
    assert "-    maxInstanceCount: 6" in shown
    assert "+    maxInstanceCount: 9" in shown
    assert sorted(cloud.calls) == ["UpdateAlertPolicy", "UpdateService"]  # the alert for all instances goes along


def test_rights_of_others_stay(cloud: StandIn) -> None:
    other = {"role": "roles/storage.objectViewer", "members": ["user:keeper@zoo.example"]}
    cloud.bucket_rights["bindings"] = [other]
    assert apply("cloudrun", "--yes") == 0
    (binding,) = cloud.bucket_rights["bindings"]
    assert "user:keeper@zoo.example" in binding["members"]
    assert len(binding["members"]) == 3


def test_roll_back(cloud: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert apply("cloudrun", "--yes") == 0
    assert apply("cloudrun", "--rollback") == 2
    assert "there is no revision before" in capsys.readouterr().err
    assert apply("cloudrun", "--yes", settings=changed(tmp_path, "api:v1", "api:v2")) == 0
    assert apply("cloudrun", "--rollback") == 0
    service = cloud.things["projects/zoo-project/locations/europe-west4/services/animals"]
    assert [(share.revision, share.percent) for share in service.traffic] == [("animals-00001", 100)]
    assert apply("cloudrun", "--rollback", "--revision", "animals-00009") == 2
    assert "it has animals-00002, animals-00001" in capsys.readouterr().err
    assert apply("cloudrun", "--revision", "animals-00002") == 2
    assert apply("cloudrun", "--rollback", "--revision", "animals-00002", "--dry-run") == 2
    service = cloud.things["projects/zoo-project/locations/europe-west4/services/animals"]
    assert [(share.revision, share.percent) for share in service.traffic] == [("animals-00001", 100)], "nothing moved"


def test_roll_back_passes_by_what_never_started(
    cloud: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply("cloudrun", "--yes") == 0
    cloud.starts_fail = True
    assert apply("cloudrun", "--yes", settings=changed(tmp_path, "api:v1", "api:v2")) == 0
    cloud.starts_fail = False
    assert apply("cloudrun", "--yes", settings=changed(tmp_path, "api:v1", "api:v3")) == 0
    assert apply("cloudrun", "--rollback") == 0
    assert [share.revision for share in cloud.things[SERVICE].traffic] == ["animals-00001"]
    assert apply("cloudrun", "--rollback", "--revision", "animals-00002") == 2
    assert "'animals-00002' never became ready; ready are animals-00003, animals-00001" in capsys.readouterr().err


def test_what_others_set_on_the_service_stays(
    cloud: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fields that the settings do not speak of are kept, and what goes is shown."""
    assert apply("cloudrun", "--yes") == 0
    service = cloud.things[SERVICE]
    service.template.vpc_access.connector = "projects/zoo-project/locations/europe-west4/connectors/db"
    service.custom_audiences.append("https://zoo.example")
    service.annotations["zoo.example/owner"] = "keeper"
    service.template.containers.append({"name": "proxy", "image": "PROXY/sql:1"})
    service.template.containers[0].env.append({"name": "BY_HAND", "value": "1"})
    service.template.revision = "animals-by-hand"
    capsys.readouterr()

    assert apply("cloudrun", "--yes", settings=changed(tmp_path, "max_instances: 6", "max_instances: 9")) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("-")]
    assert "-    - name: BY_HAND" in shown, "the server's variables are ours"
    assert not any("connector" in line or "PROXY" in line or "zoo.example" in line for line in shown)
    service = cloud.things[SERVICE]
    assert service.template.vpc_access.connector.endswith("/db")
    assert list(service.custom_audiences) == ["https://zoo.example"]
    assert service.annotations["zoo.example/owner"] == "keeper"
    assert [one.name for one in service.template.containers] == ["api", "collector", "proxy"]
    assert "BY_HAND" not in {one.name for one in service.template.containers[0].env}
    assert service.template.revision == "", "a name that is taken cannot be given to the next revision"

    cloud.calls.clear()
    assert apply("cloudrun", "--yes", settings=tmp_path / "deploy.yaml") == 0
    assert cloud.calls == []


def test_a_collector_that_is_not_asked_for_goes(
    cloud: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply("cloudrun", "--yes") == 0
    capsys.readouterr()
    assert apply("cloudrun", "--yes", settings=changed(tmp_path, "prometheus: true", "prometheus: false")) == 0
    assert "-  - name: collector" in capsys.readouterr().out
    assert [one.name for one in cloud.things[SERVICE].template.containers] == ["api"]


def test_an_alert_keeps_what_others_set(cloud: StandIn, tmp_path: Path) -> None:
    assert apply("cloudrun", "--yes") == 0
    (policy,) = (one for name, one in cloud.things.items() if "alertPolicies" in name and "slow" in one.display_name)
    policy.alert_strategy.auto_close = {"seconds": 1800}
    policy.user_labels["team"] = "keepers"
    made = len(cloud.things)
    assert (
        apply(
            "cloudrun",
            "--yes",
            settings=changed(tmp_path, "  prometheus: true", "  latency_seconds: 3\n  prometheus: true"),
        )
        == 0
    )
    (policy,) = (one for name, one in cloud.things.items() if "alertPolicies" in name and "slow" in one.display_name)
    assert policy.conditions[0].condition_threshold.threshold_value == 3000
    assert policy.alert_strategy.auto_close.seconds == 1800
    assert policy.user_labels["team"] == "keepers"
    assert len(cloud.things) == made


def test_what_is_not_public_any_more_is_closed(
    cloud: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The right of everybody is taken away, and shown; the rights of others stay."""
    assert apply("cloudrun", "--yes", settings=changed(tmp_path, "  concurrency: 32", "  public: true")) == 0
    rights = cloud.rights[SERVICE]
    rights.bindings[0].members.append("user:keeper@zoo.example")
    capsys.readouterr()
    assert apply("cloudrun", "--yes", settings=changed(tmp_path, "  concurrency: 32", "  public: false")) == 0
    assert "-  - allUsers" in capsys.readouterr().out
    (binding,) = cloud.rights[SERVICE].bindings
    assert list(binding.members) == ["user:keeper@zoo.example"]
    cloud.calls.clear()
    assert apply("cloudrun", "--yes", settings=tmp_path / "deploy.yaml") == 0
    assert cloud.calls == []


GOLDEN = Path(__file__).parent / "golden"
ROLLOUT = {
    "api:v1": "api:v2",
    "models/zoo/3": "models/zoo/4",
    'ANIMALS_RATE_LIMIT: "600"': 'ANIMALS_RATE_LIMIT: "300"',
    "max_instances: 6": "max_instances: 9",
}


@pytest.mark.parametrize("target", ["cloudrun", "k8s"])
def test_a_rollout_is_what_it_was(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the example becomes, and what a change of it changes, line by line, as people see it."""
    text, folder, file = EXAMPLE.read_text(encoding="utf-8"), tmp_path / "rendered", tmp_path / "deploy.yaml"
    words = ["deploy", "render", target, "--settings", str(file), "--output", str(folder)]
    file.write_text(text, encoding="utf-8")
    assert main(words) == 0
    first = capsys.readouterr().out
    for old, new in ROLLOUT.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    assert main(words) == 0
    expect(GOLDEN / f"{target}-example.diff", first)
    expect(GOLDEN / f"{target}-rollout.diff", capsys.readouterr().out)


def expect(golden: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "if that is meant: UPDATE_GOLDEN=1, and read the difference"


def test_jobs_are_started(cloud: StandIn) -> None:
    assert apply("vertex", "--yes") == 0
    assert cloud.calls == ["CreateServiceAccount", "PUT bucket", "CreateCustomJob", "CreateHyperparameterTuningJob"]


def test_what_the_cloud_refuses_is_one_line(cloud: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.refuse.add("CreateRepository")
    assert apply("cloudrun", "--yes") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "animals: Google Cloud refuses: 403 no right to CreateRepository"
    cloud.refuse.clear()
    assert apply("cloudrun", "--yes") == 0
    assert cloud.calls.count("CreateServiceAccount") == 3


def test_without_a_sign_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    assert apply("cloudrun", "--yes") == 1
    assert "not signed in to Google Cloud" in capsys.readouterr().err


KUBECTL = """#!/bin/sh
echo "$@" >> {log}
[ -f "$3/kustomization.yaml" ] || exit 9
case $1 in diff) echo "+ deployment"; exit {code};; apply) echo "deployment.apps/animals configured";; esac
"""


FIRST = """echo 'Error from server (NotFound): namespaces "animals" not found' >&2"""


@pytest.mark.parametrize(("code", "result", "calls"), [(1, 0, 2), (0, 0, 1), (2, 1, 1)])
def test_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, result: int, calls: int) -> None:
    """kubectl compares and applies; what it is given is a whole kustomization."""
    program, log = tmp_path / "kubectl", tmp_path / "log"
    program.write_text(KUBECTL.format(log=log, code=code), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert apply("k8s", "--yes") == result
    assert len(log.read_text(encoding="utf-8").splitlines()) == calls


def test_kubernetes_for_the_first_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl cannot compare within a namespace that it has yet to make."""
    program, log = tmp_path / "kubectl", tmp_path / "log"
    program.write_text(KUBECTL.format(log=log, code=1).replace('echo "+ deployment"', FIRST), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert apply("k8s", "--yes") == 0
    assert len(log.read_text(encoding="utf-8").splitlines()) == 2


def test_a_trial_reports_as_vertex_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from animal_classification.cloud import vertex_trial

    metrics = tmp_path / "deep/output.metrics"
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(metrics))
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "7")
    vertex_trial.report("val/loss", 0.25)
    line = json.loads(metrics.read_text(encoding="utf-8"))
    assert (line["trial"], line["val/loss"]) == ("7", "0.25")
