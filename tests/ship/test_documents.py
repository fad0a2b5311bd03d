"""Workflows, compose and alert rules, against the schemas and by the tools of those who read them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.alerting import alertmanager, alertmanager_config, pager

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = [path for path in sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]
SCHEMAS = {
    **dict.fromkeys(WORKFLOWS, "vendor.github-workflows"),
    **dict.fromkeys(FORMS, "vendor.github-issue-forms"),
    ROOT / ".github/ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
    ROOT / ".github/dependabot.yml": "vendor.dependabot",
    ROOT / "compose.yaml": "vendor.compose-spec",
}
PROMETHEUS = ROOT / "deploy/prometheus"
# Steps of workflows that only GitHub, or a cloud, can run.
NOT_HERE = ("gh ", "sudo ", 'cat build/promoted/summary.md >> "$GITHUB_STEP_SUMMARY"', "tools/images/push.sh")
needs_alertmanager = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="Alertmanager is not installed (prometheus-alertmanager)"
)
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (prometheus)")


def check(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("schema", sorted(set(SCHEMAS.values())))
def test_documents_follow_their_schemas(schema: str) -> None:
    done = check(schema, *(path for path, name in SCHEMAS.items() if name == schema))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        (ROOT / ".github/workflows/ci.yml", "runs-on: ubuntu-latest", "run-on: ubuntu-latest"),
        (ROOT / ".github/dependabot.yml", "interval: weekly", "interval: sometimes"),
        (ROOT / "compose.yaml", "read_only: true", "read_only: [a]"),
        (ROOT / ".github/ISSUE_TEMPLATE/bug.yml", "type: textarea", "type: text"),
    ],
)
def test_a_broken_document_is_noticed(tmp_path: Path, path: Path, right: str, wrong: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert right in text
    broken = tmp_path / path.name
    broken.write_text(text.replace(right, wrong), encoding="utf-8")
    assert check(SCHEMAS[path], broken).returncode == 1


def test_workflows_are_safe() -> None:
    words = [str(BIN / "zizmor"), "--offline", "--config", str(ROOT / ".github/zizmor.yml"), str(ROOT / ".github")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_rendered_loop_is_a_safe_workflow(tmp_path: Path) -> None:
    target = tmp_path / ".github" / "workflows"
    words = ["deploy", "render", "github", "--settings", str(ROOT / "deploy/example.yaml"), "--output", str(target)]
    subprocess.run([str(BIN / "animals"), *words], check=True, capture_output=True)
    done = check("vendor.github-workflows", target / "animals-loop.yml")
    assert done.returncode == 0, done.stdout
    words = [str(BIN / "zizmor"), "--offline", "--config", str(ROOT / ".github/zizmor.yml"), str(target.parent)]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def steps() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            found += [(path.name, step) for step in job["steps"] if "run" in step]
    return found


@pytest.mark.parametrize(
    ("name", "step"), steps(), ids=lambda value: value if isinstance(value, str) else value["run"][:50]
)
def test_what_a_workflow_calls_is_there(name: str, step: dict[str, Any]) -> None:
    """Shell steps call targets of the Makefile and scripts that can be run here; nothing longer hides in a workflow."""
    command = step["run"].strip()
    if command.startswith(NOT_HERE):
        return
    assert "${{" not in command, "an expression within a command can be injected into: use env"
    word, _, rest = command.partition(" ")
    if word == "make":
        targets = [part for part in rest.split() if "=" not in part]
        done = subprocess.run(["make", "-n", *targets], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    else:
        assert shutil.which(word, path=ROOT) or word.startswith(".venv-dev/bin/"), f"{name}: {command}"


@pytest.mark.parametrize("script", sorted(ROOT.glob("tools/*/*.sh")), ids=lambda path: path.name)
def test_scripts_are_shell_and_stop_at_an_error(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_a_tag_must_be_the_version(tmp_path: Path) -> None:
    script = ROOT / "tools/ci/check_tag.sh"
    source = tmp_path / "src/animal_classification"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text('__version__ = "1.2.3"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text("## 1.2.3 (2026-11-24)\n", encoding="utf-8")

    def run(tag: str) -> int:
        return subprocess.run([str(script), tag], cwd=tmp_path, capture_output=True, check=False).returncode

    assert (run("v1.2.3"), run("v1.2.4")) == (0, 1)
    (tmp_path / "CHANGELOG.md").write_text("## 1.2.3 (unreleased)\n", encoding="utf-8")
    assert run("v1.2.3") == 1


@needs_promtool
@pytest.mark.parametrize(
    "words",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")],
)
def test_prometheus_takes_the_rules(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_an_alert_that_does_not_fire_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path, dirs_exist_ok=True)
    rules = tmp_path / "alerts.yml"
    rules.write_text(rules.read_text(encoding="utf-8").replace("> 0.25", "> 25"), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 1


@needs_alertmanager
def test_a_page_reaches_the_webhook(tmp_path: Path) -> None:
    """A real Alertmanager with the configuration of compose tells a real webhook."""
    with pager() as (webhook, told), alertmanager(tmp_path, webhook) as address:
        add = ["amtool", f"--alertmanager.url={address}", "alert", "add", "AnimalsDown", "severity=page"]
        subprocess.run(add, capture_output=True, check=True)
        message = told.get(timeout=30)
    assert (message["receiver"], message["alerts"][0]["labels"]["alertname"]) == ("pages", "AnimalsDown")


@needs_alertmanager
def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    words = ["amtool", "check-config", str(alertmanager_config(tmp_path, "http://nobody.invalid/"))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_and_dashboard_ask_for_metrics_that_exist(tmp_path: Path) -> None:
    """All names in the rules and panels are names that the server tells (docs/serve.md)."""
    from animal_classification.prediction_log.location import LogLocation
    from animal_classification.prediction_log.writer import PredictionLog
    from animal_classification.serving.observability.drift_metrics import DriftCollector
    from animal_classification.serving.observability.metrics import ServerMetrics

    metrics, log = ServerMetrics(), PredictionLog(LogLocation(folder=tmp_path))
    metrics.watch(DriftCollector(log, (), judges=True))
    told = set(re.findall(r"^# TYPE (animals_\w+)", metrics.render().decode(), re.MULTILINE))
    log.close()
    asked = (PROMETHEUS / "alerts.yml").read_text(encoding="utf-8")
    asked += (ROOT / "deploy/grafana/dashboards/animals.json").read_text(encoding="utf-8")
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\banimals_[a-z_]+", asked)}
    assert len(names) > 8
    assert names <= told, names - told


def test_the_dashboard_is_what_its_script_writes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import dashboard; print(dashboard.text(), end='')"],
        cwd=ROOT / "tools",
        capture_output=True,
        text=True,
        check=True,
    )
    file = ROOT / "deploy/grafana/dashboards/animals.json"
    assert json.loads(done.stdout) == json.loads(file.read_text(encoding="utf-8")), "run tools/dashboard.py"
