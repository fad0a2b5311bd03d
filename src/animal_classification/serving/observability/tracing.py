"""Traces for OpenTelemetry (extra ``telemetry``): on where the standard ``OTEL_*`` variables name a receiver.

Without them nothing of OpenTelemetry is imported. The parent of a request's span is the client's ``traceparent``, if it
sends one. Below it each photo has ``queue``, ``decode`` and ``infer``, and ``infer`` is linked with its batch.

docs/decisions.md says why this is not OpenTelemetry's ASGI instrumentation.
"""

# Imported where it is used: OpenTelemetry is an extra.

from __future__ import annotations

import logging
import os
import time
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from animal_classification import __version__
from animal_classification.install_hint import pip_install

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.types import Scope

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SERVICE = "animals"
CURRENT: ContextVar[RequestTrace | None] = ContextVar("animals_trace", default=None)
_log = logging.getLogger(__name__)


def is_enabled(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a receiver of traces.

    >>> is_enabled({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"})
    True
    >>> is_enabled({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"})
    False
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = {word.strip() for word in environment.get("OTEL_TRACES_EXPORTER", "").split(",")} - {""}
    if exporters:
        return "otlp" in exporters
    return any(environment.get(name, "").strip() for name in ENDPOINTS)


def from_environment(environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Tracing as the environment asks for it; ``None`` without, or where it cannot start, which the log explains."""
    if not is_enabled(environment):
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        _log.warning("no traces: they need an extra: %s", pip_install("telemetry"))
        return None
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        _log.warning("no traces: they are sent as http/protobuf, not as %r", protocol)
        return None
    try:
        return Tracing()
    except Exception as error:  # a variable that OpenTelemetry cannot read
        _log.warning("no traces: OpenTelemetry does not start: %s", error)
        return None


class Tracing:
    """OpenTelemetry's SDK with its exporter over HTTP; both read the rest of the ``OTEL_*`` variables themselves."""

    def __init__(self) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        own = {SERVICE_VERSION: __version__}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            own[SERVICE_NAME] = SERVICE
        resource = Resource.create(own)
        self._api = trace
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("animal_classification.serving", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, scope: Scope) -> RequestTrace:
        """Start the span of a request, below the client's if it sends one."""
        sent = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _TRACE_HEADERS
        }
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        span = self._tracer.start_span(
            scope["method"],
            self._propagator.extract(sent),
            kind=self._api.SpanKind.SERVER,
            attributes=attributes,
        )
        return RequestTrace(self, span)

    def below(self, parent: Any) -> Any:
        """The context of spans below another."""
        return self._api.set_span_in_context(parent)

    def add(self, name: str, context: Any, times: tuple[int, int], *, links: Iterable[Any] = (), **facts: Any) -> Any:
        """Add a span that has ended; ``times`` are nanoseconds since 1970. Returns its span context."""
        span = self._tracer.start_span(
            name,
            context,
            start_time=times[0],
            links=[self._api.Link(identity) for identity in links],
            attributes=facts,
        )
        span.end(times[1])
        return span.get_span_context()

    @property
    def failed(self) -> Any:
        """The status of a failed span."""
        return self._api.StatusCode.ERROR

    def without_parent(self) -> Any:
        """The context of a span that belongs to several requests."""
        return self._api.set_span_in_context(self._api.INVALID_SPAN)

    def close(self) -> None:
        """Send the spans that wait, within the exporter's time-out."""
        self._provider.shutdown()


_TRACE_HEADERS = frozenset({b"traceparent", b"tracestate"})


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """The span of one request."""

    tracing: Tracing
    span: Any

    @property
    def identity(self) -> Any:
        """OpenTelemetry's span context."""
        return self.span.get_span_context()

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return format(self.identity.trace_id, "032x")

    @property
    def header(self) -> str:
        """The header ``traceresponse`` of W3C's Trace Context: ``00-TRACE-SPAN-FLAGS``."""
        identity = self.identity
        return f"00-{identity.trace_id:032x}-{identity.span_id:016x}-{int(identity.trace_flags):02x}"

    @property
    def recorded(self) -> bool:
        """Whether the sampler keeps it."""
        return bool(self.span.is_recording())

    def step(self, name: str, times: tuple[int, int], *, links: Iterable[Any] = (), **facts: Any) -> None:
        """Add a span for a step of this request."""
        if self.recorded:
            self.tracing.add(name, self.tracing.below(self.span), times, links=links, **facts)

    def end(self, method: str, route: str, status: int) -> None:
        """End the span: the request is answered."""
        self.span.update_name(f"{method} {route}")
        self.span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            self.span.set_status(self.tracing.failed)
        self.span.end()


def inferred(traces: Sequence[RequestTrace | None], started: int) -> None:
    """Add the span of a batch, and one for each photo in it.

    Args:
        traces: One for each photo.
        started: When the batch began, by ``time.time_ns``.
    """
    times = started, time.time_ns()
    recorded = [trace for trace in traces if trace is not None and trace.recorded]
    if not recorded:
        return
    tracing = recorded[0].tracing
    others = {trace.identity.span_id: trace.identity for trace in recorded}
    facts = {"animals.batch_size": len(traces)}
    batch = tracing.add("infer batch", tracing.without_parent(), times, links=others.values(), **facts)
    for trace in recorded:
        trace.step("infer", times, links=[batch], **facts)


def current() -> RequestTrace | None:
    """The trace of the request in progress."""
    return CURRENT.get()
