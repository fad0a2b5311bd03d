"""``animals convert``: tables of a run made again, without a model."""

# Imported where it is used: reading a run loads NumPy and pydantic, and --help needs none of them.

from __future__ import annotations

from typing import Any

import click

from animal_classification.cli.field_options import html_option, rule_options
from animal_classification.cli.options import json_option
from animal_classification.cli.output import print_json, print_notes
from animal_classification.common.console import printable, say
from animal_classification.predict.writers.text import FORMATS


@click.command(name="convert")
@click.argument("table", metavar="TABLE")
@click.option("-o", "--output", metavar="FILE", help="The table to write.  [default: TABLE, made again]")
@click.option("--format", type=click.Choice(FORMATS), help="Format of the table, whatever FILE ends with.")
@click.option("--overwrite", is_flag=True, help="Replace FILE even if it is no table that animals wrote.")
@rule_options
@html_option
@json_option
def command(table: str, output: str | None, as_json: bool, **options: Any) -> None:
    """Make the tables of a run again, without a model: with other thresholds, gaps, lists and clocks.

    TABLE is what animals predict wrote with --detector, --detections or another option of the field. What was found in
    the pictures is in TABLE.run.jsonl beside it. Options that are not given have their defaults.

    \b
    animals convert animals.csv --threshold 0.3
    animals convert animals.csv -o animals.xlsx --event-gap 1h --species-list list.txt
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.predict.convert import ConvertRequest, convert, find_journal
    from animal_classification.predict.field_request import FieldRules
    from animal_classification.predict.timeline import TimelineTarget, timeline_of

    form, overwrite, html = options.pop("format"), options.pop("overwrite"), options.pop("html")
    rules = FieldRules(**options)
    page = TimelineTarget(html, overwrite) if html is not None else None
    if page is not None:
        page.check()
    result = convert(ConvertRequest(table=table, output=output, format=form, overwrite=overwrite, rules=rules))
    if page is not None:
        timeline_of(find_journal(table), rules, page)
    counts, notes = result.written.counts, result.written.notes
    if as_json:
        fields = {"output": result.output, "files": counts.files, "unreadable": counts.unreadable}
        fields |= {
            "blank": counts.blank,
            "detections": counts.detections,
            "events": counts.events,
            "dateless": counts.dateless,
        }
        print_json({**fields, "smoothed": counts.smoothed, "answers": dict(counts.answers), "notes": list(notes)})
        return
    print_notes(notes)
    files = f"{counts.files} file{'' if counts.files == 1 else 's'}"
    found = f"{counts.events} events, {counts.detections} boxes, {counts.blank} blank"
    say(f"{files}, {found} -> {printable(result.output)}{f' and {printable(page.path)}' if page else ''}")
