"""Taking a port before anything slow is done."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys

import pytest

from animal_classification.errors import AnimalsError, UsageError
from animal_classification.serving.process import ports
from animal_classification.serving.process.ports import address_of, listen


def test_a_free_port_is_taken() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


def test_a_taken_port_is_said_with_another_to_try() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            AnimalsError, match=rf"port {port} is in use already: stop what uses it, or try --port \d+"
        ) as caught:
            listen("127.0.0.1", port)
        assert caught.value.exit_code == 1
        other = int(str(caught.value).rsplit(" ", 1)[1])
        listen("127.0.0.1", other).close()


def test_no_other_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(ports, "_bound", taken)
    with pytest.raises(AnimalsError, match="choose another with --port"):
        listen("127.0.0.1", 65535)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "administrator"), (errno.EADDRNOTAVAIL, "no such address"), (errno.EIO, "cannot listen on")],
)
def test_other_refusals(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refused(*_: object) -> socket.socket:
        raise OSError(number, "refused")

    monkeypatch.setattr(ports, "_bound", refused)
    with pytest.raises(AnimalsError, match=words):
        listen("127.0.0.1", 80)


def test_a_host_that_is_none() -> None:
    with pytest.raises(UsageError, match="no such address"):
        listen("not a host", 0)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://localhost:8080"),
        ("0.0.0.0", "http://localhost:8080"),
        ("::", "http://localhost:8080"),
        ("192.168.1.7", "http://192.168.1.7:8080"),
        ("fe80::1", "http://[fe80::1]:8080"),
    ],
)
def test_what_to_type_into_a_browser(host: str, address: str) -> None:
    assert address_of(host, 8080) == address


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
@pytest.mark.parametrize(
    ("soft", "hard", "after", "line"),
    [(900, 4000, 900, None), (256, 4000, 700, None), (256, 400, 400, "500 connections need 700 open files")],
)
def test_room_for_connections(soft: int, hard: int, after: int, line: str | None) -> None:
    code = f"""
import resource
from animal_classification.serving.process.ports import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_file_limit(500))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, now = run.stdout.splitlines()
    assert int(now) == after
    assert said.startswith(line or "None")
