"""Under which names a server answers, and what pages of other sites may do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from animal_classification.errors import UsageError
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.middleware import allowed_hosts
from animal_classification.settings import Settings
from tests.unit.serving.conftest import RED, assert_problem, encoded

MakeClient = Callable[..., TestClient]
JPEG = {"content-type": "image/jpeg"}
ALWAYS = (
    "localhost",
    "LOCALHOST:8080",
    "zoo.localhost",
    "127.0.0.1:8080",
    "192.168.1.5:80",
    "[::1]:8080",
    "localhost.",
)
IN_THE_NETWORK = (
    "raspberrypi",
    "animals:8080",
    "pi.local",
    "pi.lan:8080",
    "animals.default.svc.cluster.local",
    "a.internal",
)
STRANGERS = (
    "attacker.example",
    "attacker.example:8080",
    "localhost.attacker.example",
    "127.0.0.1.attacker.example",
    "xlocalhost.example",
    "local.example",
    "",
    "[::1",
    "[attacker.example]",
    "localhost@attacker.example",
    "localhost/../attacker.example",
    "localhost, attacker.example",
    "attacker.example\tlocalhost",
)


@pytest.fixture(autouse=True)
def known_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real ones; this machine has a name."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Keeper.zoo.example")


def status(client: TestClient, host: str, path: str = "/v1/models") -> int:
    return int(client.get(path, headers={"Host": host}).status_code)


def test_a_server_for_this_machine_answers_under_its_names_only(client_with: MakeClient) -> None:
    client = client_with(page=False)
    assert [status(client, host) for host in ALWAYS] == [200] * len(ALWAYS)
    for host in (*STRANGERS, *IN_THE_NETWORK, "keeper.zoo.example"):
        refused = client.get("/v1/models", headers={"Host": host})
        assert_problem(refused, 421, "unknown-host")
        assert "--allowed-hosts" in refused.json()["detail"]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "", "192.168.1.5"])
def test_a_server_for_the_network_answers_under_names_that_no_public_dns_gives_out(
    client_with: MakeClient, address: str
) -> None:
    client = client_with(page=False, host=address)
    known = (*ALWAYS, *IN_THE_NETWORK, "keeper.zoo.example", "Keeper.Zoo.Example:8080")
    assert [status(client, host) for host in known] == [200] * len(known)
    assert [status(client, host) for host in STRANGERS] == [421] * len(STRANGERS)


@pytest.mark.parametrize(
    "path", ["/v1/review", "/v1/review/x/photo", "/v1/predict", "/metrics", "/docs", "/", "/nowhere"]
)
def test_rebinding_reaches_nothing_but_health(client_with: MakeClient, path: str) -> None:
    client = client_with(page=False)
    for method in ("GET", "POST", "HEAD", "DELETE"):
        assert client.request(method, path, headers={"Host": "attacker.example"}).status_code == 421
    for healthy in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
        assert status(client, "attacker.example", healthy) == 200


def test_the_protocol_has_its_own_form(client_with: MakeClient) -> None:
    refused = client_with().get("/v2", headers={"Host": "attacker.example"})
    assert (refused.status_code, refused.json().keys()) == (421, {"error"})


def test_a_list_adds_names(client_with: MakeClient) -> None:
    client = client_with(allowed_hosts=("zoo.example", "*.run.app", "[2001:db8::1]"), host="pets.example")
    known = ("zoo.example:443", "Zoo.Example.", "animals-1.run.app", "a.b.run.app", "localhost", "pets.example")
    assert [status(client, host) for host in known] == [200] * len(known)
    strangers = ("run.app", "evilrun.app", "www.zoo.example", "zoo.example.attacker.example")
    assert [status(client, host) for host in strangers] == [421] * len(strangers)
    assert [status(client_with(allowed_hosts=("*",)), host) for host in STRANGERS] == [200] * len(STRANGERS)


def test_what_sends_no_host_is_no_browser_and_two_are_one_too_many(client_with: MakeClient) -> None:
    known = allowed_hosts.AllowedHosts(Settings())
    known.require([])
    with pytest.raises(ProblemError):
        known.require(["localhost", "localhost"])


@pytest.mark.parametrize(
    "name", ["https://zoo.example", "zoo.example:443", "zoo.*", "*.", "a b", "zoo.example/", "**", ""]
)
def test_names_that_could_never_match_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="allowed_hosts"):
        Settings(allowed_hosts=(name,))


def post(client: TestClient, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/v1/predict", content=encoded(RED), headers=JPEG | {"Host": "localhost:8080"} | named)


OWN: list[dict[str, str]] = [
    {},  # a program
    {"Sec_Fetch_Site": "same-origin", "Origin": "http://localhost:8080"},
    {"Sec_Fetch_Site": "same-origin", "Origin": "https://zoo.example"},  # behind a proxy that names another host
    {"Sec_Fetch_Site": "none"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "https://LOCALHOST:8080"},  # TLS ends at a proxy
    {"Host": "192.168.1.5", "Origin": "http://192.168.1.5"},
]
OTHERS: list[dict[str, str]] = [
    {"Sec_Fetch_Site": "cross-site", "Origin": "https://attacker.example"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "cross-site", "Origin": "http://localhost:8080"},
    {"Sec_Fetch_Site": "same-site", "Origin": "http://localhost:3000"},
    {"Sec_Fetch_Site": "same-origin, cross-site"},
    {"Origin": "https://attacker.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://localhost:8080.attacker.example"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("headers", OWN)
def test_the_own_pages_and_programs_may_send(client_with: MakeClient, headers: dict[str, str]) -> None:
    assert post(client_with(), **headers).status_code == 200


@pytest.mark.parametrize("headers", OTHERS)
def test_pages_of_other_sites_may_not_send(client_with: MakeClient, headers: dict[str, str]) -> None:
    client = client_with()
    assert_problem(post(client, **headers), 403, "other-site")
    named = {name.replace("_", "-"): value for name, value in headers.items()} | {"Host": "localhost:8080"}
    assert client.get("/v1/models", headers=named).status_code == 200, "what changes nothing, a browser guards itself"
    for method in ("DELETE", "PUT", "PATCH", "BREW"):
        assert client.request(method, "/v1/feedback/1", headers=named).status_code == 403
    assert 'animals_rejected_total{reason="other-site"}' in client.get("/metrics", headers={"Host": "localhost"}).text


def test_sites_of_the_list_may_send(client_with: MakeClient) -> None:
    client = client_with(cors=("https://zoo.example",))
    allowed = {"Sec_Fetch_Site": "cross-site", "Origin": "https://zoo.example"}
    assert post(client, **allowed).status_code == 200
    assert_problem(post(client, **allowed | {"Origin": "https://zoo.example.attacker.example"}), 403, "other-site")
    assert post(client_with(cors=("*",)), **OTHERS[0]).status_code == 200
