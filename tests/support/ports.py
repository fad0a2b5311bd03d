"""Ports for programs that have to be told one: chosen now, taken a little later, and free whenever they are stopped.

The system gives the ports of its own range to whoever connects anywhere: one of those may be somebody else's by the
time a program wants to listen on it, and who connects to such a port in vain may even be connected to himself. These
are below that range, and processes of one test run look in different parts.
"""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _USUAL = 15_000, 32_768
_PARTS = 8


def free_port() -> int:
    """One of 127.0.0.1 that nobody listens on."""
    first = int(_RANGE.read_text().split()[0]) if _RANGE.is_file() else _USUAL
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PARTS
    ports = range(_LOWEST + worker, max(first, _LOWEST + 1000), _PARTS)
    for port in random.SystemRandom().sample(ports, len(ports)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
