"""``animals serve`` as an operator meets it: several workers, a stop under load, hostile connections."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
import psutil
from PIL import Image

from animal_classification.settings import Settings
from tests.e2e.serving import READY, Server, wait_for
from tests.support.ports import free_port
from tests.support.tiny_bundle import write_tiny_bundle

Start = Callable[..., Server]
DEFAULTS = Settings()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server("--no-page", *options, folder=tmp_path, name="serve"))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def photo() -> bytes:
    buffer = BytesIO()
    Image.effect_noise((640, 480), 60).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def workers_of(server: Server) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def requests_counted(client: httpx.Client) -> float:
    text = client.get("/metrics").text
    found = re.search(r'animals_http_requests_total\{method="POST",route="/v1/predict",status="200"\} (\S+)', text)
    return float(found[1]) if found else 0.0


def test_two_workers_share_port_and_metrics_and_one_that_dies_is_replaced(start: Start, tiny: str) -> None:
    server = start("--workers", "2", "--threads", "2", "--model", tiny, "--engine", "onnxruntime")
    assert server.address
    assert len(workers_of(server)) == 2
    body = {"files": ("a.jpg", photo())}
    for _ in range(20):
        assert httpx.post(f"{server.address}/v1/predict", files=body).status_code == 200
    with httpx.Client(base_url=server.address) as client:
        assert requests_counted(client) == 20
    workers_of(server)[0].kill()
    wait_for(lambda: "another one starts" in server.output or None, "word of the death", lambda: server.output)
    wait_for(lambda: len(workers_of(server)) == 2 or None, "another worker", lambda: server.output)
    for _ in range(20):
        assert httpx.post(f"{server.address}/v1/predict", files=body).status_code == 200
    with httpx.Client(base_url=server.address) as client:
        assert requests_counted(client) == 40, "what a dead worker counted stays"
        assert "animals_model_info{" in client.get("/metrics").text
    server.stop()
    assert server.process.returncode == 0


def test_workers_that_die_together_are_replaced_together_and_leave_no_files(
    start: Start, tiny: str, tmp_path: Path
) -> None:
    server = start("--workers", "3", "--threads", "3", "--model", tiny, "--engine", "onnxruntime")
    assert server.address

    def files() -> set[str]:
        return {path.name for path in tmp_path.glob("animals-metrics-*/*.db")}

    def all_ready() -> bool | None:
        with suppress(httpx.TransportError):
            for _ in range(6):
                assert httpx.post(f"{server.address}/v1/predict", files={"files": ("a.jpg", photo())}).is_success
            return True
        return None

    wait_for(all_ready, "answers", lambda: server.output)
    before = files()
    for _ in range(2):
        killed = workers_of(server)
        began = time.monotonic()
        for worker in killed:
            worker.kill()
        psutil.wait_procs(killed, timeout=20)
        new = wait_for(lambda: len(workers_of(server)) == 3 or None, "three workers", lambda: server.output)
        assert new
        wait_for(all_ready, "answers", lambda: server.output)
        # One after the other, with a pause of a second and then two for each, would be two words for each round later.
        assert time.monotonic() - began < 60
    assert server.output.count("a worker died") == 6
    assert files() <= before | {name for name in files() if int(name.rsplit("_", 1)[1].removesuffix(".db")) < 3}


def test_a_second_ctrl_c_ends_workers_at_once(start: Start, tiny: str) -> None:
    server = start("--workers", "2", "--threads", "2", "--model", tiny, "--engine", "onnxruntime", "--drain", "300")
    assert server.address
    workers = workers_of(server)
    server.process.send_signal(signal.SIGINT)

    def draining() -> bool | None:
        with suppress(httpx.TransportError):
            return httpx.get(f"{server.address}/readyz").status_code == 503 or None
        return None

    wait_for(draining, "the drain", lambda: server.output)
    server.process.send_signal(signal.SIGINT)
    server.process.wait(timeout=20)
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert (len(gone), alive) == (2, [])


def test_workers_share_the_memory_for_bodies(start: Start, tiny: str) -> None:
    size = 1_000_000
    bounds = ("--max-request-bytes", str(size), "--max-memory-bytes", str(3 * size))
    server = start("--workers", "3", "--threads", "3", "--model", tiny, "--engine", "onnxruntime", *bounds)
    held: list[Raw] = []
    answers: Counter[bytes] = Counter()
    try:
        for _ in range(12):  # four to each worker, if each had the whole for itself
            raw = Raw(server)
            held.append(raw)
            raw.send(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n")
            raw.send(f"Content-Length: {size}\r\n\r\n".encode() + bytes(size - 1))
        until = time.monotonic() + 30
        for raw in held:
            raw.socket.settimeout(max(0.1, min(2.0, until - time.monotonic())))
            with suppress(TimeoutError, ConnectionError):
                answers[raw.socket.recv(65536)[9:12]] += 1
    finally:
        for raw in held:
            raw.close()
    assert answers[b"503"] >= 9, answers


def test_workers_end_with_their_supervisor_even_if_it_is_killed(start: Start, tiny: str) -> None:
    server = start("--workers", "2", "--threads", "2", "--model", tiny, "--engine", "onnxruntime")
    assert server.address
    workers = workers_of(server)
    server.process.kill()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert len(gone) == 2, alive


def test_a_model_that_is_not_there_is_one_line_with_workers_too(start: Start) -> None:
    server = start("--workers", "2", "--model", "no-such-model")
    server.process.wait(timeout=60)
    server._reader.join(timeout=5)
    assert server.process.returncode == 2
    (line,) = server.lines
    assert "no-such-model" in line


@pytest.mark.parametrize("seconds", [0.2, 0.4])
def test_a_stop_while_the_model_is_loaded_is_a_quiet_end(start: Start, seconds: float) -> None:
    """A process that exits while a thread of its own is inside an engine is aborted."""
    port = free_port()
    server = start("--port", str(port), "--model", "photos")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def alive() -> bool | None:
            with suppress(httpx.TransportError):
                return client.get("/healthz").status_code == 200
            return None

        wait_for(alive, "an answer", lambda: server.output)
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(timeout=seconds)  # somewhere in the midst of it
    server.stop()
    assert server.process.returncode == 0
    assert [line for line in server.lines if not READY.match(line)] == []


class Visitor(threading.Thread):
    """Asks again and again over one kept connection, until it is told that the server is gone."""

    def __init__(self, server: Server, body: bytes) -> None:
        super().__init__(daemon=True)
        self.outcomes: Counter[str] = Counter()
        self._port = server.port
        self._body = body

    def run(self) -> None:
        files = {"files": ("a.jpg", self._body)}
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=30) as client:
            while not self.outcomes["refused"]:
                try:
                    self.outcomes[str(client.post("/v1/predict", files=files).status_code)] += 1
                except httpx.ConnectError:
                    self.outcomes["refused"] += 1
                except httpx.TransportError as error:
                    self.outcomes[repr(error)] += 1


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_no_request(start: Start, workers: int) -> None:
    server = start("--workers", str(workers), "--threads", "2")
    visitors = [Visitor(server, photo()) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    wait_for(lambda: all(v.outcomes["200"] >= 3 for v in visitors) or None, "load", lambda: server.output)
    server.stop()
    for visitor in visitors:
        visitor.join(timeout=20)
    outcomes = sum((visitor.outcomes for visitor in visitors), Counter())
    assert outcomes.keys() <= {"200", "refused"}, outcomes
    assert outcomes["refused"] == 8
    assert server.process.returncode == 0


def test_while_draining_it_is_not_ready_and_goes_on_answering(start: Start, tiny: str) -> None:
    server = start("--model", tiny, "--engine", "onnxruntime", "--drain", "2")
    with httpx.Client(base_url=server.address) as client:
        assert client.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: client.get("/readyz").status_code == 503 or None, "not ready", lambda: server.output)
        answer = client.post("/v1/predict", files={"files": ("a.jpg", photo())})
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    server.process.wait(timeout=20)
    assert server.process.returncode == 0


def test_the_access_log_is_json_and_the_ready_line_is_not_in_it(start: Start, tiny: str) -> None:
    server = start("--model", tiny, "--engine", "onnxruntime", "--access-log")
    httpx.get(f"{server.address}/healthz", headers={"X-Request-ID": "from-the-proxy"})
    line = wait_for(
        lambda: next((line for line in server.lines if "from-the-proxy" in line), None), "a line", lambda: server.output
    )
    assert json.loads(line)["route"] == "/healthz"


def test_the_page_works_behind_a_prefix_and_a_proxy_that_ends_tls(tmp_path: Path, tiny: str) -> None:
    pytest.importorskip("gradio")
    proxy = ("--root-path", "/animals", "--trusted-proxies", "127.0.0.1", "--allowed-hosts", "zoo.example")
    options = ("--model", tiny, "--engine", "onnxruntime", *proxy)
    server = Server(*options, folder=tmp_path, name="serve")
    try:
        root = server.address.removesuffix("/animals")
        assert root != server.address, "the ready line names the prefix"
        proxied = {"Host": "zoo.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
        for prefix in ("/animals", ""):
            page = httpx.get(f"{root}{prefix}/", headers=proxied)
            assert "strict-transport-security" in page.headers
            found = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
            assert "tabs/classify.js" in found
            for link in found:
                assert httpx.get(f"{root}{prefix}/{link.removeprefix('.')}", headers=proxied).status_code == 200, link
    finally:
        server.kill()


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)

    def send(self, data: bytes) -> bool:
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.socket.close()

    def rest(self) -> bytes:
        """All that comes until the other side closes."""
        received = bytearray()
        try:
            while data := self.socket.recv(65536):
                received += data
        except ConnectionError:
            pass
        return bytes(received)


def problem_of(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    problem: dict[str, Any] = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {problem['status']} ".encode())
    return problem


HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Iterator[Server]:
    bounds = (
        "--head-timeout",
        "0.5",
        "--body-timeout",
        "1",
        "--max-connections",
        "40",
        "--max-request-bytes",
        "1000000",
    )
    options = ("--model", tiny, "--engine", "onnxruntime", "--no-page", *bounds)
    server = Server(*options, folder=tmp_path_factory.mktemp("guarded"), name="serve")
    assert server.address
    yield server
    server.kill()


@pytest.fixture
def raw(guarded: Server) -> Iterator[Raw]:
    with closing(Raw(guarded)) as raw:
        yield raw


def trickle(raw: Raw, piece: bytes, pause: float = 0.05) -> tuple[float, bytes]:
    """Send a piece again and again, until the other side has had enough."""
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(pause) and raw.send(piece):
            pass

    sender = threading.Thread(target=send)
    started = time.monotonic()
    sender.start()
    answer = raw.rest()
    stop.set()
    sender.join()
    return time.monotonic() - started, answer


def test_a_connection_that_says_nothing_is_closed(raw: Raw) -> None:
    assert raw.rest() == b""


def test_a_head_that_trickles_is_given_up(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.1\r\n")
    seconds, answer = trickle(raw, b"X-A: b\r\n")
    assert problem_of(answer)["status"] == 408
    assert seconds < DEFAULTS.head_timeout


def test_half_a_head_that_came_while_another_request_was_answered_is_given_up(guarded: Server, raw: Raw) -> None:
    body = photo()
    raw.send(
        HEAD.replace(b"multipart/form-data; boundary=x", b"image/jpeg")
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
    )
    raw.send(body)
    raw.send(b"GET /heal")
    started = time.monotonic()
    answer = raw.rest()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - started < DEFAULTS.keep_alive / 2


def test_line_ends_without_a_request_are_given_up(raw: Raw) -> None:
    seconds, _ = trickle(raw, b"\r\n")
    assert seconds < DEFAULTS.head_timeout


def test_a_second_head_that_trickles_is_given_up(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /heal")
    seconds, answer = trickle(raw, b"t")
    assert b'{"status":"alive"}HTTP/1.1 408' in answer
    assert seconds < DEFAULTS.head_timeout


def test_an_endless_head_is_refused(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.1\r\nX-Long: ")
    for _ in range(40):
        if not raw.send(b"a" * 10_000):
            break
    answer = raw.rest()
    assert not answer or problem_of(answer)["status"] == 431


def test_an_endless_path_is_refused(raw: Raw) -> None:
    raw.send(b"GET /" + b"a" * 60_000)
    raw.send(b"a" * 60_000)
    answer = raw.rest()
    assert not answer or problem_of(answer)["status"] == 431


def test_a_body_that_trickles_is_given_up(raw: Raw) -> None:
    raw.send(HEAD + b'Content-Length: 100000\r\n\r\n--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n')
    seconds, answer = trickle(raw, b"a")
    assert problem_of(answer)["type"].endswith("too-slow")
    assert seconds < DEFAULTS.body_timeout


def test_a_body_that_never_comes_is_given_up(raw: Raw) -> None:
    raw.send(HEAD + b"Content-Length: 100000\r\n\r\n")
    assert problem_of(raw.rest())["type"].endswith("too-slow")


def test_an_endless_body_is_refused_while_it_comes(raw: Raw) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n'
    raw.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + f"{len(part):x}\r\n".encode() + part + b"\r\n")
    piece = b"2710\r\n" + b"a" * 10_000 + b"\r\n"
    sent = 0
    while sent < 200 and raw.send(piece):
        sent += 1
    assert b"HTTP/1.1 4" in raw.socket.recv(65536)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /v1/predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nX:\x00\r\n\r\n",
        b"GET http://[:bad HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(raw: Raw, nonsense: bytes) -> None:
    raw.send(nonsense)
    answer = raw.rest()
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 ")), answer
    problem_of(answer)


EARLY = [
    (b"POST /v1/nothing", 404),
    (b"PUT /v1/predict", 405),
    (b"GET /healthz", 413),
    (b"POST /v1/predict?top_k=lion", 422),
    (b"POST /v2/models/lion/infer", 404),
    (b"POST /v1/feedback", 404),
]


@pytest.mark.parametrize(("line", "status"), EARLY)
def test_a_connection_ends_when_its_answer_is_complete_and_its_request_is_not(
    raw: Raw, guarded: Server, line: bytes, status: int
) -> None:
    raw.send(line + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
    answer = raw.rest()  # which ends while nothing more is sent
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nconnection: close\r\n" in answer
    seconds, _ = trickle(raw, b"a")
    assert seconds < DEFAULTS.body_timeout / 2, "what still comes is not listened to for ever"
    wait_for(lambda: not connections_of(guarded) or None, "the end of it", lambda: guarded.output)


def test_an_answer_before_the_body_can_be_read_by_who_is_still_sending(guarded: Server) -> None:
    body = bytes(3_000_000)  # more than is taken, and more than sockets hold
    for _ in range(5):
        answer = httpx.post(f"{guarded.address}/v1/predict", content=body, headers={"Content-Type": "image/jpeg"})
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def connections_of(server: Server) -> list[Any]:
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return [connection for connection in found if connection.status == psutil.CONN_ESTABLISHED]


@pytest.mark.parametrize("line", [b"POST /v1/predict", b"GET /healthz", b"PUT /nothing"])
def test_half_bodies_lock_nobody_out(guarded: Server, line: bytes) -> None:
    crowd = [Raw(guarded) for _ in range(150)]
    head = line + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\na"
    try:
        for raw in crowd:
            raw.send(head)
        for _ in range(5):
            assert httpx.get(f"{guarded.address}/readyz").status_code == 200
            answer = httpx.post(f"{guarded.address}/v1/predict", files={"files": ("a.jpg", photo())})
            assert answer.status_code == 200
    finally:
        for raw in crowd:
            raw.close()


def test_what_the_protocol_refuses_has_an_id_and_is_counted(raw: Raw, guarded: Server) -> None:
    def counted() -> float:
        text = httpx.get(f"{guarded.address}/metrics").text
        found = re.search(r'animals_http_requests_total\{method="other",route="other",status="400"\} (\S+)', text)
        assert (found is None) == ('animals_rejected_total{reason="not-http"}' not in text)
        return float(found[1]) if found else 0.0

    before = counted()
    raw.send(b"hello\r\n\r\n")
    answer = raw.rest()
    assert problem_of(answer)["type"].endswith("not-http")
    assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", answer)
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer
    assert counted() == before + 1


def test_half_a_request_behind_a_whole_one_does_not_spoil_its_answer(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nhello\r\n\r\n")
    assert raw.rest().startswith(b"HTTP/1.1 200 ")


def test_a_connection_is_kept_as_long_as_the_setting_says(start: Start, tiny: str) -> None:
    server = start("--model", tiny, "--engine", "onnxruntime", "--keep-alive", "1")
    with closing(Raw(server)) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        began = time.monotonic()
        assert raw.rest().endswith(b'{"status":"alive"}')
        assert 0.9 < time.monotonic() - began < 20


def test_those_who_have_had_their_answer_do_not_hold_up_a_stop(start: Start, tiny: str) -> None:
    server = start("--model", tiny, "--engine", "onnxruntime", "--access-log")  # with a grace of two minutes
    crowd = [Raw(server) for _ in range(50)]
    try:
        for raw in crowd:
            raw.send(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        for raw in crowd:
            assert raw.socket.recv(100).startswith(b"HTTP/1.1 404 ")
            raw.send(b"a")
        server.stop()
        assert server.process.returncode == 0
    finally:
        for raw in crowd:
            raw.close()


def test_too_many_connections_are_refused_and_the_others_live(guarded: Server) -> None:
    kept = httpx.Client(base_url=guarded.address)
    assert kept.get("/healthz").status_code == 200
    crowd = [Raw(guarded) for _ in range(60)]
    refused = [raw for raw in crowd if raw.rest().startswith(b"HTTP/1.1 503 ")]
    assert 15 <= len(refused) <= 30
    for raw in crowd:
        raw.close()
    wait_for(lambda: _answers(guarded) or None, "room again", lambda: guarded.output)
    kept.close()


def _answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.address}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_after_all_that_it_is_well(guarded: Server) -> None:
    assert httpx.post(f"{guarded.address}/v1/predict", files={"files": ("a.jpg", photo())}).status_code == 200
    text = httpx.get(f"{guarded.address}/metrics").text
    assert "animals_queue_depth 0.0" in text
    assert "animals_http_requests_in_progress 1.0" in text
    assert len(guarded.lines) == 1, guarded.output
