"""A store that is down is asked as often as we say, and not as often as each package on the way would."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from animal_classification.scale.retry import Retry, StoreFaultError
from animal_classification.scale.storage import BucketFolder, open_bucket, open_folder
from animal_classification.scale.store_access import access_options


class Down(BaseHTTPRequestHandler):
    """Answers every request with an error, and counts them."""

    asked: list[str]
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"{self.command} {self.path}")
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was asked of a Google's and Amazon's store that are both down."""
    asked: list[str] = []
    methods = {f"do_{method}": Down.answer for method in ("GET", "POST", "PUT", "HEAD", "DELETE")}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Down,), {"asked": asked, **methods}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {
        "STORAGE_EMULATOR_HOST": url,
        "NO_GCE_CHECK": "true",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("protocol", ["gs", "s3"])
def test_a_store_that_is_down_is_asked_six_times_in_all(protocol: str, down: list[str]) -> None:
    slept: list[float] = []
    filesystem, root = open_bucket(f"{protocol}://zoo/batch")
    folder = BucketFolder(f"{protocol}://zoo/batch", filesystem, root, Retry(sleep=slept.append, random=lambda: 0.0))
    with pytest.raises(StoreFaultError, match=r"cannot read .*plan\.json: no answer in 6 tries \(.*503|Unavailable"):
        folder.read("plan.json")
    assert len(down) == 6
    down.clear()
    with pytest.raises(StoreFaultError):
        folder.put_new("out/00000.parquet", b"rows")
    assert len(down) == 6
    assert sum(slept) == 2 * 31, "what is waited for is ours, and half a minute"


def test_each_attempt_is_bounded_in_time() -> None:
    """A connection that nobody answers ends by itself: otherwise the system's two minutes, and then some, count."""
    google = access_options("gs")["requests_timeout"]
    amazon = access_options("s3")["config_kwargs"]
    for connect, read in ((google.sock_connect, google.sock_read), (amazon["connect_timeout"], amazon["read_timeout"])):
        assert 6 * connect + 31 * 1.5 < 90
        assert 0 < read <= 30


def test_a_folder_in_a_bucket_goes_to_another_process_as_its_address(down: list[str]) -> None:
    folder = open_folder("gs://zoo/batch")
    there = pickle.loads(pickle.dumps(folder))
    assert (type(there), there.url, there.root) == (BucketFolder, "gs://zoo/batch", "zoo/batch")
