"""``animals loop``: from corrections to a better model in use, step by step, and back."""

# Imported where they are used: SQLAlchemy, NumPy and an engine take most of a second, and --help needs none of them.

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animal_classification.cli.options import apply, json_option
from animal_classification.cli.output import print_json, print_lines, print_notes
from animal_classification.common.progress import ProgressLine
from animal_classification.errors import AnimalsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.ledger import Transition
    from animal_classification.loop.workplace import Workplace

UNTIL = ("collect", "gate", "shadow", "canary", "promote")
_options = apply(
    click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        default="loop.yaml",
        show_default=True,
        help="What the loop is about.",
    ),
    json_option,
)


@click.group(name="loop")
def command() -> None:
    """Turn what people say into a better model, one careful step at a time.

    \b
    run        does what is due and ends: collect, train, gate, shadow, canary, promote, watch
    status     where it is, and what it waits for
    collect    takes labels now, from the review or from a labelling tool
    gate       holds a candidate against the model in production
    rollback   puts the version before back into production

    Exit codes: 0 nothing to do, or done; 1 failed; 2 called wrongly; 3 waits for people, and says for what.
    """  # noqa: D301 - \b is click's mark for lines that stay apart


@command.command()
@_options
@click.option("--until", type=click.Choice(UNTIL), help="Go no further than this.")
@click.option("--yes", is_flag=True, help="Agree to what waits for a person: a guard's doubt, the promotion.")
@click.option("--new-frozen", is_flag=True, help="Begin a new series: the fresh photos become test photos.")
def run(config_file: Path, as_json: bool, until: Any, yes: bool, new_frozen: bool) -> None:
    """Do what is due, and end. Safe to say again: from cron, a scheduler, or by hand."""
    from animal_classification.loop.runner import run_loop

    with _work(config_file, agreed=yes) as work:
        if new_frozen:
            _begin_series(work)
        done = run_loop(work, until=until)
    cycle, wait = done.cycle, done.wait
    if as_json:
        moves = [row.as_object() for row in done.moves]
        waits = {"for": wait.whom, "why": wait.why} if wait else None
        state = cycle.state if cycle else "waiting"
        told = {"moves": moves, "waits": waits, "notes": list(done.notes)}
        print_json({"cycle": cycle.name if cycle else None, "state": state, **told})
    else:
        print_lines(map(_move_line, done.moves))
        print_notes([*done.notes, *([wait.why] if wait is not None else [])])
    _leave(done.exit_code)


@command.command()
@_options
def status(config_file: Path, as_json: bool) -> None:
    """Say where the loop is."""
    from animal_classification.loop.cycle import MEANING

    with _work(config_file) as work:
        cycles = work.cycles()
    cycle = cycles[-1] if cycles else None
    state = cycle.state if cycle else "waiting"
    if as_json:
        print_json({"cycle": cycle.name if cycle else None, "state": state, "cycles": len(cycles)})
        return
    print_lines([f"{cycle.name if cycle else 'no cycle yet'}  {state}: {MEANING[state]}"])
    if cycle is not None:
        print_lines([_move_line(cycle.last)])


@command.command()
@_options
@click.option("--verify", is_flag=True, help="Check the hash chain, in the database and in the files.")
def history(config_file: Path, as_json: bool, verify: bool) -> None:
    """List all transitions of all cycles."""
    with _work(config_file) as work:
        problems = work.ledger.verify() if verify else []
        rows = [] if problems else work.ledger.transitions()
    if problems:
        raise AnimalsError(f"the ledger is not whole: {problems[0]}" + _more(problems))
    if as_json:
        print_json({"transitions": [row.as_object() for row in rows]} | ({"verified": True} if verify else {}))
        return
    print_lines(map(_move_line, rows))
    if verify:
        print_notes([f"the ledger is whole: {len(rows)} transitions, each with the hash of the one before"])


@command.command()
@click.argument("cycle")
@_options
def show(cycle: str, config_file: Path, as_json: bool) -> None:
    """Show one CYCLE: its transitions and decisions, and where its report is."""
    from animal_classification.loop.cycle import find_cycle
    from animal_classification.loop.cycle_report import REPORT

    with _work(config_file) as work:
        found = find_cycle(work.ledger.transitions(), cycle)
        report = work.ledger.folder(found.name) / REPORT
    if as_json:
        rows = [row.as_object() for row in found.rows]
        print_json({"cycle": found.name, "state": found.state, "transitions": rows, "report": str(report)})
        return
    print_lines(map(_move_line, found.rows))
    print_lines(_gate_lines(found))
    if report.exists():
        print_notes([f"the report is {report}"])


@command.command()
@click.argument("cycle")
@_options
@click.option("--why", default="", help="For the ledger.")
def stop(cycle: str, config_file: Path, as_json: bool, why: str) -> None:
    """End CYCLE: no server uses its candidate any more; its labels stay in the data."""
    from animal_classification.loop.runner import stop_cycle

    with _work(config_file) as work:
        row = stop_cycle(work, cycle, why)
    _print_row(row, as_json=as_json)


@command.command()
@_options
@click.option("--why", default="", help="For the ledger.")
def rollback(config_file: Path, as_json: bool, why: str) -> None:
    """Put the version into production that was there before."""
    from animal_classification.loop.runner import roll_back

    with _work(config_file) as work:
        label, row = roll_back(work, why)
    if as_json:
        print_json({"production": label, "transition": row.as_object() if row else None})
        return
    print_lines([f"{label} is in production"])


