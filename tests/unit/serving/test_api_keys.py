"""API keys and rates, and what somebody might try to get round them."""

from __future__ import annotations

import asyncio
import hmac
import json
import stat
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from animal_classification.cli import keys as cli
from animal_classification.errors import OutputError, UsageError
from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.middleware import api_keys
from animal_classification.serving.middleware.api_keys import KeyRing, new_key, read_keys, write_keys
from animal_classification.serving.middleware.rate_limit import MAX_BUCKETS, RateLimiter, address_group
from animal_classification.settings import Settings
from tests.unit.serving.conftest import RED, assert_problem, encoded

JPEG = {"content-type": "image/jpeg"}
PHOTO = encoded(RED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


class Zoo:
    """A server with keys, one for each scope."""

    def __init__(self, path: Path, classifier: Classifier, **settings: Any) -> None:
        made = {scope: new_key(scope, (scope,)) for scope in api_keys.SCOPES}
        self.path = path
        self.texts = {scope: text for scope, (text, _) in made.items()}
        self.keys = {scope: key for scope, (_, key) in made.items()}
        write_keys(path, list(self.keys.values()))
        self.lines: list[dict[str, Any]] = []
        app = create_app(classifier, Settings(keys_file=str(path), **settings), access_log=self.lines.append)
        self.app = app
        self.client = TestClient(app, raise_server_exceptions=False)

    def ask(self, *headers: tuple[str, str], url: str = "/v1/predict") -> Any:
        return self.client.post(url, content=PHOTO, headers=[*JPEG.items(), *headers])


@pytest.fixture
def zoo(path: Path, classifier: Classifier) -> Zoo:
    return Zoo(path, classifier)


def bearer(text: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {text}"


def test_a_key_lets_in_by_either_header(zoo: Zoo) -> None:
    text = zoo.texts["predict"]
    for header in (bearer(text), ("X-API-Key", text), ("authorization", f"bearer  {text} ")):
        assert zoo.ask(header).status_code == 200
    assert zoo.lines[0]["key"] == "predict"
    assert text not in json.dumps(zoo.lines)


def test_without_a_key_only_health_and_the_reference_answer(zoo: Zoo) -> None:
    for path in ("/healthz", "/readyz", "/v2/health/live", "/docs", "/openapi.json", "/"):
        assert zoo.client.get(path).status_code == 200, path
    for path in ("/v1/models", "/v1/models/tiny", "/metrics", "/nowhere", "/config", "/gradio_api/queue/join"):
        refused = zoo.client.get(path)
        assert_problem(refused, 401, "no-key")
        assert refused.headers["www-authenticate"].startswith("Bearer")
    assert zoo.client.get("/v2/models/tiny").json().keys() == {"error"}
    assert "Sign in" in zoo.client.get("/").text


def test_the_description_says_how_keys_are_sent(zoo: Zoo, classifier: Classifier) -> None:
    document = zoo.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["header"]["name"] == "X-API-Key"
    assert document["security"] == [{"bearer": []}, {"header": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert "security" not in document["paths"]["/v1/predict"]["post"]
    assert "security" not in TestClient(create_app(classifier)).get("/openapi.json").json()


def test_scopes(zoo: Zoo) -> None:
    def status(scope: str, path: str) -> int:
        return int(zoo.client.get(path, headers=dict([bearer(zoo.texts[scope])])).status_code)

    assert api_keys.SCOPES == ("predict", "feedback", "metrics", "admin")
    assert [status(scope, "/v1/models") for scope in api_keys.SCOPES] == [200, 403, 403, 200]
    assert [status(scope, "/v2/models/tiny") for scope in api_keys.SCOPES] == [200, 403, 403, 200]
    assert [status(scope, "/metrics") for scope in api_keys.SCOPES] == [403, 403, 200, 200]
    assert [status(scope, "/v1/feedback") for scope in api_keys.SCOPES] == [403, 404, 403, 404], "there is none yet"
    assert_problem(zoo.ask(bearer(zoo.texts["feedback"])), 403, "no-scope")


@pytest.mark.parametrize("url", ["/v1/models/tiny/reload", "/v1/models/tiny/reload/", "/v1/models/tiny/re%6coad"])
def test_only_admins_reload(zoo: Zoo, url: str) -> None:
    for scope in ("predict", "feedback"):
        assert_problem(zoo.ask(bearer(zoo.texts[scope]), url=url), 403, "no-scope")
    answer = zoo.ask(bearer(zoo.texts["admin"]), url=url)
    assert (answer.status_code, answer.json()) == (200, {"name": "tiny", "version": "1", "before": "1"})
    assert_problem(zoo.ask(bearer(zoo.texts["admin"]), url="/v1/models/lion/reload"), 404, "no-such-model")


def test_nobody_reloads_where_there_are_no_keys(classifier: Classifier) -> None:
    client = TestClient(create_app(classifier))
    assert_problem(client.post("/v1/models/tiny/reload"), 403, "no-scope")


@pytest.mark.parametrize(
    "url",
    [
        "//v1/predict",
        "/v1//predict",
        "/v1/predict/",
        "/v1/./predict",
        "/healthz/../v1/predict",
        "/healthz/%2e%2e/v1/predict",
        "/docs/assets/../../v1/predict",
        "/docs/assets/%2e%2e/%2e%2e/v1/predict",
        "/%761/predict",
        "/v1/predict?key=x",
        "/v1/predict;/healthz",
        "/V1/predict",
        "/v1/predict%00/healthz",
        "/v1/predict%0A",
        "/healthz%0A",
    ],
)
def test_no_spelling_of_a_path_gets_round_the_keys(zoo: Zoo, url: str) -> None:
    answer = zoo.client.request("POST", url, content=PHOTO, headers=JPEG, follow_redirects=False)
    assert answer.status_code in ({400} if "%0" in url else {401, 404, 405}), (url, answer.text)
    assert "predictions" not in answer.text


def test_no_way_of_sending_a_key_gets_round_them(zoo: Zoo) -> None:
    good, bad = zoo.texts["predict"], new_key("x", ("predict",))[0]
    attempts: list[tuple[tuple[str, str], ...]] = [
        (),
        (bearer(bad),),
        (bearer(""),),
        (("Authorization", good),),
        (("Authorization", f"Basic {good}"),),
        (("Authorization", f"Bearer Bearer {good}"),),
        (("Authorization", f"Bearer {good}, Bearer {bad}"),),
        (bearer(good), bearer(good)),
        (bearer(bad), ("X-API-Key", good)),
        (("X-API-Key", good), ("X-API-Key", bad)),
        (("X-API-Key", good[:-1]),),
        (("X-API-Key", good + "A"),),
        (("X-API-Key", good.upper()),),
        (("X-API-Key", good.replace("_", "-", 1)),),
        (("X-API-Key", zoo.keys["predict"].sha256),),
        (("X-API-Key", f"animals_{zoo.keys['admin'].id}_{good.split('_', 2)[2]}"),),
        (("X-API-Key", "a" * 60_000),),
        (("Cookie", f"X-API-Key={good}"),),
        (("X-Forwarded-For", "127.0.0.1"), ("X-Original-URL", "/healthz")),
        (("X-HTTP-Method-Override", "GET"),),
    ]
    for headers in attempts:
        assert_problem(zoo.ask(*headers), 401, "no-key")
    assert zoo.client.get("/v1/models", headers=[(b"X-API-Key", b"\xc3\xa9\xff")]).status_code == 401
    assert_problem(zoo.ask(url=f"/v1/predict?X-API-Key={good}&key={good}&access_token={good}"), 401, "no-key")


def test_other_credentials_stand_beside_a_key(zoo: Zoo) -> None:
    good, header = zoo.texts["predict"], ("X-API-Key", zoo.texts["predict"])
    token = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhbmltYWxzIn0.c2lnbmF0dXJl"  # pragma: allowlist secret
    for beside in (
        bearer(token),
        ("Authorization", "Basic em9vOnNlY3JldA=="),
        ("Authorization", "Negotiate x"),
        bearer(""),
    ):
        assert zoo.ask(beside, header).status_code == 200
        assert_problem(zoo.ask(beside), 401, "no-key")
    assert zoo.ask(bearer(good), header).status_code == 200, "the same key in two places is one key"
    assert_problem(zoo.ask(bearer(zoo.texts["admin"]), header), 401, "no-key")
    assert_problem(zoo.ask(bearer(good), ("X-API-Key", token)), 401, "no-key")


def test_a_refused_body_is_not_read(zoo: Zoo) -> None:
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        taken += 1
        yield b"\0" * 1000

    async def scenario() -> None:
        transport = httpx.ASGITransport(zoo.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert_problem(await client.post("/v1/predict", content=body(), headers=JPEG), 401, "no-key")

    asyncio.run(scenario())
    assert taken == 0


def test_every_look_up_compares_as_many_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, key = new_key("a", ("predict",))
    write_keys(path, [key])
    ring = KeyRing(path)
    compared: list[tuple[int, int]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    class Watched:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(api_keys, "hmac", Watched)
    unknown = new_key("b", ("predict",))[0]
    tries = [text, text[:-1] + ("A" if text[-1] != "A" else "B"), unknown, "nonsense", ""]
    assert [ring.find(guess) is not None for guess in tries] == [True, False, False, False, False]
    assert compared == [(64, 64)] * 5


def test_only_hashes_are_kept_and_only_the_owner_may_read(path: Path) -> None:
    text, key = new_key("zoo", ("admin", "predict"), days=1, rate_limit=5)
    write_keys(path, [key])
    assert text.split("_", 2)[2] not in path.read_text()
    assert read_keys(path) == [key]
    assert key.scopes == ("predict", "admin")
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_rotation_without_a_restart(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "LOOK_EVERY", 0.0)
    old = zoo.texts["predict"]
    assert zoo.ask(bearer(old)).status_code == 200
    new, key = new_key("new", ("predict",))
    write_keys(zoo.path, [*zoo.keys.values(), key])
    assert [zoo.ask(bearer(text)).status_code for text in (old, new)] == [200, 200]
    write_keys(zoo.path, [key])
    assert [zoo.ask(bearer(text)).status_code for text in (old, new)] == [401, 200]


@pytest.mark.parametrize("damage", ["", "{", '{"keys": [{"id": 1}]}', '{"keys": 7}', "[" * 5000])
def test_a_file_that_breaks_opens_no_door_and_locks_nobody_out(
    zoo: Zoo, damage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(api_keys, "LOOK_EVERY", 0.0)
    assert zoo.ask(bearer(zoo.texts["predict"])).status_code == 200
    zoo.path.write_text(damage)
    assert zoo.ask(bearer(zoo.texts["predict"])).status_code == 200
    assert zoo.ask().status_code == 401
    assert caplog.text.count("stay as they were") == 1, "said once, tried at each look"
    zoo.path.unlink()
    assert zoo.ask(bearer(zoo.texts["predict"])).status_code == 200


def test_a_file_that_cannot_be_read_is_a_metric_until_it_can(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "LOOK_EVERY", 0.0)

    def unreadable() -> str:
        metrics = zoo.client.get("/metrics", headers=dict([bearer(zoo.texts["metrics"])])).text
        return next(line.split()[1] for line in metrics.splitlines() if line.startswith("animals_keys_file_unreadable"))

    assert unreadable() == "0.0"
    good = zoo.path.read_bytes()
    zoo.path.unlink()
    assert unreadable() == "1.0"
    zoo.path.mkdir()  # what a container makes of a file that is not there
    assert unreadable() == "1.0"
    zoo.path.rmdir()
    zoo.path.write_bytes(good)
    assert unreadable() == "0.0"


def test_a_file_is_read_again_when_the_trouble_is_over_though_nothing_was_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "LOOK_EVERY", 0.0)
    (text, key), (other, second) = new_key("a", ("predict",)), new_key("b", ("predict",))
    write_keys(path, [key])
    looks: list[bool] = []
    ring = KeyRing(path, on_look=looks.append)
    write_keys(path, [second])
    monkeypatch.setattr(api_keys, "MAX_FILE", 1)  # a refusal that leaves no trace on the file
    assert ring.find(text) == key
    monkeypatch.undo()
    monkeypatch.setattr(api_keys, "LOOK_EVERY", 0.0)
    assert (ring.find(text), ring.find(other)) == (None, second)
    assert looks == [False, True, True]


def test_an_expired_key_does_not_hold(zoo: Zoo, path: Path) -> None:
    text, key = new_key("short", ("predict",), days=1)
    write_keys(path, [key])
    ring = KeyRing(path)
    assert ring.find(text) == key
    assert key.expired(datetime.now(UTC) + timedelta(days=1, seconds=1))
    assert not key.expired(datetime.now(UTC))


GOOD = {"id": "0" * 12, "name": "a", "scopes": ["predict"], "sha256": "0" * 64, "created": "2026-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": ["root"]},
        {"scopes": "predict"},
        {"sha256": "x"},
        {"expires": "tomorrow"},
        {"expires": "2026-01-01T00:00:00"},
        {"rate_limit": -1},
        {"rate_limit": "many"},
        {"other": 1},
        {"name": None},
    ],
)
def test_a_malformed_file_is_one_line(path: Path, wrong: dict[str, Any]) -> None:
    path.write_text(json.dumps({"keys": [GOOD | wrong]}))
    with pytest.raises(UsageError, match="is no file of API keys"):
        create_app(None, Settings(keys_file=str(path)))


def test_a_missing_file_is_one_line(path: Path) -> None:
    with pytest.raises(UsageError, match="animals keys create"):
        create_app(None, Settings(keys_file=str(path)))
    with pytest.raises(OutputError, match="cannot be written"):
        write_keys(path / "nowhere" / "keys.json", [])


def test_photos_are_charged_to_their_key(path: Path, classifier: Classifier) -> None:
    zoo = Zoo(path, classifier, rate_limit=6)
    key = bearer(zoo.texts["predict"])
    many = [("files", ("a.jpg", PHOTO))] * 5
    assert zoo.client.post("/v1/predict", files=many, headers=dict([key])).status_code == 200
    assert zoo.ask(key).status_code == 200
    refused = zoo.ask(key)
    assert_problem(refused, 429, "too-fast")
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert zoo.ask(bearer(zoo.texts["admin"])).status_code == 200, "another key has a bucket of its own"
    assert zoo.client.get("/v1/models", headers=dict([key])).status_code == 200, "what costs nothing is not counted"
    infer = zoo.client.post("/v2/models/tiny/infer", content=b"{}", headers=dict([key]))
    assert (infer.status_code, infer.json().keys()) == (429, {"error"})


def test_a_key_may_have_a_rate_of_its_own(path: Path, classifier: Classifier) -> None:
    zoo = Zoo(path, classifier, rate_limit=1)
    text, key = new_key("fast", ("predict",), rate_limit=0)
    slow_text, slow = new_key("slow", ("predict",), rate_limit=2)
    write_keys(path, [key, slow])
    zoo.client = TestClient(create_app(classifier, Settings(keys_file=str(path), rate_limit=1)))
    assert [zoo.ask(bearer(text)).status_code for _ in range(5)] == [200] * 5
    assert [zoo.ask(bearer(slow_text)).status_code for _ in range(3)] == [200, 200, 429]


def test_without_keys_addresses_are_counted_and_headers_do_not_change_them(classifier: Classifier) -> None:
    client = TestClient(create_app(classifier, Settings(rate_limit=2)))
    statuses = [
        client.post("/v1/predict", content=PHOTO, headers={**JPEG, "X-Forwarded-For": f"10.0.0.{n}"}).status_code
        for n in range(4)
    ]
    assert statuses == [200, 200, 429, 429]


def test_behind_a_proxy_only_the_address_that_it_added_counts(classifier: Classifier) -> None:
    app = create_app(classifier, Settings(rate_limit=2, trusted_proxies=("10.0.0.2",)))

    def ask(peer: str, forwarded: str) -> int:
        client = TestClient(app, client=(peer, 50_000))
        return client.post("/v1/predict", content=PHOTO, headers={**JPEG, "X-Forwarded-For": forwarded}).status_code

    assert [ask("10.0.0.2", f"{n}.1.1.1, 192.0.2.7") for n in range(3)] == [200, 200, 429]
    assert ask("10.0.0.2", "192.0.2.8") == 200, "somebody else"
    assert [ask("10.0.0.9", f"{n}.1.1.1") for n in range(3)] == [200, 200, 429], "who is no proxy is not believed"


def test_requests_at_the_same_time_cannot_overdraw(classifier: Classifier) -> None:
    app = create_app(classifier, Settings(rate_limit=3))

    async def scenario() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            files = [("files", ("a.jpg", PHOTO))]
            answers = await asyncio.gather(*(client.post("/v1/predict", files=files) for _ in range(12)))
            return [answer.status_code for answer in answers]

    assert sorted(asyncio.run(scenario())) == [200] * 3 + [429] * 9
    app.state.service.close(timeout=20)


def test_a_bucket_fills_evenly_and_debts_are_paid() -> None:
    now = 0.0
    rates = RateLimiter(lambda: now)
    assert rates.seconds_to_wait("a", 60) == 0
    rates.take("a", 60, 64)
    assert rates.seconds_to_wait("a", 60) == pytest.approx(5)
    now = 4.9
    assert rates.seconds_to_wait("a", 60) > 0
    now = 5.1
    assert rates.seconds_to_wait("a", 60) == 0
    now = 10_000.0
    rates.take("a", 60, 60)
    assert rates.seconds_to_wait("a", 60) == pytest.approx(1), "no more than a minute's worth is saved up"
    assert rates.seconds_to_wait("slow", 0.5) == 0


def test_the_list_of_buckets_is_bounded() -> None:
    rates = RateLimiter()
    for number in range(MAX_BUCKETS + 100):
        rates.seconds_to_wait(number, 60)
    assert len(rates._buckets) == MAX_BUCKETS


def test_an_ipv6_network_is_one_client() -> None:
    assert address_group("2001:db8::1") == address_group("2001:db8::2:3")
    assert address_group("2001:db8::1") != address_group("2001:db8:0:1::1")
    assert address_group("::ffff:10.0.0.1") == "10.0.0.1"
    assert address_group("testclient") == "testclient"


def invoke(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(cli.command, list(words))


def test_the_command(path: Path) -> None:
    where = ("--file", str(path))
    text = invoke("create", "the zoo", *where).stdout.strip()
    assert KeyRing(path).find(text).name == "the zoo"
    made = json.loads(invoke("create", "ops", "--scope", "admin", "--days", "7", *where, "--json").stdout)
    assert made["scopes"] == ["admin"]
    assert "sha256" not in made
    listed = invoke("list", ANIMALS_KEYS_FILE=str(path)).stdout
    assert "the zoo" in listed
    assert "for ever" in listed
    assert text not in listed
    assert len(json.loads(invoke("list", *where, "--json").stdout)["keys"]) == 2
    assert invoke("revoke", made["id"], *where).exit_code == 0
    assert KeyRing(path).find(made["key"]) is None
    assert KeyRing(path).find(text) is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("list",), "which file of keys"),
        (("list", "--file", "nowhere.json"), "cannot be read"),
        (("create", "a", "--scope", "root", "--file", "k.json"), "unknown scope 'root'"),
        (("create", " ", "--file", "k.json"), "needs a name"),
        (("create", "a\x1b[31m", "--file", "k.json"), "needs a name"),
    ],
)
def test_wrong_calls(words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in str(invoke(*words).exception)


def test_revoking_what_is_not_there(path: Path) -> None:
    write_keys(path, [])
    assert "no key with the id" in str(invoke("revoke", "abc", "--file", str(path)).exception)
