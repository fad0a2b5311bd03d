"""Kaggle through kagglehub, against a server on this machine that answers as Kaggle does."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from animal_classification.data import SourceOptions, read_source
from animal_classification.errors import AnimalsError, MissingExtraError, UsageError

kaggle_env = pytest.importorskip("kagglesdk.kaggle_env", reason="the extra 'data' is not installed")


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as members:
        for number, name in enumerate(("train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "inf/d.png")):
            photo = io.BytesIO()
            Image.new("RGB", (40, 40), (number * 50, 0, 0)).save(photo, "PNG")
            members.writestr(f"animals/{name}", photo.getvalue())
    return data.getvalue()


class Kaggle(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012 - one list for the test to read

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        method = self.path.rsplit("/", 1)[-1]
        self.asked.append(method)
        if request.get("datasetSlug") == "missing":
            self._answer(404, b'{"code": 404, "message": "Not found"}', "application/json")
        elif method == "GetDataset":
            self._answer(200, json.dumps({"currentVersionNumber": 3}).encode(), "application/json")
        else:
            self._answer(200, archive(), "application/zip")

    def _answer(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    Kaggle.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kaggle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, address)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "hub"))
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("ignore")  # of kagglehub's own making
def test_a_data_set_is_fetched_once(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    options = SourceOptions(cache=tmp_path / "cache")
    manifest = read_source("kaggle", options)
    assert [(row.path, row.split) for row in manifest] == [
        ("train/cat/a.png", "train"),
        ("train/dog/b.png", "train"),
        ("val/cat/c.png", "val"),
    ]
    assert any("inf/ is no split" in note for note in manifest.notes)
    assert Kaggle.asked.count("DownloadDataset") == 1
    read_source("kaggle:antobenedetti/animals", options)
    assert Kaggle.asked.count("DownloadDataset") == 1
    server.shutdown()
    server.server_close()
    assert read_source("kaggle:antobenedetti/animals", options).version == manifest.version


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_fetched(server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = SourceOptions(cache=tmp_path / "cache")
    with pytest.raises(AnimalsError, match="cannot fetch someone/missing from Kaggle") as refusal:
        read_source("kaggle:someone/missing", options)
    assert refusal.value.exit_code == 1
    server.shutdown()
    server.server_close()
    with pytest.raises(AnimalsError, match="by hand and name its folder"):
        read_source("kaggle:someone/other", options)
    with pytest.raises(UsageError, match="is no Kaggle data set"):
        read_source("kaggle:animals", options)
    monkeypatch.setitem(__import__("sys").modules, "kagglehub", None)
    with pytest.raises(MissingExtraError, match=r'needs an extra: pip install ".*\[data\]"'):
        read_source("kaggle", options)
