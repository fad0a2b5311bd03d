"""A status as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_LABELS = 10


def render(status: dict[str, Any]) -> str:
    """Some lines, the most important first."""
    lines = [
        f"{_moment(status['since'])} to {_moment(status['until'])}",
        _row(
            "predictions", f"{status['predictions']:,} ({status['per_minute']:g} a minute; {status['photos']:,} photos)"
        ),
        *_content(status),
        _row("waiting", _waiting(status["waiting"])),
        _row("database", _database(status["database"])),
    ]
    return "\n".join(lines)


def _content(status: dict[str, Any]) -> list[str]:
    if not status["predictions"]:
        return []
    confidence, latency = status["confidence"], status["latency"]
    lines = [
        _row("over time", _spark([part["predictions"] for part in status["over_time"]])),
        _row("unknown", f"{_percent(status['unknown']['share'])} ({status['unknown']['predictions']:,})"),
        _row(
            "confidence",
            f"median {_percent(confidence['p50'])}, one in twenty below {_percent(confidence['p5'])}  "
            f"0 {_spark(confidence['histogram'])} 1",
        ),
        _row("latency", f"p50 {_ms(latency['p50'])}, p95 {_ms(latency['p95'])}, p99 {_ms(latency['p99'])}"),
        _row("feedback", _feedback(status["feedback"])),
        _row("accuracy", _accuracy(status["accuracy"])),
    ]
    lines += [
        _row("model", f"{model['model']} {model['version']}: {model['predictions']:,}, last {_moment(model['last'])}")
        for model in status["models"]
    ]
    lines += [
        _row("animal" if number == 0 else "", f"{item['label']}: {item['predictions']:,} ({_percent(item['share'])})")
        for number, item in enumerate(status["labels"][:_LABELS])
    ]
    return lines


def _feedback(feedback: dict[str, Any]) -> str:
    if not feedback["predictions"]:
        return "none yet"
    return (
        f"of {feedback['predictions']:,} looked at, {_percent(feedback['agreement'])} right: the doubtful ones "
        f"({feedback['confirmed']:,} confirmed, {feedback['corrected']:,} corrected, "
        f"{feedback['none']:,} no animal)"
    )


def _accuracy(accuracy: dict[str, Any]) -> str:
    reviewed = f"{accuracy['reviewed']:,} of {accuracy['chosen']:,} photos of the audit looked at"
    if accuracy["accuracy"] is None:
        return f"not known yet: {reviewed}"
    return f"{_percent(accuracy['accuracy'])}, {_percent(accuracy['low'])} to {_percent(accuracy['high'])} ({reviewed})"


def _waiting(waiting: dict[str, Any]) -> str:
    if not waiting["bytes"]:
        return "nothing"
    return f"{waiting['bytes'] / 1e6:.1f} MB on disk, for {waiting['seconds']:.0f} s"


def _database(database: dict[str, Any]) -> str:
    return f"{database['url']}, revision {database['revision']}"


def _row(name: str, text: str) -> str:
    return f"  {name:<12}{text}"


def _moment(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f} ms"


def _spark(values: Sequence[int]) -> str:
    most = max(values, default=0) or 1
    return "".join(_BLOCKS[round(value / most * (len(_BLOCKS) - 1))] for value in values)
