"""What a study found: a table, an object for scripts, and a page with plots that needs nothing from elsewhere."""

from __future__ import annotations

import csv
import html
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.text_files import replace_text
from animal_classification.sweep.runner import BUNDLE, METRICS, SAME_AS, SECONDS, SweepOutcome
from animal_classification.sweep.storage import url_of, without_password

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_SHOWN = 10


def best_first(outcome: SweepOutcome) -> list[FrozenTrial]:
    """All trials that ran to their end."""
    from optuna.trial import TrialState

    done = [trial for trial in outcome.trials if trial.state is TrialState.COMPLETE]
    sign = 1 if outcome.sweep.minimise else -1
    return sorted(done, key=lambda trial: (sign * _value(trial), trial.number))


def as_object(outcome: SweepOutcome, page: Path | None) -> dict[str, Any]:
    """For ``--json``."""
    from optuna.trial import TrialState

    states = [trial.state for trial in outcome.trials]
    complete, pruned = (states.count(state) for state in (TrialState.COMPLETE, TrialState.PRUNED))
    ranked = best_first(outcome)
    sweep = outcome.sweep
    return {
        "study": sweep.name,
        "storage": without_password(url_of(sweep.settings.storage, sweep.folder)),
        "metric": sweep.settings.metric,
        "direction": "minimize" if sweep.minimise else "maximize",
        "asked": sweep.wanted,
        "finished": complete + pruned,
        "complete": complete,
        "pruned": pruned,
        "repeated": sum(SAME_AS in trial.user_attrs for trial in outcome.trials),
        "bundle": ranked[0].user_attrs[BUNDLE] if ranked else None,
        "value": ranked[0].value if ranked else None,
        "best": [_row(trial) for trial in ranked[:_SHOWN]],
        "page": None if page is None else str(page),
        "seconds": round(outcome.seconds, 2),
        "notes": list(outcome.notes),
    }


def table(outcome: SweepOutcome) -> list[list[str]]:
    """The best trials; the first row names the columns."""
    keys = list(outcome.sweep.space)
    best = best_first(outcome)[:_SHOWN]
    return [
        ["trial", outcome.sweep.settings.metric, *keys],
        *(
            [str(trial.number), f"{trial.value:.4g}", *(_shown(trial.params.get(key)) for key in keys)]
            for trial in best
        ),
    ]


def write(outcome: SweepOutcome) -> Path | None:
    """Write ``trials.csv`` and ``sweep.html`` into the study's folder; returns the page, if there is anything on it.

    Raises:
        OutputError: The system refuses.
    """
    folder = outcome.sweep.folder
    replace_text(_csv(outcome), folder / "trials.csv")
    if not best_first(outcome):
        return None
    page = folder / "sweep.html"
    replace_text(_page(outcome), page)
    return page


def _row(trial: FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    return {
        "trial": trial.number,
        "value": trial.value,
        "params": trial.params,
        "bundle": attributes.get(BUNDLE),
        "metrics": attributes.get(METRICS, {}),
        "seconds": attributes.get(SECONDS),
    }


def _csv(outcome: SweepOutcome) -> str:
    keys = list(outcome.sweep.space)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["trial", "state", outcome.sweep.settings.metric, *keys, "seconds", "bundle"])
    for trial in outcome.trials:
        value = next(iter(trial.values), None) if trial.values else None
        values = [trial.params.get(key) for key in keys]
        ends = [trial.user_attrs.get(SECONDS), trial.user_attrs.get(BUNDLE)]
        writer.writerow([trial.number, trial.state.name.lower(), value, *values, *ends])
    return stream.getvalue()


def _page(outcome: SweepOutcome) -> str:
    title = html.escape(f"Sweep {outcome.sweep.name}")
    plots: list[str] = []
    for name, figure in _figures(outcome):
        # The library once, in the page itself: the page must work without a network.
        plot = figure.to_html(full_html=False, include_plotlyjs=not plots, div_id=name)
        plots.append(f"<section><h2>{html.escape(name)}</h2>\n{plot}</section>")
    head, *rows = [[html.escape(cell) for cell in row] for row in table(outcome)]
    body = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>\n" for row in rows)
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n{_STYLE}</head><body>\n'
        f'<main><h1>{title}</h1>\n<div class="wide" role="region" aria-label="The best trials" tabindex="0"><table>\n'
        f"<thead><tr>{columns}</tr></thead><tbody>\n{body}</tbody></table></div>\n"
        f"{''.join(plots)}\n</main></body></html>\n"
    )


def _figures(outcome: SweepOutcome) -> Iterator[tuple[str, Any]]:
    """The plots that can be drawn of so many trials."""
    import optuna
    from optuna import visualization
    from optuna.exceptions import OptunaError

    study = optuna.create_study(direction="minimize" if outcome.sweep.minimise else "maximize")
    study.add_trials([trial for trial in outcome.trials if trial.state.is_finished()])
    drawers: dict[str, Callable[..., Any]] = {
        "Importance": visualization.plot_param_importances,
        "Parallel coordinates": visualization.plot_parallel_coordinate,
        "History": visualization.plot_optimization_history,
    }
    for name, draw in drawers.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                figure = draw(study, target_name=outcome.sweep.settings.metric)
            except (OptunaError, ValueError, RuntimeError, ZeroDivisionError):
                continue  # of one trial, or of trials that are all alike, nothing can be said
        yield name, figure


_STYLE = """<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222; }
h1 { overflow-wrap: anywhere; } .wide, section { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid #ddd; }
td { font-variant-numeric: tabular-nums; }
</style>"""


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
