"""What takes a promoted model back: alerts, the audit, a class that vanished. Drift alone never does.

The version before would meet the same photos: going back to it does not make the light better.
"""

# Imported where it is used: SciPy takes 0.3 s to load, and only a class that vanished needs it.

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from animal_classification.errors import AnimalsError
from animal_classification.loop.audit import audit_of
from animal_classification.prediction_log.shadow_rows import answered

if TYPE_CHECKING:
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.workplace import Workplace

CHANGED = timedelta(hours=1)  # alerts that begin so soon after a promotion are put down to it
BEFORE = timedelta(days=7)
AUDITED = timedelta(days=30)
ALERTS = ("AnimalsFailing", "AnimalsSlow")
_DURATION = re.compile(r"([0-9]{1,6})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def trouble_after(work: Workplace, cycle: Cycle, began: datetime) -> str | None:
    """Why a promoted model has to go; ``None`` where it may stay.

    Raises:
        AnimalsError: Alertmanager does not answer, and the log says nothing against the model.
    """
    version, before = (str(cycle.decision("promoted")[name]) for name in ("version", "before"))
    # Alertmanager comes last: one that is down must not keep a model in use that the log is enough to take back.
    return (
        audited_worse(work, version, before, began)
        or _vanished(work, version, before, began)
        or alert_after(work.config.watch.alerts, began)
    )


def alert_after(address: str | None, began: datetime) -> str | None:
    """An alert of a server whose condition began soon after the promotion; one that a person has silenced is none.

    Args:
        address: Alertmanager's; ``None`` for none.
        began: When the model was promoted.

    Raises:
        AnimalsError: Alertmanager does not answer.
    """
    if address is None:
        return None
    address = f"{address.rstrip('/')}/api/v2/alerts?active=true&silenced=false&inhibited=false"
    for name, started in _fetched(address):
        if name in ALERTS and began <= started <= began + CHANGED:
            return f"the alert {name} began {(started - began).total_seconds() / 60:.0f} minutes after the promotion"
    return None


def _fetched(address: str) -> list[tuple[str, datetime]]:
    """Names of alerts, and when their conditions began."""
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the operator's own address
            found = json.loads(answer.read(4_000_000))
        return [(str(alert["labels"].get("alertname", "")), condition_began(alert)) for alert in found]
    except (OSError, ValueError, RecursionError) as error:
        raise AnimalsError(f"watch.alerts {address}: cannot be read ({error})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise AnimalsError(f"watch.alerts {address}: these are no alerts of an Alertmanager") from error


def condition_began(alert: Mapping[str, Any]) -> datetime:
    """When the condition of an alert began, which Alertmanager does not know: it hears of an alert when it fires.

    How long the condition held before that (``for`` in Prometheus) stands in our rules' annotation ``pending``, such as
    ``5m``. Without it an alert that was pending at a promotion would take a good model back.

    Raises:
        KeyError: It does not say when it fired.
        ValueError: That is no time.
    """
    fired = datetime.fromisoformat(alert["startsAt"].replace("Z", "+00:00"))
    said = _DURATION.fullmatch(str(alert.get("annotations", {}).get("pending", "")))
    return fired - timedelta(seconds=int(said[1]) * _SECONDS[said[2]]) if said else fired


def audited_worse(work: Workplace, version: str, before: str, began: datetime) -> str | None:
    """The audit finds the new version worse than the one before: its upper bound is below the other's lower bound."""
    model, now = work.config.served, work.clock()
    new = audit_of(work.engine, model, version, began, now)
    old = audit_of(work.engine, model, before, began - AUDITED, began)
    if new.high is None or old.low is None or new.high >= old.low:
        return None
    return f"the audit finds {new.accuracy:.0%} of its answers right, and {old.accuracy:.0%} of the version before"


def _vanished(work: Workplace, version: str, before: str, began: datetime) -> str | None:
    """A class of which far fewer photos are answered than before."""
    config, model = work.config.watch, work.config.served
    new = answered(work.engine, model, version, began)
    old = answered(work.engine, model, before, began - BEFORE, began)
    name = vanished_class(new.labels, old.labels, below=config.vanished, p_value=config.p_value)
    if name is None:
        return None
    return (
        f"{name!r} has vanished from the answers: {new.labels.get(name, 0)} of {new.count}, before "
        f"{old.labels[name]} of {old.count}"
    )


def vanished_class(new: Mapping[str, int], old: Mapping[str, int], *, below: float, p_value: float) -> str | None:
    """The class that has vanished most surely, if one has.

    Args:
        new: Answers by class, now.
        old: The same, before.
        below: The share of answers must have fallen below this part of what it was.
        p_value: Chance must explain it less often than this, divided by the number of classes (Bonferroni).
    """
    from scipy.stats import fisher_exact

    count, count_before = sum(new.values()), sum(old.values())
    if not count or not count_before:
        return None
    found: list[tuple[float, str]] = []
    for name, times in old.items():
        now = new.get(name, 0)
        if now / count < below * times / count_before:
            table = [[now, count - now], [times, count_before - times]]
            found.append((float(fisher_exact(table, alternative="less")[1]), name))
    best = min(found, default=(1.0, ""))
    return best[1] if best[0] * len(old) < p_value else None
