"""One settings file, and what becomes of it; the messages themselves are checked in tests/ship."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from animal_classification.cli.main import main
from animal_classification.cloud import batch
from animal_classification.cloud.batch_settings import Platform
from animal_classification.cloud.deploy_settings import DeploySettings, load_settings
from animal_classification.cloud.documents import Document
from animal_classification.cloud.render import TARGETS, render
from animal_classification.cloud.vertex_trial import as_override
from animal_classification.errors import UsageError

EXAMPLE = Path(__file__).parents[3] / "deploy/example.yaml"
CONTENT = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))


def settings(**changed: Any) -> DeploySettings:
    """The example with some parts changed; a part is a dictionary of what is different in it."""
    content = {**CONTENT}
    for name, value in changed.items():
        content[name] = {**CONTENT.get(name, {}), **value} if isinstance(value, dict) else value
    return DeploySettings.model_validate(content)


def find(documents: list[Document], kind: str) -> list[Document]:
    return [document for document in documents if document.kind == kind]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"serivce": {}}, "serivce: extra inputs are not permitted"),
        ({"service": {"min_instances": 9}}, "service: min_instances is 9 and max_instances 4"),
        ({"service": {"traffic": [{"percent": 40}]}}, "service: traffic adds up to 40 percent"),
        ({"service": {"memory": "2GB"}}, "service.memory: string should match pattern"),
        ({"images": {"api": "animals", "train": "x:1"}}, "images.api: string should match pattern"),
        ({"job": {"machine": {"workers": 4}}}, "job: 4 workers would each train the same model"),
        ({"job": {"command": "sweep", "machine": {"workers": 4}}}, "job: 4 workers would each train the same model"),
        ({"study": {"parameters": {"optim.lr": {"low": 1, "high": 0.1}}}}, "low must be below high"),
        ({"project": "Zoo"}, "project: string should match pattern"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], said: str
) -> None:
    file = tmp_path / "deploy.yaml"
    file.write_text(yaml.safe_dump({**CONTENT, **change}), encoding="utf-8")
    assert main(["deploy", "render", "k8s", "--settings", str(file)]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


def test_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize("target", TARGETS)
def test_documents_have_names_of_their_own(target: str) -> None:
    files = [document.file for document in render(target, settings())]
    assert len(files) == len(set(files)) > (0 if target == "github" else 3)  # there it is one file


def test_rendering_into_a_folder_shows_what_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder = tmp_path / "deploy.yaml", tmp_path / "rendered"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    words = ["deploy", "render", "cloudrun", "--settings", str(file), "--output", str(folder)]
    assert main(words) == 0
    assert main([*words, "--check"]) == 0
    file.write_text(file.read_text(encoding="utf-8").replace("concurrency: 32", "concurrency: 64"), encoding="utf-8")
    capsys.readouterr()
    assert main([*words, "--check"]) == 1
    shown = capsys.readouterr().out.splitlines()
    changed = [line for line in shown if line[:1] in "+-" and line[1:2] not in "+-"]
    assert changed == ["-  maxInstanceRequestConcurrency: 32", "+  maxInstanceRequestConcurrency: 64"]
    assert main(words) == 0
    assert main([*words, "--check"]) == 0


def test_what_is_rendered_no_more_goes(tmp_path: Path) -> None:
    (tmp_path / "alert-policy-old.yaml").write_text("kind: alert-policy\n", encoding="utf-8")
    (tmp_path / ".rendered").write_text("alert-policy-old.yaml\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("a: 1\n", encoding="utf-8")
    words = ["deploy", "render", "k8s", "--settings", str(EXAMPLE), "--output", str(tmp_path)]
    assert main(words) == 0
    assert not (tmp_path / "alert-policy-old.yaml").exists()
    assert (tmp_path / "mine.yaml").exists()
    assert main([*words, "--check"]) == 0


def test_the_service_takes_its_settings() -> None:
    shares = [{"revision": "animals-7", "percent": 90}, {"percent": 10, "tag": "new"}]
    asked = settings(service={"secrets": {"TOKEN": "token/3"}, "traffic": shares, "min_instances": 0})
    (service,) = find(render("cloudrun", asked), "run-service")
    container = service.body["template"]["containers"][0]
    token = next(one for one in container["env"] if one["name"] == "TOKEN")
    assert token["valueSource"]["secretKeyRef"] == {"secret": "token", "version": "3"}  # pragma: allowlist secret
    assert container["resources"]["cpuIdle"] is True
    assert [share["percent"] for share in service.body["traffic"]] == [90, 10]
    assert service.body["traffic"][0]["revision"] == "animals-7"


def test_rights_are_for_single_resources() -> None:
    """Nobody gets a right on the whole project, and nobody a role that can do everything."""
    for target in ("cloudrun", "vertex"):
        for document in render(target, settings()):
            if not document.kind.endswith("-policy") or document.kind == "alert-policy":
                continue
            for binding in document.body["bindings"]:
                # Google has no smaller place for this one.
                assert not document.name.endswith("zoo-project") or binding["role"] == "roles/monitoring.metricWriter"
                assert "admin" not in binding["role"].lower()
                assert binding["role"] not in {"roles/owner", "roles/editor", "roles/viewer"}
                assert "allUsers" not in binding["members"]


def test_only_a_public_service_is_open_to_everybody() -> None:
    documents = render("cloudrun", settings(service={"public": True}))
    (rights,) = find(documents, "run-service-policy")
    assert rights.body["bindings"] == [{"role": "roles/run.invoker", "members": ["allUsers"]}]
    (rights,) = find(render("cloudrun", settings(service={"public": False})), "run-service-policy")
    assert (rights.body["bindings"], rights.absent) == ([], {"roles/run.invoker": ["allUsers"]})
    assert "absent:\n  roles/run.invoker:\n  - allUsers\n" in rights.text()


def test_several_workers_share_a_sweep() -> None:
    job = {
        "command": "sweep",
        "arguments": ["sweep.storage=postgresql://studies/animals"],
        "machine": {"workers": 4, "type": "n2-standard-8"},
    }
    (document,) = find(render("vertex", settings(job=job, study=None)), "vertex-job")
    pools = document.body["jobSpec"]["workerPoolSpecs"]
    assert [pool["replicaCount"] for pool in pools] == [1, 3]
    assert "acceleratorType" not in pools[0]["machineSpec"]


def test_without_a_job_vertex_has_nothing_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "deploy.yaml"
    file.write_text(yaml.safe_dump({**CONTENT, "job": None, "study": None}), encoding="utf-8")
    assert main(["deploy", "render", "vertex", "--settings", str(file)]) == 2
    assert "the settings have no job" in capsys.readouterr().err


def test_images_without_a_digest_keep_their_tag_on_kubernetes() -> None:
    digest = "sha256:" + "0" * 64
    for image, expected in {
        "host:5000/zoo/api:v1": {"newName": "host:5000/zoo/api", "newTag": "v1"},
        f"zoo/api@{digest}": {"newName": "zoo/api", "digest": digest},
    }.items():
        documents = render("k8s", settings(images={"api": image}))
        kustomization = next(one for one in documents if one.name == "kustomization.yaml")
        assert kustomization.body["images"] == [{"name": "animals-api", **expected}]
        assert sorted(kustomization.body["resources"]) == sorted(
            one.name for one in documents if one.name != "kustomization.yaml"
        )


def test_vertex_words_become_ours() -> None:
    assert as_override("--optim.lr=0.01") == "optim.lr=0.01"
    assert as_override("data.path=photos") == "data.path=photos"


def manifest(file: str, **changed: Any) -> dict[str, Any]:
    return next(one.body for one in render("k8s", settings(**changed)) if one.name == f"{file}.yaml")


def container(**changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = manifest("deployment", **changed)["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(**changed: Any) -> dict[str, str]:
    found: dict[str, str] = manifest("configmap", **changed)["data"]
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {"service": {"model": "models:/zoo@production"}},
        {"service": {"environment": {"ANIMALS_RATE_LIMIT": "60"}}},
        {"kubernetes": {"memory": "4Gi"}},
    ],
)
def test_a_changed_setting_rolls_the_pods(changed: dict[str, Any]) -> None:
    """The configuration's name changes with its content, and the pods name it."""
    names = []
    for one in ({}, changed):
        name = manifest("configmap", **one)["metadata"]["name"]
        assert container(**one)["envFrom"] == [{"configMapRef": {"name": name}}]
        names.append(name)
    assert len(set(names)) == 2
    assert manifest("configmap")["metadata"]["name"] == names[0]


