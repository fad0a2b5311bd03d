"""Listening on a port, and the limit on open files; with a one-line error where either is refused."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress

from animal_classification.errors import AnimalsError, UsageError

if sys.platform != "win32":
    import resource

PORTS_TRIED = 20
OTHER_FILES = 200  # beside connections: models, logs, a database


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything slow is done.

    Raises:
        AnimalsError: The port is taken; names a free one.
        UsageError: No such address on this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _bound(family, address)
    except socket.gaierror:
        raise UsageError(f"--host {host}: there is no such address; 127.0.0.1 is this machine alone") from None
    except OSError as error:
        raise _refused(error, host, port) from None


def address_of(host: str, port: int) -> str:
    """What to type into a browser on this machine."""
    name = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::", "::1", ""} else host  # noqa: S104
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def raise_file_limit(connections: int) -> str | None:
    """Let this process open so many connections, as far as its hard limit on open files allows.

    Beyond the limit a server can accept no connection, not even to refuse it.

    Returns:
        A line for the operator where the hard limit is too low.
    """
    if sys.platform == "win32":  # which has no such limit
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == wanted:
        return None
    needed = f"{connections} connections need {wanted} open files, and {hard} are allowed"
    return f"{needed}: raise ulimit -n, or lower --max-connections"


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is: without that, an answer's body
    # waits up to 40 ms for the client to acknowledge its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where SO_REUSEADDR would share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener


def _refused(error: OSError, host: str, port: int) -> AnimalsError:
    if error.errno == errno.EADDRINUSE:
        free = _free_port_after(host, port)
        hint = f"try --port {free}" if free else "choose another with --port"
        return AnimalsError(f"port {port} is in use already: stop what uses it, or {hint}")
    if error.errno == errno.EACCES:
        return AnimalsError(f"port {port} may only be used by an administrator: try --port 8080")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"--host {host}: this machine has no such address; 127.0.0.1 is this machine alone")
    return AnimalsError(f"cannot listen on {host} port {port}: {error.strerror or error}")


def _free_port_after(host: str, port: int) -> int | None:
    for candidate in range(port + 1, min(port + 1 + PORTS_TRIED, 65536)):
        with suppress(OSError):
            family, _, _, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            _bound(family, address).close()
            return candidate
    return None
