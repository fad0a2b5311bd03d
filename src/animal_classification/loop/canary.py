"""Whether a canary does well: failed requests, latency, unknown photos, and what people say of its answers."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from animal_classification.errors import AnimalsError
from animal_classification.loop.evidence import different_shares
from animal_classification.prediction_log.shadow_rows import AnswerCounts, answered, compared
from animal_classification.prediction_log.words import standing_words

if TYPE_CHECKING:
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.workplace import Workplace

# Fewer answers say nothing of a quantile.
FEW = 50
_REQUESTS = re.compile(r'^animals_http_requests_total\{[^}]*status="(?P<status>\d{3})"[^}]*\} (?P<count>\S+)', re.M)


def canary_trouble(work: Workplace, cycle: Cycle, since: datetime) -> str | None:
    """Why a canary must stop; ``None`` where it need not."""
    config, model = work.config.canary, work.config.model
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
        return f"people found {now[0]} of {now[1]} of its audited answers wrong, before {usual[0]} of {usual[1]}"
    return None


def share_lasted(work: Workplace, version: str, since: datetime) -> str:
    """What is missing before the next share; empty where nothing is."""
    config = work.config.canary
    count = answered(work.engine, work.config.model, version, since).count
    minutes = (work.clock() - since).total_seconds() / 60
    missing = []
    if count < config.answers:
        missing.append(f"{count} answers of {config.answers}")
    if minutes < config.minutes:
        missing.append(f"{minutes:.0f} minutes of {config.minutes:g}")
    return ", ".join(missing)


def _more_unknown(work: Workplace, version: str, new: AnswerCounts, old: AnswerCounts) -> bool:
    """More than the shadow showed: a two-sample e-value that may be looked at again and again."""
    count, candidate, other = compared(work.engine, work.config.model, version)
    expected = abs(candidate - other) / count if count else 0.0
    evidence = different_shares((new.unknown, new.count), (old.unknown, old.count), min(0.99, expected))
    return evidence >= work.config.canary.evidence and new.unknown * old.count > old.unknown * new.count


def audited_wrong(work: Workplace, version: str, since: datetime | None = None) -> tuple[int, int]:
    """How many of a version's audited answers people called wrong, and of how many they spoke.

    Only audited ones: what people chose to look at themselves is doubtful, and differs between the two versions.
    """
    words = [
        word
        for word in standing_words(work.engine)
        if word.audited and (word.model, word.version) == (work.config.model, version)
    ]
    ours = [word for word in words if since is None or word.time >= since]
    return sum(word.verdict != "confirmed" for word in ours), len(ours)


def _failed_since(address: str, cycle: Cycle) -> float:
    """Share of the requests that failed since the canary began."""
    failed, total = request_counts(address)
    before = cycle.decision("canary").get("requests") or [0, 0]
    if total < before[1]:  # the server started again and counts from nothing
        before = [0, 0]
    return (failed - before[0]) / (total - before[1]) if total > before[1] else 0.0


def request_counts(address: str) -> tuple[float, float]:
    """How many of a server's requests ended with 5xx, and how many there were, from its metrics.

    Raises:
        AnimalsError: The server does not answer.
    """
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the operator's own address
            text = answer.read(4_000_000).decode("utf-8", "replace")
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise AnimalsError(f"canary.metrics {address}: cannot be read ({error})") from error
    counts: Sequence[tuple[str, str]] = _REQUESTS.findall(text)
    total = sum(float(count) for _, count in counts)
    return sum(float(count) for status, count in counts if status.startswith("5")), total
