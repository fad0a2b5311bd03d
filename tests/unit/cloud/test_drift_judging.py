"""Drift in the cloud: the scheduler's job, its account, the policies, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from animal_classification.cloud.documents import Document
from animal_classification.cloud.message_types import message
from animal_classification.cloud.render import render
from animal_classification.cloud.resources import Resources
from animal_classification.errors import AnimalsError, UsageError
from tests.unit.cloud.test_render import find, settings

URL = "https://animals-123456789012.europe-west4.run.app"
LOG = {"ANIMALS_PREDICTION_LOG": "1", "ANIMALS_PHOTOS_URL": "gs://zoo-animals/kept"}


def watched(**changed: Any) -> Any:
    service = {"environment": LOG, "secret_files": {}, "secrets": {"ANIMALS_LOG_URL": "log-url"}, "min_instances": 0}
    return settings(**{"drift": {"url": URL}, "service": service, **changed})


def test_the_scheduler_asks_as_an_account_that_may_call_this_service_only() -> None:
    documents = render("cloudrun", watched())
    (job,) = find(documents, "scheduler-job")
    account = "animals-judge@zoo-project.iam.gserviceaccount.com"
    assert job.body["httpTarget"]["uri"] == f"{URL}/v1/drift/judge"
    assert job.body["httpTarget"]["oidcToken"] == {"serviceAccountEmail": account, "audience": URL}
    assert job.body["schedule"] == "*/15 * * * *"
    rights = [
        (document.name, binding["role"])
        for document in documents
        for binding in document.body.get("bindings", ())
        if f"serviceAccount:{account}" in binding["members"]
    ]
    assert rights == [("projects/zoo-project/locations/europe-west4/services/animals", "roles/run.invoker")]
    assert any(account in document.name for document in find(documents, "service-account"))


def test_a_private_service_stays_private_with_it() -> None:
    (rights,) = find(render("cloudrun", watched()), "run-service-policy")
    assert rights.absent == {"roles/run.invoker": ["allUsers"]}
    assert len(rights.body["bindings"]) == 1


def test_the_policies() -> None:
    queries = {
        document.name.rpartition("/")[2]: document.body["conditions"][0].get("conditionPrometheusQueryLanguage")
        for document in find(render("cloudrun", watched()), "alert-policy")
    }
    assert queries["animals-drift"]["query"] == "max(animals_drift_score) > 0.25"
    assert queries["animals-drift"]["duration"] == "0s"
    assert "animals_drift_age_seconds" in queries["animals-drift-blind"]["query"]
    assert queries["animals-accuracy"]["query"] == 'min(animals_accuracy{how="audit"}) < 0.8'


def test_without_prometheus_the_servers_log_is_watched() -> None:
    documents = render("cloudrun", watched(alerts={"prometheus": False}))
    (metric,) = find(documents, "log-metric")
    assert 'jsonPayload.event="drift"' in metric.body["filter"]
    policy = next(one for one in find(documents, "alert-policy") if one.name.endswith("animals-drift"))
    assert "logging.googleapis.com/user/animals-drift" in policy.body["conditions"][0]["conditionThreshold"]["filter"]
    assert not find(render("cloudrun", settings(alerts={"prometheus": False})), "log-metric")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"service": {"environment": {**LOG, "ANIMALS_KEYS_FILE": "/secrets/keys.json/keys.json"}}}, "API keys"),
        ({"service": {"environment": {}}}, "ANIMALS_PREDICTION_LOG"),
        ({"drift": None, "service": {"environment": {**LOG, "ANIMALS_DRIFT_EVERY": "15m"}}}, "min_instances: 1"),
    ],
)
def test_what_cannot_work_is_refused(changed: dict[str, Any], says: str) -> None:
    service = {"secrets": {"ANIMALS_LOG_URL": "log-url"}, "min_instances": 0, **changed.pop("service")}
    with pytest.raises(UsageError, match=says):
        render("cloudrun", watched(service=service, alerts={"prometheus": False}, **changed))


@pytest.mark.parametrize("kind", ["scheduler-job", "log-metric"])
def test_a_message_that_google_would_refuse_names_its_field(kind: str) -> None:
    (right,) = find(render("cloudrun", watched(alerts={"prometheus": False})), kind)
    assert message(right) == right.body
    for name in right.body:
        with pytest.raises(AnimalsError, match=name):
            message(dataclasses.replace(right, body={key: v for key, v in right.body.items() if key != name}))
    with pytest.raises(AnimalsError, match="shedule"):
        message(dataclasses.replace(right, body={**right.body, "shedule": "now"}))


class Answer:
    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status_code, self.ok, self.text, self._body = status, status < 400, str(body), body

    def json(self) -> dict[str, Any]:
        return self._body


class Google:
    """Keeps what is put, as the service does."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []

    def request(self, method: str, url: str, **options: Any) -> Answer:
        self.asked.append((method, url))
        body: dict[str, Any] = options.get("json") or {}
        if method == "GET":
            return Answer(200, self.kept[url]) if url in self.kept else Answer(404, {})
        if "forbidden" in str(body):
            return Answer(403, {"error": "not yours"})
        name = body["name"] if method == "POST" else ""
        place = f"{url}/{name.rpartition('/')[2]}" if method == "POST" else url
        self.kept[place] = {**body, "state": "ENABLED"}
        return Answer(200, self.kept[place])


def test_a_job_is_made_once_and_changed_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    google = Google()
    resources = Resources("zoo-project", "europe-west4")
    monkeypatch.setattr(Resources, "session", google)
    for document in (*documents_of("scheduler-job"), *documents_of("log-metric")):
        assert resources.get(document) is None
        resources.put(document, None)
        there = resources.get(document)
        assert there is not None
        assert document.body.items() <= there.items()
        resources.put(document, there)
    assert [method for method, _ in google.asked if method != "GET"] == ["POST", "PATCH", "POST", "PUT"]
    (job,) = documents_of("scheduler-job")
    with pytest.raises(AnimalsError, match="403"):
        resources.put(dataclasses.replace(job, body={**job.body, "description": "forbidden"}), None)


def documents_of(kind: str) -> list[Document]:
    return find(render("cloudrun", watched(alerts={"prometheus": False})), kind)
