"""``animals evaluate``: how good a model is on labelled photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cli.console import printable, say
from animal_classification.cli.data import source_options
from animal_classification.inference.engine import ENGINES

if TYPE_CHECKING:
    from animal_classification.data.sources import SourceOptions
    from animal_classification.evaluation.result import Evaluation

SPLITS = ("test", "val", "train", "all")
_ERRORS_SHOWN = 20


@click.command(name="evaluate", context_settings={"show_default": True})
@click.argument("model")
@source_options
@click.option("--split", type=click.Choice(SPLITS), default="test", help="Which photos of SOURCE.")
@click.option(
    "--unknown", multiple=True, metavar="PATH", help="Photos of none of the classes: a folder or file; may be repeated."
)
@click.option("--compare", metavar="MODEL", help="Another model, on the same photos.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write everything as JSON."
)
@click.option("--engine", type=click.Choice(ENGINES), default="auto", help="What runs the model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else, for scripts.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no notes.")
def command(
    *,
    model: str,
    source: str,
    options: SourceOptions,
    split: str,
    unknown: tuple[str, ...],
    compare: str | None,
    output: Path | None,
    engine: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say how good MODEL is on the labelled photos of SOURCE.

    SOURCE is whatever `animals data` reads; its labels are matched to the model's by id or name. Photos of other labels
    count as unknown ones. Where SOURCE is what the model was trained on, the photos that were held out are taken.

    \b
    animals evaluate runs/…/bundle photos
    animals evaluate photos my-photos --unknown things --output evaluation.json
    animals evaluate runs/new/bundle photos --compare runs/old/bundle
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from dataclasses import replace

    from animal_classification import bundle as bundles
    from animal_classification.cli.stages import Stages
    from animal_classification.data import read_source
    from animal_classification.evaluation.evaluating import Options, evaluate
    from animal_classification.evaluation.metrics import require

    require()
    loaded = bundles.load(model)
    other = bundles.load(compare) if compare else None
    with Stages(shown=not quiet) as progress:
        watched = replace(options, progress=lambda done, total: progress("looking at photos", done, total))
        manifest = read_source(source, watched)
        asked = Options(
            split=split, unknown=unknown, compare=other, engine=engine, cache=options.cache, progress=progress
        )
        result = evaluate(loaded, manifest, source, asked)
    if output is not None:
        result.write(output)
    _complain(result)
    if as_json:
        click.echo(json.dumps(result.summary(), ensure_ascii=False))
        return
    from animal_classification.evaluation.text import summary_lines

    for line in summary_lines(result):
        click.echo(printable(line))
    if not quiet:
        for note in result.notes:
            say(f"animals: {printable(note)}")
    if output is not None:
        say(f"animals: everything is in {printable(str(output))}")


def _complain(result: Evaluation) -> None:
    """A line for each photo that could not be used."""
    bad = [row for row in result.photos if row.error is not None]
    for row in bad[:_ERRORS_SHOWN]:
        say(f"animals: {printable(row.path)}: {printable(row.error or '')}")
    if len(bad) > _ERRORS_SHOWN:
        say(f"animals: … and {len(bad) - _ERRORS_SHOWN} more that could not be used (--output has all)")
