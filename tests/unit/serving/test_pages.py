"""The frames of the tabs: there without a model, a database or a key, and nothing in them may be inline."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from animal_classification.serving import create_app
from animal_classification.serving.ui.pages import EXAMPLES, FONT_FILES, SCRIPTS, STATIC, example_path, what_is_kept
from animal_classification.settings import Settings

MakeClient = Callable[..., TestClient]


def logged(tmp_path: Path, **more: object) -> Settings:
    return Settings(prediction_log=True, log_folder=str(tmp_path), **more)  # type: ignore[arg-type]


def test_the_frames_need_no_model(tmp_path: Path) -> None:
    with TestClient(create_app(None, logged(tmp_path))) as client:
        for path in ("", "review", "model", "monitor"):
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
        for name in EXAMPLES:
            assert client.get(f"/tabs/examples/{name}.jpg").headers["content-type"] == "image/jpeg"
            assert example_path(name).stat().st_size < 50_000
    assert {path.name for path in STATIC.glob("*.js")} == set(SCRIPTS)
    assert {path.stem for path in STATIC.glob("examples/*")} == set(EXAMPLES)


@pytest.mark.parametrize(
    "name",
    [
        "frame.html",
        "examples/%2e%2e%2fframe.html",
        "examples/owl.jpg",
        "../pages.py",
        "%2e%2e/pages.py",
        "fonts/%2e%2e%2ftabs.css",
        "fonts/OFL.txt",
    ],
)
def test_nothing_else_is_handed_out(tmp_path: Path, name: str) -> None:
    with TestClient(create_app(None, logged(tmp_path))) as client:
        assert client.get(f"/tabs/{name}").status_code == 404


def test_the_page_is_there_before_the_model_and_with_keys(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"keys": []}')
    for settings in (Settings(), Settings(workers=2), Settings(keys_file=str(keys))):
        with TestClient(create_app(None, settings)) as client:
            page = client.get("/")
            assert "Drop photos here" in page.text
            assert page.headers["cache-control"] == "no-cache"
            assert client.head("/").status_code == 200
            assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"
            assert client.post("/").status_code == 405


def test_the_page_knows_the_bounds_of_its_server() -> None:
    settings = Settings(max_files=3, max_file_bytes=2 << 20, max_request_bytes=5 << 20)
    with TestClient(create_app(None, settings)) as client:
        page = client.get("/").text
    assert 'data-max-files="3"' in page
    assert 'data-max-file-bytes="2097152"' in page
    assert 'data-max-request-bytes="5242880"' in page
    assert 'data-too-large="is larger than 2 MB; send a smaller one"' in page


def test_switched_off(client_with: MakeClient, tmp_path: Path) -> None:
    off = client_with(page=False, **_given(tmp_path)).get("/").text
    assert "switched off" in off
    assert "<a href='review'>Review</a>" in off


def test_nothing_on_the_pages_comes_from_elsewhere() -> None:
    for path in [*STATIC.glob("*.css"), *STATIC.glob("*.html"), *STATIC.glob("*.js")]:
        found = re.findall(r"""(?:https?:)?//[a-z][^\s"'`)]*""", path.read_text("utf-8"))
        assert [link for link in found if not link.startswith("http://www.w3.org/")] == [], path.name


def test_what_becomes_of_photos_is_told_truly(tmp_path: Path) -> None:
    assert what_is_kept(Settings()) == "Photos go nowhere else and are not kept."
    assert "what I say of them is, for the review" in what_is_kept(logged(tmp_path))
    kept = what_is_kept(logged(tmp_path, keep_photos="thumbnail", photo_days=1))
    assert kept.endswith("for 1 day, for the review; reviewed ones stay longer.")
    kept = what_is_kept(logged(tmp_path, keep_photos="thumbnail", photo_days=1, keep_corrections=False))
    assert kept == "Photos go nowhere else; small copies of them are kept on this server for 1 day, for the review."
    assert "; they are kept on this server," in what_is_kept(logged(tmp_path, keep_photos="original", photo_days=0))


def test_every_button_and_picture_has_a_name(client: TestClient) -> None:
    page = client.get("/").text
    for button in re.findall(r"<button\b.*?</button>", page, re.DOTALL):
        assert re.sub(r"<[^>]+>", "", button).strip(), button
    for image in re.findall(r"<img\b[^>]*>", page):
        assert "alt=" in image
    assert 'role="status"' in page


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
