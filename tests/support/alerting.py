"""A real Prometheus and a real Alertmanager, with the rules and the configurations that the repository brings.

Addresses are replaced, and times are shortened: what takes minutes in production takes seconds here.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.e2e.serving import wait_for
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Path]:
    """A program, and the file with what it says."""
    said = folder / f"{words[0]}.log"
    with said.open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder)
    try:
        yield said
    finally:
        process.terminate()
        process.wait(20)


def alertmanager_config(folder: Path, webhook: str) -> Path:
    """The one of compose.yaml, with an address of ours."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    text, count = re.subn(r"\$\{ALERT_WEBHOOK_URL:-[^}]*\}", webhook, compose["configs"]["alertmanager"]["content"])
    assert count == 2
    config = folder / "alertmanager.yml"
    config.write_text(text, encoding="utf-8")
    return config


@contextmanager
def alertmanager(folder: Path, webhook: str = "http://nobody.invalid/") -> Iterator[str]:
    """Its address, once it is ready."""
    config, port = alertmanager_config(folder, webhook), free_port()
    words = [f"--config.file={config}", f"--storage.path={folder / 'alerts'}", "--cluster.listen-address="]
    with running(folder, "prometheus-alertmanager", *words, f"--web.listen-address=127.0.0.1:{port}") as log:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(f"{address}/-/ready"), "Alertmanager", log.read_text)
        yield address


@contextmanager
def prometheus(folder: Path, port: int, alertmanager: str, *, hold: str = "0s") -> Iterator[str]:
    """Its address. It scrapes, and looks at the rules, every second.

    Args:
        folder: For its files.
        port: The server's that it scrapes.
        alertmanager: Whom it tells.
        hold: How long a rule must hold (``for``) that holds for minutes in production.
    """
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule["for"] = hold
        if "pending" in rule["annotations"]:
            rule["annotations"]["pending"] = hold
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = dict.fromkeys(config["global"], "1s")
    _replace(config["alerting"]["alertmanagers"][0], "alertmanager:9093", alertmanager.removeprefix("http://"))
    _replace(config["scrape_configs"][0], "api:8080", f"127.0.0.1:{port}")
    del config["scrape_configs"][1:]  # itself
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    own = free_port()
    words = ["--config.file=prometheus.yml", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with running(folder, "prometheus", *words, f"--web.listen-address=127.0.0.1:{own}") as log:
        address = f"http://127.0.0.1:{own}"
        wait_for(lambda: _answers(f"{address}/-/ready"), "Prometheus", log.read_text)
        yield address


@contextmanager
def pager() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """The webhook that Alertmanager tells."""
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as webhook:
        thread = threading.Thread(target=webhook.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{webhook.server_port}/", told
        finally:
            webhook.shutdown()
            thread.join()


def firing(alertmanager: str) -> set[str]:
    """Names of the alerts that Alertmanager has."""
    return {one["labels"]["alertname"] for one in httpx.get(f"{alertmanager}/api/v2/alerts").json()}


def _replace(part: dict[str, Any], target: str, address: str) -> None:
    assert part["static_configs"] == [{"targets": [target]}]
    part["static_configs"] = [{"targets": [address]}]


def _answers(address: str) -> bool | None:
    try:
        return httpx.get(address).status_code == 200 or None
    except httpx.HTTPError:
        return None
