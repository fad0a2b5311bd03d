"""One settings file, and what becomes of it; the messages themselves are checked in tests/ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from animal_classification.cli.main import main
from animal_classification.cloud.documents import Document
from animal_classification.cloud.rendering import TARGETS, render
from animal_classification.cloud.settings import DeploySettings, load_settings
from animal_classification.cloud.trial import as_override
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
    assert len(files) == len(set(files)) > 3


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
            assert not document.name.endswith("zoo-project")
            for binding in document.body["bindings"]:
                assert "admin" not in binding["role"].lower()
                assert binding["role"] not in {"roles/owner", "roles/editor", "roles/viewer"}
                assert "allUsers" not in binding["members"]


def test_only_a_public_service_is_open_to_everybody() -> None:
    documents = render("cloudrun", settings(service={"public": True}))
    (rights,) = find(documents, "run-service-policy")
    assert rights.body["bindings"] == [{"role": "roles/run.invoker", "members": ["allUsers"]}]


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
