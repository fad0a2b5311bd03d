"""Failed requests of a canary, from the metrics of a server or of Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from animal_classification.errors import AnimalsError
from animal_classification.loop.canary import request_counts

TEXT = """# HELP animals_http_requests_total Requests.
# TYPE animals_http_requests_total counter
animals_http_requests_total{route="/v1/predict",method="POST",status="200"} 90.0
animals_http_requests_total{route="/v1/predict",method="POST",status="500"} 6.0
animals_http_requests_total{route="/v2/models/{name}/infer",method="POST",status="200"} 2.0
animals_http_requests_total{route="/v2/models/{name}/infer",method="POST",status="502"} 2.0
animals_http_requests_total{route="/healthz",method="GET",status="200"} 5000.0
animals_http_requests_total{route="/metrics",method="GET",status="200"} 700.0
"""


@contextmanager
def told(text: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()
        thread.join()


def test_all_routes_count_but_those_of_probes() -> None:
    with told(TEXT) as address:
        assert request_counts(address) == (8.0, 100.0)


def test_prometheus_tells_of_several_servers_at_once() -> None:
    """In the form of its federation: one type, a job and an instance, and a time behind each value."""
    lines = [line.replace("{route", '{instance="a:1",job="animals",route') for line in TEXT.splitlines()[2:]]
    lines += [line.replace("a:1", "b:1") for line in lines]
    text = "# TYPE animals_http_requests_total untyped\n" + "".join(f"{line} 1700000000000\n" for line in lines)
    with told(text.replace(".0 ", " ")) as address:
        assert request_counts(f"{address}?match[]=animals_http_requests_total") == (16.0, 200.0)


def test_what_is_no_metrics_is_one_line() -> None:
    with told("<html>\n<body>{ no\n") as address, pytest.raises(AnimalsError, match=r"canary\.metrics .* no metrics"):
        request_counts(address)
