"""From measurements to numbers and to the table; measures nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

PERCENTILES = (50, 90, 95, 99)
COLUMNS = (
    "load",
    "photos/s",
    "p50 ms",
    "p90",
    "p99",
    "of the cores",
    "server CPU ms a photo",
    "client",
    "memory MB",
    "not 200",
)
STEPS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # milliseconds


def title(load: Mapping[str, Any]) -> str:
    """A load in words."""
    return f"{load['concurrency']} at once" if "concurrency" in load else f"{load['rate']:g} a second"


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of ascending values.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.0
    """
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


def alone(runs: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """What a photo costs without a server, in milliseconds: the median over the turns."""
    if not runs:
        return None
    return {
        "one_core_ms": 1000 * median(run["median_seconds"] for run in runs),
        "decode_all_cores_ms": 1000 * median(run["decode"] for run in runs),
        "inference_all_cores_ms": 1000 * median(run["inference"] for run in runs),
        "cores": runs[0]["cores"],
    }


def row(
    load: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], without: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One load's numbers over all turns; shares are of what stood beside it in the same turn."""
    mine = [run for run in runs if all(run.get(name) == value for name, value in load.items())]
    latencies = sorted(1000 * seconds for run in mine for seconds in run["latencies"])
    answered = [sum(run["statuses"].values()) for run in mine]
    statuses = sum((Counter(run["statuses"]) for run in mine), Counter())
    rates = [len(run["latencies"]) / run["seconds"] for run in mine]
    client = sum(run["client_cpu_seconds"] for run in mine) / max(1, sum(answered))
    cpu = [run["server_cpu_seconds"] for run in mine if run["server_cpu_seconds"] is not None]
    memory = [run["server_memory_mb"] for run in mine if run["server_memory_mb"] is not None]
    result: dict[str, Any] = {
        **load,
        "title": title(load),
        "photos_per_second": median(rates),
        "photos_per_second_all": rates,
        "latency_ms": {f"p{percent}": percentile(latencies, percent) for percent in PERCENTILES},
        "histogram_ms": histogram(latencies),
        "statuses": dict(statuses),
        "client_cpu_ms": 1000 * client,
        "server_cpu_ms": 1000 * sum(cpu) / max(1, sum(answered)) if cpu else None,
        "server_memory_mb": max(memory, default=None),
    }
    if without:
        shares = [rate * _least_seconds(run, client) for rate, run in zip(rates, without, strict=True)]
        result["share_of_the_cores"] = median(shares)
        result["over_one_core_ms"] = (result["latency_ms"]["p50"] or 0) - 1000 * median(
            run["median_seconds"] for run in without
        )
    return result


def histogram(latencies: Sequence[float]) -> dict[str, int]:
    """How many answers took up to so many milliseconds."""
    counts = {f"<= {step}": 0 for step in STEPS} | {"more": 0}
    for latency in latencies:
        counts[next((f"<= {step}" for step in STEPS if latency <= step), "more")] += 1
    return counts


def render(report: Mapping[str, Any]) -> str:
    """The table, in Markdown."""
    lines = [
        f"{report['server']}; {report['machine']['cpu']}, {report['machine']['cores']} cores; {report['when']}",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for each in report["rows"]:
        latency = each["latency_ms"]
        share = each.get("share_of_the_cores")
        cells = [
            each["title"],
            f"{each['photos_per_second']:.1f}",
            *(number(latency[name]) for name in ("p50", "p90", "p99")),
            "" if share is None else f"{share:.0%}",
            number(each["server_cpu_ms"]),
            number(each["client_cpu_ms"], 2),
            number(each["server_memory_mb"], 0),
            str(sum(count for status, count in each["statuses"].items() if status != "200")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if base := report["alone"]:
        lines += [
            "",
            f"Without a server, a photo takes {base['one_core_ms']:.1f} ms on one core; on all {base['cores']}, "
            f"decoding takes {base['decode_all_cores_ms']:.2f} ms and inference "
            f"{base['inference_all_cores_ms']:.2f} ms a photo. *Of the cores*: photos/s times the sum of these two and "
            "the client's own share.",
        ]
    return "\n".join(lines)


def arithmetic(base: Mapping[str, float], load: Mapping[str, Any]) -> str:
    """What the cores allow, added up for people."""
    client = load["client_cpu_ms"] / base["cores"]
    total = base["decode_all_cores_ms"] + base["inference_all_cores_ms"] + client
    return (
        f"What {base['cores']} cores allow: decoding {base['decode_all_cores_ms']:.2f} ms + inference "
        f"{base['inference_all_cores_ms']:.2f} ms + the client {client:.2f} ms = {total:.2f} ms a photo, each alone on "
        f"all cores, so {1000 / total:.0f} photos/s. One photo on one core: {base['one_core_ms']:.1f} ms."
    )


def _least_seconds(run: Mapping[str, Any], client: float) -> float:
    """Seconds that all cores together cannot do without for a photo."""
    return float(run["decode"] + run["inference"] + client / run["cores"])


def number(value: float | None, digits: int = 1) -> str:
    """A cell; empty where there is nothing."""
    return "" if value is None else f"{value:.{digits}f}"