def test_secrets_of_the_cluster_are_variables_and_files() -> None:
    asked = {
        "secrets": {"PGPASSWORD": "animals-database/password"},  # pragma: allowlist secret
        "secret_files": {"ca.pem": "animals-database/ca.crt"},
    }
    keys = {"keys_secret": "animals-keys", "metrics": {"collector": "none"}}  # pragma: allowlist secret
    found = container(service={"secrets": {"PGPASSWORD": "pg/1"}}, kubernetes={**asked, **keys})
    source = {"secretKeyRef": {"name": "animals-database", "key": "password"}}
    assert found["env"] == [{"name": "PGPASSWORD", "valueFrom": source}]
    assert {mount["mountPath"] for mount in found["volumeMounts"]} == {
        "/tmp",
        "/secrets/ca.pem",
        "/secrets/keys.json",
    }
    pod = manifest("deployment", kubernetes={**asked, **keys})["spec"]["template"]["spec"]
    items = [volume["secret"]["items"][0] for volume in pod["volumes"] if "secret" in volume]
    assert items == [{"key": "ca.crt", "path": "ca.pem"}, {"key": "keys.json", "path": "keys.json"}]


@pytest.mark.parametrize(
    ("target", "changed", "said"),
    [
        (
            "k8s",
            {"service": {"secrets": {"PGPASSWORD": "pg/1"}}},  # pragma: allowlist secret
            "service.secrets.PGPASSWORD: comes from",
        ),
        (
            "k8s",
            {"service": {"secret_files": {"ca.pem": "ca"}}},
            "service.secret_files.ca.pem: comes from",
        ),
        ("k8s", {"kubernetes": {"keys_secret": ""}}, r"\(kubernetes.keys_secret: NAME\)"),
        ("k8s", {"kubernetes": {"metrics": {"collector": "annotations"}}}, "annotations cannot send one"),
        (
            "k8s",
            {"kubernetes": {"metrics": {"collector": "google"}}},
            "kubernetes.metrics.key: the server asks",
        ),
        ("k8s", {"kubernetes": {"memory": "512Mi"}}, "memory: 512Mi is too small for a server; give it 640Mi or more"),
        ("cloudrun", {"service": {"memory": "1Gi"}}, "1Gi is too small for a server; give it 1152Mi or more"),
        ("cloudrun", {"alerts": {"metrics_key": None}}, "alerts.metrics_key: the server asks for keys"),
    ],
)
def test_what_cannot_work_is_refused(target: str, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        render(target, settings(**changed))


LOG = {"ANIMALS_PREDICTION_LOG": "1"}
DATABASE = {**LOG, "ANIMALS_LOG_URL": "postgresql://animals@database/animals"}


@pytest.mark.parametrize("target", ["cloudrun", "k8s"])
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (LOG, "up to 6 replicas would each keep one of their own; set ANIMALS_LOG_URL"),
        ({**LOG, "ANIMALS_LOG_URL": "sqlite:////data/log.db"}, "a SQLite file is in the container"),
        ({**DATABASE, "ANIMALS_KEEP_PHOTOS": "thumbnail"}, "set ANIMALS_PHOTOS_URL to a bucket"),
    ],
)
def test_a_log_that_replicas_do_not_share_is_refused(target: str, environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        render(target, settings(service={"environment": {**CONTENT["service"]["environment"], **environment}}))


def test_a_shared_log_is_rendered() -> None:
    photos = {"ANIMALS_KEEP_PHOTOS": "thumbnail", "ANIMALS_PHOTOS_URL": "gs://zoo-animals/photos"}
    asked = {"environment": {**CONTENT["service"]["environment"], **DATABASE, **photos}}
    assert environment(service=asked)["ANIMALS_LOG_URL"] == DATABASE["ANIMALS_LOG_URL"]
    (rights,) = find(render("cloudrun", settings(service=asked)), "bucket-policy")
    assert "roles/storage.objectUser" in {binding["role"] for binding in rights.body["bindings"]}


@pytest.mark.parametrize(("cpu", "threads"), [("2", "2"), ("0.5", "1"), ("1500m", "2"), ("4.0", "4")])
def test_a_server_uses_the_processors_that_it_gets(cpu: str, threads: str) -> None:
    assert environment(kubernetes={"cpu": cpu})["ANIMALS_THREADS"] == threads


@pytest.mark.parametrize("memory", ["700Mi", "1Gi", "2Gi", "16Gi"])
def test_memory_bounds_fit_into_the_container(memory: str) -> None:
    found = environment(kubernetes={"memory": memory})
    bodies, decoding = int(found["ANIMALS_MAX_MEMORY_BYTES"]), int(found["ANIMALS_MAX_DECODE_BYTES"])
    whole = int(memory[:-2]) * 1024**2 * (1024 if memory.endswith("Gi") else 1)
    assert bodies + decoding <= whole - 384 * 1024**2
    assert int(found["ANIMALS_MAX_REQUEST_BYTES"]) <= bodies


def test_what_the_settings_say_wins() -> None:
    asked = {"environment": {**CONTENT["service"]["environment"], "ANIMALS_THREADS": "1"}}
    assert environment(service=asked)["ANIMALS_THREADS"] == "1"


def test_monitors_send_the_key() -> None:
    (endpoint,) = manifest("monitor")["spec"]["endpoints"]
    credentials = {"name": "animals-metrics-key", "key": "key"}
    assert endpoint["authorization"] == {"type": "Bearer", "credentials": credentials}
    google = {"collector": "google", "key": "animals-metrics-key/key"}
    found = manifest("monitor", kubernetes={"metrics": google})
    assert found["kind"] == "PodMonitoring"
    assert found["spec"]["endpoints"][0]["authorization"]["credentials"] == {"secret": credentials}


def test_without_keys_annotations_are_enough() -> None:
    service = {"environment": {}, "secret_files": {}}
    kubernetes = {"keys_secret": "", "metrics": {}}
    pod = manifest("deployment", service=service, kubernetes=kubernetes)["spec"]["template"]
    assert pod["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert "monitor.yaml" not in {one.name for one in render("k8s", settings(service=service, kubernetes=kubernetes))}


def test_the_collector_reads_its_configuration_and_key_from_its_environment() -> None:
    (service,) = find(render("cloudrun", settings()), "run-service")
    collector = service.body["template"]["containers"][1]
    variables = {one["name"]: one for one in collector["env"]}
    read = yaml.safe_load(variables["COLLECTOR_CONFIG"]["value"])
    (job,) = read["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["localhost:8080"]}]
    assert job["authorization"]["credentials"] == "${env:ANIMALS_METRICS_KEY}"
    secret = variables["ANIMALS_METRICS_KEY"]["valueSource"]["secretKeyRef"]["secret"]  # pragma: allowlist secret
    assert secret == "animals-metrics-key"  # pragma: allowlist secret
    without = settings(alerts={"prometheus": False})
    (service,) = find(render("cloudrun", without), "run-service")
    assert [one["name"] for one in service.body["template"]["containers"]] == ["api"]


def test_a_server_knows_the_names_under_which_it_is_reached() -> None:
    inside = environment()["ANIMALS_ALLOWED_HOSTS"].split(",")
    assert inside == ["animals.animals", "animals.animals.svc", "animals.zoo.example"]
    (service,) = find(render("cloudrun", settings()), "run-service")
    variables = {one["name"]: one.get("value") for one in service.body["template"]["containers"][0]["env"]}
    assert variables["ANIMALS_ALLOWED_HOSTS"] == "*.run.app,animals.zoo.example"
    assert variables["ANIMALS_TRUSTED_PROXIES"] == "1"


def test_several_machines_of_vertex_train_together() -> None:
    machine = {"workers": 3, "accelerator": {"type": "NVIDIA_L4", "count": 2}}
    job = find(render("vertex", settings(job={"machine": machine})), "vertex-job")[0].body
    pools = job["jobSpec"]["workerPoolSpecs"]
    assert [pool["replicaCount"] for pool in pools] == [1, 2]
    words = [
        "trainer.nodes=3",
        "trainer.devices=2",
        "data.cache=/gcs/zoo-animals/cache",
        "output=/gcs/zoo-animals/runs",
    ]
    assert all(pool["containerSpec"]["args"][-4:] == words for pool in pools)
    study = find(render("vertex", settings(job={"machine": machine})), "vertex-study")[0].body
    assert not [
        word for word in study["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"] if "nodes" in word
    ]


def test_a_cluster_trains_as_a_jobset() -> None:
    documents = render("k8s", settings(kubernetes={"training": {"volume": "disk", "machines": 4, "gpus": 2}}))
    (document,) = (one for one in documents if one.name == "training-jobset.yaml")
    kustomization = next(one for one in documents if one.name == "kustomization.yaml")
    assert document.name not in kustomization.body["resources"]  # applying the server starts no training
    spec = document.body["spec"]
    assert spec["failurePolicy"] == {"maxRestarts": 10}
    job = spec["replicatedJobs"][0]["template"]["spec"]
    assert (job["completionMode"], job["parallelism"], job["completions"], job["backoffLimit"]) == ("Indexed", 4, 4, 0)
    container = job["template"]["spec"]["containers"][0]
    assert container["args"][-4:] == [
        "trainer.nodes=4",
        "trainer.devices=2",
        "data.cache=/shared/cache",
        "output=/shared/runs",
    ]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert variables["MASTER_ADDR"] == "animals-train-workers-0-0.animals-train"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2


def test_a_cluster_has_nothing_to_train_without_a_job_that_can_be_shared() -> None:
    asked = settings(kubernetes={"training": {"volume": "disk"}}, job={"arguments": ["recipe=probe"]})
    with pytest.raises(UsageError, match="training needs a job: command train, with recipe=finetune or recipe=cnn"):
        render("k8s", asked)


@pytest.mark.parametrize("platform", batch.PLATFORMS)
def test_a_batch_in_a_folder_reaches_no_platform(platform: Platform) -> None:
    """No document mounts a volume: its pods would all end with `no plan at`."""
    with pytest.raises(UsageError, match=f"which {platform} does not reach: plan it into gs://"):
        batch.documents(settings(batch={"place": "/scratch/batch"}), platform)


def test_the_place_of_a_batch_is_one_word_of_rays_command() -> None:
    documents = batch.documents(settings(batch={"place": "gs://zoo/2026 fall; ls"}), "kuberay")
    (job,) = (one for one in documents if one.name == "rayjob.yaml")
    assert shlex.split(job.body["spec"]["entrypoint"])[3] == "gs://zoo/2026 fall; ls"
