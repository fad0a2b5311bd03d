"""Resources that are asked for in plain REST: Google's libraries for them would be two more packages for four calls.

The messages are checked here against their published form, as Google's own libraries check the others.
"""

# Imported where they are used: google-auth is an extra.

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from animal_classification.cloud.documents import Document
from animal_classification.errors import AnimalsError, MissingExtraError

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT = 30.0
_NOT_FOUND = 404
Duration = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?s$")]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class OidcToken(_Message):
    """Who Scheduler says that it is: an account, for one address."""

    serviceAccountEmail: str  # noqa: N815 - as the service spells it
    audience: str


class HttpTarget(_Message):
    """What Scheduler asks for."""

    uri: Annotated[str, Field(pattern=r"^https://")]
    httpMethod: Literal["POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"]  # noqa: N815
    oidcToken: OidcToken  # noqa: N815


class RetryConfig(_Message):
    """How often Scheduler tries again."""

    retryCount: Annotated[int, Field(ge=0, le=5)]  # noqa: N815
    minBackoffDuration: Duration  # noqa: N815


class SchedulerJob(_Message):
    """`projects.locations.jobs` of Cloud Scheduler, version 1."""

    name: Annotated[str, Field(pattern=r"^projects/[^/]+/locations/[^/]+/jobs/[A-Za-z0-9_-]{1,500}$")]
    description: Annotated[str, Field(max_length=500)]
    schedule: str
    timeZone: str  # noqa: N815
    attemptDeadline: Duration  # noqa: N815
    retryConfig: RetryConfig  # noqa: N815
    httpTarget: HttpTarget  # noqa: N815


class MetricDescriptor(_Message):
    """What kind of number it is."""

    metricKind: Literal["DELTA"]  # noqa: N815
    valueType: Literal["INT64", "DISTRIBUTION"]  # noqa: N815
    unit: str


class LogMetric(_Message):
    """`projects.metrics` of Cloud Logging, version 2."""

    name: Annotated[str, Field(max_length=100)]
    description: Annotated[str, Field(max_length=8000)]
    filter: Annotated[str, Field(max_length=20_000)]
    metricDescriptor: MetricDescriptor  # noqa: N815


KINDS: dict[str, tuple[type[_Message], str, str]] = {
    "scheduler-job": (SchedulerJob, "https://cloudscheduler.googleapis.com/v1", "PATCH"),
    "log-metric": (LogMetric, "https://logging.googleapis.com/v2", "PUT"),
}


class Session(Protocol):
    """Of ``google.auth``: signs each request."""

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Ask."""
        ...


def checked(document: Document) -> dict[str, Any]:
    """The body of a document, as the service takes it.

    Raises:
        AnimalsError: It is none; names the field.
    """
    kind, _, _ = KINDS[document.kind]
    try:
        return kind.model_validate(document.body).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AnimalsError(f"{document.file}: {where}: {first['msg']}") from error


def signed_in() -> Session:
    """A session that is signed in as this machine is.

    Raises:
        MissingExtraError: Google's libraries are not installed.
    """
    try:
        import google.auth
        from google.auth.transport.requests import AuthorizedSession
    except ImportError as error:
        raise MissingExtraError("animals deploy apply", "gcp") from error
    credentials, _ = google.auth.default(scopes=[_SCOPE])
    session: Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return session


def get(session: Session, document: Document) -> dict[str, Any] | None:
    """What is there under a document's name.

    Raises:
        AnimalsError: The service refuses.
    """
    _, address, _ = KINDS[document.kind]
    answer = session.request("GET", f"{address}/{document.name}", timeout=_TIMEOUT)
    if answer.status_code == _NOT_FOUND:
        return None
    return _content(answer, document)


def put(session: Session, document: Document, there: Any | None) -> None:
    """Make it, or change what is there into it.

    Raises:
        AnimalsError: The service refuses.
    """
    _, address, change = KINDS[document.kind]
    body = checked(document)
    if there is None:
        parent = document.name.rpartition("/")[0]
        _content(session.request("POST", f"{address}/{parent}", json=body, timeout=_TIMEOUT), document)
        return
    _content(session.request(change, f"{address}/{document.name}", json=body, timeout=_TIMEOUT), document)


def _content(answer: Any, document: Document) -> dict[str, Any]:
    if not answer.ok:
        said = " ".join(str(answer.text).split())[:300]
        raise AnimalsError(f"{document.file}: Google says {answer.status_code}: {said}")
    found: dict[str, Any] = answer.json()
    return found
