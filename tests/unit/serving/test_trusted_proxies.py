"""Who the client is behind proxies: counted from the server, whatever the client wrote."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.errors import UsageError
from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.middleware.trusted_proxies import TrustedProxies
from animal_classification.settings import Settings
from tests.unit.serving.conftest import RED, encoded

PROXY, CLIENT = "10.0.0.2", "192.0.2.7"


class Behind:
    """A server behind proxies; remembers whom it took for the client, and over what."""

    def __init__(self, classifier: Classifier, *trusted: str, **settings: Any) -> None:
        self.lines: list[dict[str, Any]] = []
        options = Settings(trusted_proxies=trusted, page=False, **settings)
        self.app = create_app(classifier, options, access_log=self.lines.append)

    def client_of(self, peer: str, *forwarded: str, **headers: str) -> str:
        sent = [("X-Forwarded-For", value) for value in forwarded] + list(headers.items())
        answer = TestClient(self.app, client=(peer, 50_000)).get("/healthz", headers=sent)
        self.secure = "strict-transport-security" in answer.headers
        return str(self.lines[-1]["client"])


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ((), PROXY, [CLIENT], PROXY),
        ((PROXY,), PROXY, [], PROXY),
        ((PROXY,), PROXY, [CLIENT], CLIENT),
        ((PROXY,), PROXY, [f"1.1.1.1, {CLIENT}"], CLIENT),
        ((PROXY,), PROXY, ["1.1.1.1", CLIENT], CLIENT),
        ((PROXY,), "10.0.0.9", [CLIENT], "10.0.0.9"),
        (("10.0.0.0/8",), "10.9.9.9", [f"1.1.1.1, {CLIENT}, 10.0.0.3"], CLIENT),
        (("10.0.0.0/8",), "::ffff:10.9.9.9", [f"{CLIENT}, ::ffff:10.0.0.3"], CLIENT),
        (("10.0.0.0/8", "fd00::/8"), "fd00::1", ["[2001:db8::1]:4711, 10.0.0.3:99"], "2001:db8::1"),
        (("10.0.0.0/8",), PROXY, ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (("10.0.0.0/8",), PROXY, [f"{CLIENT}, unknown, 10.2.2.2"], "10.2.2.2"),
        (("10.0.0.0/8",), PROXY, ["<script>"], PROXY),
        (("*",), PROXY, [f"1.1.1.1, {CLIENT}"], CLIENT),
        (("*",), PROXY, [], PROXY),
        (("1",), "8.8.8.8", [f"1.1.1.1, {CLIENT}"], CLIENT),
        (("2",), PROXY, [f"1.1.1.1, {CLIENT}, 10.0.0.3"], CLIENT),
        (("2",), PROXY, [CLIENT], CLIENT),
        (("3",), PROXY, ["1.1.1.1, nobody, 10.0.0.4, 10.0.0.3"], PROXY),
    ],
)
def test_the_client(
    classifier: Classifier, trusted: tuple[str, ...], peer: str, forwarded: list[str], client: str
) -> None:
    assert Behind(classifier, *trusted).client_of(peer, *forwarded) == client


def test_the_scheme_comes_from_the_same_proxy(classifier: Classifier) -> None:
    def secure(trusted: str, peer: str, proto: str, forwarded: str = CLIENT) -> bool:
        behind = Behind(classifier, trusted)
        behind.client_of(peer, forwarded, **{"X-Forwarded-Proto": proto})
        return behind.secure

    assert secure(PROXY, PROXY, "https")
    assert not secure(PROXY, "10.0.0.9", "https"), "not believed"
    assert not secure(PROXY, PROXY, "https, http"), "the left one is the client's"
    assert secure("2", PROXY, "https, http", f"{CLIENT}, 10.0.0.3")
    assert not secure(PROXY, PROXY, "gopher")


entries = st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=12)), max_size=8)


@given(written=entries, hops=st.integers(1, 4))
def test_what_the_client_writes_moves_nothing(written: list[str], hops: int) -> None:
    """Each trusted proxy appends one entry; whatever stands before them, the same entries are believed."""
    appended = [CLIENT, *(f"10.0.0.{number}" for number in range(1, hops))]
    for trusted in ([str(hops)], ["10.0.0.0/8"]):
        proxies = TrustedProxies(trusted)
        assert proxies.hops(PROXY, [*written, *appended]) == hops


@pytest.mark.parametrize("trusted", ["*", "1", PROXY, "10.0.0.0/8"])
def test_no_header_gets_round_the_rate(classifier: Classifier, trusted: str) -> None:
    app = create_app(classifier, Settings(trusted_proxies=(trusted,), rate_limit=2))

    def ask(written: str) -> int:
        headers = {"content-type": "image/jpeg", "X-Forwarded-For": f"{written}, {CLIENT}"}
        client = TestClient(app, client=(PROXY, 50_000))
        return int(client.post("/v1/predict", content=encoded(RED), headers=headers).status_code)

    assert [ask(f"{number}.1.1.1") for number in range(4)] == [200, 200, 429, 429]


@pytest.mark.parametrize("words", ["nginx", "10.0.0.0/33", "0", "21", "2,10.0.0.1", "*,10.0.0.1", "-1", "²", "10.0.0"])
def test_proxies_that_cannot_be_are_one_line(words: str) -> None:
    with pytest.raises(UsageError, match="trusted_proxies"):
        Settings(trusted_proxies=tuple(words.split(",")))
