"""The frames of the tabs: there without a model, a database or a key, and nothing in them may be inline."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from animal_classification.serving import create_app
from animal_classification.serving.tabs.pages import FONT_FILES, SCRIPTS, STATIC
from animal_classification.settings import Settings

MakeClient = Callable[..., TestClient]


def logged(tmp_path: Path, **more: object) -> Settings:
    return Settings(prediction_log=True, log_folder=str(tmp_path), **more)  # type: ignore[arg-type]


def test_the_frames_need_no_model(tmp_path: Path) -> None:
    with TestClient(create_app(None, logged(tmp_path))) as client:
        for path in ("review", "model", "monitor"):
            response = client.get(f"/{path}")
            assert response.status_code == 200
            policy = response.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", response.text)
            for link in re.findall(r'(?:src|href)="([^"#]+)"', response.text):
                assert not re.match(r"https?:|//|/", link), link
                assert client.get(f"/{link}").status_code == 200, link


def test_everything_that_is_asked_for_is_there(tmp_path: Path) -> None:
    with TestClient(create_app(None, logged(tmp_path))) as client:
        for name in SCRIPTS:
            script = client.get(f"/tabs/{name}")
            assert script.headers["content-type"].startswith("text/javascript")
            for found in re.findall(r'from "\./([^"]+)"', script.text):
                assert found in SCRIPTS
        for name in re.findall(r'url\("fonts/([^"]+)"\)', client.get("/tabs/tabs.css").text):
            assert name in FONT_FILES
            assert client.get(f"/tabs/fonts/{name}").headers["content-type"] == "font/woff2"
    assert {path.name for path in STATIC.glob("*.js")} == set(SCRIPTS)


@pytest.mark.parametrize(
    "name", ["frame.html", "../pages.py", "%2e%2e/pages.py", "fonts/%2e%2e%2ftabs.css", "fonts/OFL.txt"]
)
def test_nothing_else_is_handed_out(tmp_path: Path, name: str) -> None:
    with TestClient(create_app(None, logged(tmp_path))) as client:
        assert client.get(f"/tabs/{name}").status_code == 404


def tabs_on(client: TestClient, path: str) -> list[str]:
    return re.findall(r'<a href="([^"]+)"', client.get(path).text.partition("<nav")[2].partition("</nav>")[0])


def test_only_the_tabs_that_are_there_are_shown(client_with: MakeClient, tmp_path: Path) -> None:
    assert client_with(page=False).get("/model").status_code == 404
    without = client_with()
    assert tabs_on(without, "/model") == [".", "model"]
    assert without.get("/review").status_code == 404
    assert tabs_on(client_with(**_given(tmp_path)), "/monitor") == [".", "review", "model", "monitor"]
    assert tabs_on(client_with(page=False, **_given(tmp_path)), "/monitor") == ["review", "model", "monitor"]


def _given(tmp_path: Path) -> dict[str, object]:
    return {"prediction_log": True, "log_folder": str(tmp_path)}
