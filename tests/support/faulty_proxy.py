"""A store behind a bad network: a proxy in front of an emulated bucket that answers some requests with 429 and 5xx.

Some of those had been done before the answer was lost, which is what a put-if-absent must survive. For Google's
emulator, which lacks them, the proxy keeps the conditions ``ifGenerationMatch=0`` and ``generation``.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
from collections import Counter
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

Answer = tuple[int, dict[str, str], bytes]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}
NAME = re.compile(rb'"name": *"((?:[^"\\\\]|\\\\.)*)"')
S3_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>injected</Message></Error>"
S3_CODES = {429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}


class FaultyProxy:
    """In front of a server on this machine.

    Args:
        port: Of the server.
        share: Of requests that get an error.
        google: The server is an emulator of Google's storage.
    """

    def __init__(self, port: int, *, share: float, google: bool) -> None:
        self.port = port
        self.share = share
        self.google = google
        self.faults: Counter[int] = Counter()
        self.lost = 0
        self.requests = 0
        self.conditional = threading.Lock()
        self._chance = random.Random(7)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self, **METHODS})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that are killed hang up
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault(self) -> tuple[int, bool] | None:
        """An error for this request, and whether it is done all the same."""
        with self._lock:
            self.requests += 1
            if self._chance.random() >= self.share:
                return None
            status, done = self._chance.choice([429, 500, 503]), self._chance.random() < 0.3
            self.faults[status] += 1
            self.lost += done
            return status, done

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Ask the server."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body or None, headers=headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            if method == "HEAD" and answer.getheader("content-length"):
                kept["Content-Length"] = str(answer.getheader("content-length"))
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def refused(self, method: str, path: str, body: bytes) -> int | None:
        """What Google's storage answers where a condition of a request does not hold."""
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        if method == "POST" and "ifGenerationMatch" in query:
            bucket = parts.path.split("/b/")[1].split("/")[0]
            named = query.get("name") or [json.loads(b'"%s"' % found) for found in NAME.findall(body)[:1]]
            return 412 if self._generation(bucket, quote(named[0], safe="")) else None
        if method == "GET" and "generation" in query and "/o/" in parts.path:
            bucket, _, name = parts.path.split("/b/")[1].partition("/o/")
            return 404 if self._generation(bucket, name) != query["generation"][0] else None
        return None

    def _generation(self, bucket: str, name: str) -> str | None:
        status, _, body = self.forward("GET", f"/storage/v1/b/{bucket}/o/{name}", {}, b"")
        return str(json.loads(body)["generation"]) if status == 200 else None

    def error(self, status: int) -> bytes:
        """The body of an error."""
        if self.google:
            return json.dumps({"error": {"code": status, "message": "injected"}}).encode()
        return S3_ERROR.format(S3_CODES[status]).encode()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a busy machine must not make refusals that nobody injected


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def answer(self) -> None:
        body = self._body()
        fault = self.proxy.fault()
        answer = None
        if fault is None or fault[1]:
            conditional = "If-None-Match" in self.headers or "ifGenerationMatch" in self.path
            with self.proxy.conditional if conditional else nullcontext():
                answer = self._ask(body)
        if fault is not None or answer is None:
            status = fault[0] if fault else 500
            answer = status, {}, self.proxy.error(status)
        self._send(*answer)

    def _ask(self, body: bytes) -> Answer:
        refused = self.proxy.refused(self.command, self.path, body) if self.proxy.google else None
        if refused is not None:
            return refused, {}, self.proxy.error(refused)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        return self.proxy.forward(self.command, self.path, headers, body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def handle_expect_100(self) -> bool:
        return True  # in _body

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


METHODS = {f"do_{method}": _Handler.answer for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH")}
