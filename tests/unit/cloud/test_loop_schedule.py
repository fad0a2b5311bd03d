"""The loop on a schedule: one run at a time, no more rights than it needs, and waiting for people is no failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from animal_classification.cli.main import main
from animal_classification.cloud.deploy_settings import load_settings
from animal_classification.cloud.loop_schedule import _WAITING_IS_NO_FAILURE
from animal_classification.cloud.render import render

EXAMPLE = Path(__file__).parents[3] / "deploy" / "example.yaml"


def cron_job() -> dict[str, Any]:
    return next(one.body for one in render("k8s", load_settings(EXAMPLE)) if one.name == "loop.yaml")


def test_one_run_at_a_time_without_rights() -> None:
    spec = cron_job()["spec"]
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["containers"][0]["command"][-6:] == [
        "loop",
        "run",
        "--config",
        "/loop/loop.yaml",
        "--until",
        "promote",
    ]
    assert "loop.yaml" in next(
        one.body["resources"] for one in render("k8s", load_settings(EXAMPLE)) if one.name == "kustomization.yaml"
    )


def test_the_service_sends_it_nothing() -> None:
    documents = {one.name: one.body for one in render("k8s", load_settings(EXAMPLE))}
    wanted = documents["service.yaml"]["spec"]["selector"].items()
    labels = documents["loop.yaml"]["spec"]["jobTemplate"]["spec"]["template"].get("metadata", {}).get("labels", {})
    assert not wanted <= labels.items()


@pytest.mark.skipif(sys.platform == "win32", reason="the shell of a container")
@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_waiting_for_people_is_no_failure(code: int, expected: int) -> None:
    words = ["sh", "-c", _WAITING_IS_NO_FAILURE, "loop", "sh", "-c", f"exit {code}"]
    assert subprocess.run(words, check=False).returncode == expected


def test_the_workflow_has_no_rights_but_those_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ".github" / "workflows"
    assert main(["deploy", "render", "github", "--settings", str(EXAMPLE), "--output", str(folder)]) == 0
    file = folder / "animals-loop.yml"
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert told["permissions"] == {}
    assert told["concurrency"]["cancel-in-progress"] is False
    capsys.readouterr()
    assert main(["deploy", "apply", "github", "--settings", str(EXAMPLE)]) == 2
    assert "is not applied" in capsys.readouterr().err
