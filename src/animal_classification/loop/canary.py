"""Whether a canary does well: failed requests, latency, unknown photos, and what people say of its answers."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from animal_classification.errors import AnimalsError
from animal_classification.loop.evidence import different_shares
from animal_classification.monitoring.audit_queries import read_audit
from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.shadow_rows import AnswerCounts, answered, compared

if TYPE_CHECKING:
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.workplace import Workplace

# Fewer answers say nothing of a quantile.
FEW = 50
_REQUESTS = "animals_http_requests_total"
# A hundred of these a minute would hide that all others fail.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
LOOK_BACK = timedelta(days=31)


def canary_trouble(work: Workplace, cycle: Cycle, since: datetime) -> str | None:
    """Why a canary must stop; ``None`` where it need not."""
    config, model = work.config.canary, work.config.served
    version, other = str(cycle.value("registry_version")), str(cycle.decision("gated")["production"])
    new, old = (answered(work.engine, model, one, since) for one in (version, other))
    if config.metrics and (share := _failed_since(config.metrics, cycle)) > config.errors:
        return f"{share:.1%} of requests fail"
    if min(new.count, old.count) >= FEW and new.p95 > config.slower * old.p95:
        return (
            f"95% of its answers take up to {1000 * new.p95:.0f} ms, and {1000 * old.p95:.0f} ms of the other model's"
        )
    if _more_unknown(work, version, new, old):
        return f"it calls {new.unknown} of {new.count} photos unknown, and the other model {old.unknown} of {old.count}"
    now, usual = audited_wrong(work, version, since), audited_wrong(work, other)
    if different_shares(now, usual) >= config.evidence and now[0] * usual[1] > usual[0] * now[1]:
        return (
            f"the audit finds {now[0] / now[1]:.0%} of its answers wrong ({now[1]:.0f} looked at), and "
            f"{usual[0] / usual[1]:.0%} of the other model's ({usual[1]:.0f})"
        )
    return None


def share_lasted(work: Workplace, version: str, since: datetime) -> str:
    """What is missing before the next share; empty where nothing is."""
    config = work.config.canary
    count = answered(work.engine, work.config.served, version, since).count
    minutes = (work.clock() - since).total_seconds() / 60
    missing = []
    if count < config.answers:
        missing.append(f"{count} answers of {config.answers}")
    if minutes < config.minutes:
        missing.append(f"{minutes:.0f} minutes of {config.minutes:g}")
    return ", ".join(missing)


def _more_unknown(work: Workplace, version: str, new: AnswerCounts, old: AnswerCounts) -> bool:
    """More than the shadow showed: a two-sample e-value that may be looked at again and again."""
    count, candidate, other = compared(work.engine, work.config.served, version)
    expected = abs(candidate - other) / count if count else 0.0
    evidence = different_shares((new.unknown, new.count), (old.unknown, old.count), min(0.99, expected))
    return evidence >= work.config.canary.evidence and new.unknown * old.count > old.unknown * new.count


def audited_wrong(work: Workplace, version: str, since: datetime | None = None) -> tuple[float, float]:
    """How many of a version's answers are wrong by the audit, and of how many.

    Only photos that were chosen by chance, and each stands for as many as it was chosen from: what people look at of
    their own accord is doubtful, and so are more of the photos that were chosen. The counts are those of an unweighted
    sample that says as much (Kish 1965).
    """
    now = work.clock()
    begin = (since or now - LOOK_BACK).timestamp()
    with translated_errors(work.engine.url, rows=False), reading(work.engine) as connection:
        sample = read_audit(
            connection, begin, now.timestamp(), model=work.config.served, version=version, canaries=True
        )
    looked_at = ~np.isnan(sample.right)
    weights = 1.0 / sample.probability[looked_at]
    if not len(weights):
        return 0.0, 0.0
    count = float(weights.sum() ** 2 / (weights**2).sum())
    return count * float(np.average(1.0 - sample.right[looked_at], weights=weights)), count


def _failed_since(address: str, cycle: Cycle) -> float:
    """Share of the requests that failed since the canary began."""
    failed, total = request_counts(address)
    before = cycle.decision("canary").get("requests") or [0, 0]
    if total < before[1]:  # the server started again and counts from nothing
        before = [0, 0]
    return (failed - before[0]) / (total - before[1]) if total > before[1] else 0.0


def request_counts(address: str) -> tuple[float, float]:
    """How many requests ended with 5xx, and how many there were; those of probes and scrapes do not count.

    Args:
        address: A server's ``/metrics``, or Prometheus' ``/federate?match[]=animals_http_requests_total`` for several.

    Raises:
        AnimalsError: Nobody answers there, or it is something else.
    """
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the operator's own address
            text = answer.read(4_000_000).decode("utf-8", "replace")
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise AnimalsError(f"canary.metrics {address}: cannot be read ({error})") from error
    failed = total = 0.0
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == _REQUESTS and sample.labels.get("route") not in _PROBES:
                    total += sample.value
                    failed += sample.value * sample.labels.get("status", "").startswith("5")
    except ValueError as error:
        raise AnimalsError(f"canary.metrics {address}: no metrics of Prometheus ({error})") from error
    return failed, total