@command.command()
@_options
@click.option("--candidate", metavar="MODEL", help="A bundle or a registered version; by default the open cycle's.")
@click.option("--drop-label", multiple=True, metavar="LABEL", help="A label that the candidate may lack; repeatable.")
def gate(config_file: Path, as_json: bool, candidate: str | None, drop_label: tuple[str, ...]) -> None:
    """Hold a candidate against the model in production. Exit code 0: it passes; 1: it fails; 3: undecided."""
    from animal_classification import bundle, registry
    from animal_classification.loop.steps import gate_bundle

    with _work(config_file) as work:
        if drop_label:
            margins = work.config.gate.model_copy(update={"drop_labels": (*work.config.gate.drop_labels, *drop_label)})
        else:
            margins = work.config.gate
        place = registry.resolve_model(candidate, uri=work.config.registry) if candidate else _candidate(work)
        judged = replace(work, config=work.config.model_copy(update={"gate": margins}))
        result = gate_bundle(judged, bundle.load(place))
    if as_json:
        print_json(result.as_object())
    else:
        print_lines(f"{test.name:12} {test.verdict:10} {test.says}" for test in result.tests)
        print_lines([f"{'verdict':12} {result.verdict}"])
        print_notes(result.notes)
    _leave({"pass": 0, "fail": 1}.get(result.verdict, 3))


@command.command()
@_options
@click.option("--trusted", multiple=True, metavar="WHO", help="Only words of these people; repeatable.")
@click.option("--new-class", multiple=True, metavar="LABEL", help="A label that may become a class; repeatable.")
@click.option("--min", "least", type=click.IntRange(min=1), help="Photos that a new class must have.")
@click.option(
    "--from",
    "labels",
    metavar="PLACE",
    type=click.Path(path_type=Path),
    help="Labels of Label Studio (.json), FiftyOne (folder), CVAT (.zip, .xml), or a .csv, in place of the review's.",
)
@click.option("--yes", is_flag=True, help="Agree to what the guards say.")
def collect(config_file: Path, as_json: bool, labels: Path | None, yes: bool, **rules: Any) -> None:
    """Begin a cycle with the labels that there are now, whatever the conditions say."""
    from animal_classification.loop.runner import begin
    from animal_classification.loop.situation import new_labels

    with _work(config_file, agreed=yes) as work:
        before = work.config.collect
        changes = {
            "trusted": (*before.trusted, *rules["trusted"]),
            "new_classes": (*before.new_classes, *rules["new_class"]),
            "min_class": rules["least"] or before.min_class,
        }
        config = work.config.model_copy(update={"collect": before.model_copy(update=changes)})
        ruled = replace(work, config=config)
        done = begin(ruled, new_labels(ruled, work.cycles(), labels), "asked for by a person")
    _print_collected(done.moves[0], as_json=as_json)


def _print_collected(row: Transition, *, as_json: bool) -> None:
    from animal_classification.loop.labels import left_out_lines

    if as_json:
        print_json(row.as_object())
        return
    found = row.decision
    print_lines([_move_line(row)])
    print_notes(
        f"{count} {what}"
        for count, what in (
            (found["splits"].get("train", 0), "photos to train with"),
            (found["splits"].get("fresh", 0), "photos are kept out of training, to judge by"),
            (found["unknown_photos"], "photos show none of the classes"),
            (found["conflicts"], "photos of which people say different things: conflict.csv"),
            (found["doubts"], "labels that the other photos contradict: doubts.csv"),
            (found["no_photo"], "words without a photo: it is not kept any more"),
            (found["unreadable"], "photos cannot be read"),
            *((count, f"photos are left out: {why}") for why, count in found["refused"].items()),
        )
        if count
    )
    print_notes(left_out_lines(found["unknown_labels"], found["unnamed"], found["untrusted"], found["forgotten"]))
    if "to_commit" in found:
        print_notes([f"the data are DVC's; to commit them: {found['to_commit']}"])
    print_notes([f"they are in {found['folder']}; next: animals loop run"])


def _candidate(work: Workplace) -> str:
    from animal_classification.errors import UsageError

    cycles = work.cycles()
    found = cycles[-1].decision("trained") if cycles else {}
    if not found:
        raise UsageError("no cycle has a candidate yet; name one with --candidate, or: animals loop run --until gate")
    return str(found["bundle"])


def _begin_series(work: Workplace) -> None:
    from animal_classification.loop.lock import only_one
    from animal_classification.loop.series import begin_series

    with only_one(work.home):
        series = begin_series(work.home, work.data(work.cycles(), work.series()))
    print_notes([f"series {series.number} of frozen photos begins: {len(series.frozen())} photos"])


@contextmanager
def _work(config_file: Path, *, agreed: bool = False) -> Iterator[Workplace]:
    from animal_classification.loop.config import load_config
    from animal_classification.loop.workplace import open_workplace

    config = load_config(config_file)
    with ProgressLine() as progress, open_workplace(config, agreed=agreed, progress=progress) as work:
        yield work


def _move_line(row: Transition) -> str:
    from animal_classification.loop.cycle_report import decision_line

    return f"{row.time:%Y-%m-%d %H:%M:%S}  {row.cycle}  {row.state:9}  {decision_line(row.decision)}"


def _gate_lines(cycle: Cycle) -> list[str]:
    tests = cycle.decision("gated").get("tests", ())
    return [f"  {test['name']:12} {test['verdict']:10} {test['says']}" for test in tests]


def _print_row(row: Transition, *, as_json: bool) -> None:
    if as_json:
        print_json(row.as_object())
    else:
        print_lines([_move_line(row)])


def _more(problems: Sequence[str]) -> str:
    return f"; and {len(problems) - 1} more" if len(problems) > 1 else ""


def _leave(code: int) -> None:
    if code:
        raise click.exceptions.Exit(code)
