"""Under which host names this server answers, and which sites' pages may change anything.

A page of another site can make a visitor's browser send requests to this server. Two checks keep it out:

- *DNS rebinding*: the page's own name is made to point to this machine, so that the browser takes the two for one site.
  Such a request carries the stranger's name in ``Host``. An address cannot be rebound, and neither can a name that no
  public DNS gives out.
- *Cross-site requests*: browsers say where an unsafe request comes from, in ``Sec-Fetch-Site`` or in ``Origin``. The
  check is that of Go's ``net/http.CrossOriginProtection``.
"""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from animal_classification.serving.http.problem_details import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from animal_classification.settings import Settings

LOCAL_NAMES = frozenset({"localhost"})
# Not in the public DNS: RFC 6761, RFC 6762, RFC 8375, ICANN's reservation of 2024, and what many home routers use.
LOCAL_SUFFIX = ".localhost"
PRIVATE_SUFFIXES = (".local", ".home.arpa", ".internal", ".lan")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]*)?")


class AllowedHosts:
    """The host names under which a server answers: a list, and names that are safe in any case.

    Args:
        settings: Names that the operator allows, and the address that the server listens on.
    """

    def __init__(self, settings: Settings) -> None:
        allowed = [name.lower() for name in settings.allowed_hosts]
        self._any = "*" in allowed
        self._names = LOCAL_NAMES | {settings.host.lower(), *(name.strip("[]") for name in allowed)}
        self._suffixes = (LOCAL_SUFFIX, *(name[1:] for name in allowed if name.startswith("*.")))
        self._in_network = settings.host not in LOCAL_NAMES and not _is_loopback(settings.host)
        if self._in_network:
            self._names |= {socket.gethostname().lower()}

    def require(self, values: Sequence[str]) -> None:
        """Make sure that a request is meant for this server.

        Args:
            values: Its ``Host`` headers. Browsers always send one.

        Raises:
            ProblemError: 421, for a name that is not this server's.
        """
        if values and not self._any and (len(values) > 1 or not self._answers_to(values[0])):
            shown = values[0][:100]
            detail = f"this server does not go by the name {shown!r}; its operator can allow it with --allowed-hosts"
            raise ProblemError(421, detail, kind="unknown-host")

    def _answers_to(self, value: str) -> bool:
        found = _HOST.fullmatch(value.strip())
        if found is None:
            return False
        name = found[1].lower().strip("[]").removesuffix(".")
        if name in self._names or name.endswith(self._suffixes) or _is_address(name):
            return True
        return self._in_network and ("." not in name or name.endswith(PRIVATE_SUFFIXES))


def require_own_site(method: str, headers: Mapping[str, Sequence[str]], cors: Sequence[str]) -> None:
    """Make sure that no page of another site sends something that changes anything.

    Args:
        method: Of the request; safe ones pass.
        headers: Values by name in lower case; ``host``, ``origin`` and ``sec-fetch-site`` are looked at.
        cors: Origins whose pages may.

    Raises:
        ProblemError: 403, for a page that may not.
    """
    if method in SAFE_METHODS:
        return
    origin = next(iter(headers.get("origin", ())), None)
    if "*" in cors or origin in cors:
        return
    site = next(iter(headers.get("sec-fetch-site", ())), None)
    own = _is_own(origin, headers.get("host", ())) if site is None else site in {"same-origin", "none"}
    if not own:
        shown = f" ({origin[:100]})" if origin else ""
        detail = f"pages of other sites{shown} may not ask this server; its operator can allow one with --cors"
        raise ProblemError(403, detail, kind="other-site")


def _is_own(origin: str | None, host: Sequence[str]) -> bool:
    # The scheme is left out: behind a proxy that ends TLS this server may not know it.
    return origin is None or urlsplit(origin).netloc.lower() in {value.strip().lower() for value in host}


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_loopback
