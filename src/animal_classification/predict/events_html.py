"""The page of events as HTML: everything that comes from photos, names and sheets is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import groupby
from string import Template
from typing import Any

MARK = '<meta name="generator" content="animals events">'
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# Colours of the most frequent answers, distinguishable for colour-blind people (Okabe and Ito 2008); the rest is grey.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b8a800")
_OTHER = "#777777"
_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
$mark
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --paper: #f7f4ec; --ink: #1e2b23; --line: #cfd6cd; --card: #fffdf7; --soft: #556259; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #131a16; --ink: #edf0e6; --line: #3a463f; --card: #1c2620; --soft: #a9b5ac; }
}
body { margin: 0 auto; max-width: 75rem; padding: 1rem; background: var(--paper); color: var(--ink);
       font: 1rem/1.45 ui-sans-serif, system-ui, sans-serif; }
h1, h2 { font-family: ui-serif, Georgia, serif; font-weight: 500; overflow-wrap: anywhere; }
small, .soft { color: var(--soft); }
.line { position: relative; height: 1.4rem; margin: 1rem .6rem 0; padding: 0; list-style: none;
        background: linear-gradient(var(--line), var(--line)) center / 100% 2px no-repeat; }
.line a { position: absolute; top: .25rem; width: .9rem; height: .9rem; margin-left: -.45rem; border-radius: 50%;
          opacity: .8; }
.line a:hover, .line a:focus { opacity: 1; outline: 2px solid var(--ink); }
.ends { display: flex; justify-content: space-between; margin: .2rem 0 1rem; color: var(--soft); }
.key { display: flex; flex-wrap: wrap; gap: .3em 1.2em; padding: 0; list-style: none; }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .4em; }
.events { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; padding: 0;
          list-style: none; }
.events > li { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .7rem; }
.events > li:target { outline: 3px solid #e69f00; }
.pictures { display: flex; gap: .4rem; align-items: flex-start; }
.pictures img { min-width: 0; border-radius: .3rem; }
.pictures img.whole { flex: 1 1 60%; max-width: 100%; width: 60%; }
.pictures img.near { flex: 0 1 38%; width: 38%; }
.events p { margin: .35rem 0 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>$title</h1>
<p>$summary</p>
<ul class="key">$key</ul>
$deployments
</body>
</html>
""")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class ShownEvent:
    """A row of the table of events, with its pictures as data URLs; empty where there is none.

    Attributes:
        row: One event and one answer.
        whole: The best picture, with its boxes.
        enlarged: The animal in it.
    """

    row: Row
    whole: str = ""
    enlarged: str = ""

    @property
    def name(self) -> str:
        """What was seen: the answer, or else the category."""
        return str(self.row["answer"] or self.row["category"] or "nothing named")


def page(events: Sequence[ShownEvent], deployments: Sequence[Row]) -> str:
    """The whole page.

    Args:
        events: In the order of deployments and time.
        deployments: A row for each deployment.
    """
    colours = _colours(events)
    key = "".join(f'<li><i style="background:{colour}"></i>{escape(name)}</li>' for name, colour in colours.items())
    visits = {row["deployment"]: row for row in deployments}
    sections = [
        _deployment(name, visits.get(name, {}), list(shown), colours)
        for name, shown in groupby(events, key=lambda event: event.row["deployment"])
    ]
    number = len({event.row["event"] for event in events})
    files = sum(row["files"] for row in deployments)
    summary = f"{_counted(number, 'event')} in {_counted(files, 'file')} of {_counted(len(deployments), 'deployment')}"
    return _PAGE.substitute(
        mark=MARK,
        policy=_POLICY,
        title="Events",
        summary=f"{summary}. Each card is one event and one kind of animal, with its best picture.",
        key=key,
        deployments="\n".join(sections),
    )


def _deployment(name: str, visit: Row, events: Sequence[ShownEvent], colours: Mapping[str, str]) -> str:
    when = " to ".join(_clock(visit[edge]) for edge in ("start", "end") if visit.get(edge))
    dateless = visit.get("dateless") or 0
    facts = ", ".join(filter(None, (when, f"{dateless} without a time" if dateless else "")))
    cards = "".join(_card(event, at, name) for at, event in enumerate(events))
    return (
        f"<section><h2>{escape(name or 'all photos')}</h2><p class=soft>{escape(facts)}</p>"
        f"{_timeline(events, name, colours)}<ul class=events>{cards}</ul></section>"
    )


def _timeline(events: Sequence[ShownEvent], name: str, colours: Mapping[str, str]) -> str:
    """A line from the first to the last event; a mark leads to its card."""
    times = {at: time for at, event in enumerate(events) if (time := _time(event.row["start"])) is not None}
    if not times:
        return ""
    first, last = min(times.values()), max(times.values())
    span = max((last - first).total_seconds(), 1.0)
    marks = []
    for at, time in times.items():
        event = events[at]
        said = escape(f"{event.name}, {_clock(event.row['start'])}")
        place = f"left:{100 * (time - first).total_seconds() / span:.2f}%;background:{colours.get(event.name, _OTHER)}"
        marks.append(f'<li><a href="#{_anchor(name, at)}" style="{place}" title="{said}" aria-label="{said}"></a></li>')
    ends = f"<p class=ends><span>{first:%Y-%m-%d}</span><span>{last:%Y-%m-%d}</span></p>"
    return f'<ol class=line aria-label="{escape(name)}: events in time">{"".join(marks)}</ol>{ends}'


def _card(event: ShownEvent, at: int, name: str) -> str:
    row = event.row
    pictures = "".join(
        f'<img class={kind} src="{address}" alt="{escape(said)}">'
        for kind, address, said in (
            ("whole", event.whole, f"{event.name}: the picture"),
            ("near", event.enlarged, f"{event.name}, enlarged"),
        )
        if address
    )
    sure = f" {100 * row['probability']:.0f}%" if row["probability"] is not None else ""
    taxon = f" <i>{escape(row['scientific_name'])}</i>" if row["scientific_name"] else ""
    when = " to ".join(dict.fromkeys(_clock(row[edge]) for edge in ("start", "end") if row[edge])) or "without a time"
    number = f", at most {row['count']} at once" if (row["count"] or 0) > 1 else ""
    return (
        f'<li id="{_anchor(name, at)}"><div class=pictures>{pictures}</div>'
        f"<p><b>{escape(event.name)}</b>{sure}{taxon}</p>"
        f"<p>{escape(when)}</p><p class=soft>{_counted(row['files'], 'file')}{number}; "
        f"{escape(row['best_path'] or '')}</p></li>"
    )


def _colours(events: Iterable[ShownEvent]) -> dict[str, str]:
    counts: dict[str, int] = {}
    for event in events:
        counts[event.name] = counts.get(event.name, 0) + 1
    often = sorted(counts, key=lambda name: (-counts[name], name))
    return {name: _COLOURS[at] if at < len(_COLOURS) else _OTHER for at, name in enumerate(often)}


def _anchor(name: str, at: int) -> str:
    return f"e-{name.encode('utf-8', 'backslashreplace').hex()}-{at}"


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _clock(text: object) -> str:
    return str(text).replace("T", " ")


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"
