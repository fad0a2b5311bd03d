"""``animals export``: a smaller or faster model, measured before it is written."""

# Imported where they are used: `--help` must not wait for NumPy, Pillow and an engine.

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from animal_classification import bundle, data, registry
from animal_classification.cli.options import SPLITS, data_option, json_option, quiet_option, reading_options
from animal_classification.cli.output import print_json, print_lines, print_notes
from animal_classification.common.progress import ProgressLine
from animal_classification.export.terminal_text import table_lines, verdict_lines

if TYPE_CHECKING:
    from animal_classification.data.sources import SourceOptions
    from animal_classification.export import ExportedModel

# Said here, so that --help imports no engine; a test holds it to the real list.
KINDS = ("int8", "fp16", "pruned", "openvino", "torchscript", "exported-program")


@click.command(name="export", context_settings={"show_default": True})
@click.argument("model")
@click.option("--to", type=click.Choice(KINDS), required=True, help="What to make of it.")
@data_option
@reading_options
@click.option("--split", type=click.Choice(SPLITS), default="test", help="Which photos of SOURCE to measure on.")
@click.option(
    "--calibrate",
    multiple=True,
    metavar="PATH",
    help="Other photos to calibrate with, instead of SOURCE's train split: a folder or file; may be repeated.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=0.5,
    help="Points that it may lose, of top-1 and of what is told right; else it is refused.",
)
@click.option(
    "--prune",
    type=click.FloatRange(min=0, max=0.9, min_open=True),
    default=0.3,
    help="With --to pruned: share of the parameters to take out.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    help="With --to pruned: the longest that the recovery training may take.",
)
@click.option("-o", "--output", metavar="DIR", required=True, help="Where the bundle goes: a folder or URL.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
@json_option
@quiet_option
def command(
    *,
    model: str,
    to: str,
    source: str | None,
    options: SourceOptions,
    max_drop: float,
    prune: float,
    minutes: float,
    output: str,
    as_json: bool,
    quiet: bool,
    **rest: Any,
) -> None:
    """Make MODEL smaller or faster, and write it only if it is as good as before.

    The test photos of SOURCE, which is whatever `animals data` reads, say how good it is; its train photos, or those of
    --calibrate, are what eight bits are fitted to, and what a pruned model learns from. They are never the same.

    \b
    animals export runs/…/bundle --to int8 --data photos -o zoo-int8
    animals export photos --to int8 --data labels.csv --split all --calibrate my-photos -o photos-int8
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.evaluation.training_provenance import training_source
    from animal_classification.export.exporter import ExportRequest, export
    from animal_classification.export.formats import Pruning, check_installed

    check_installed(to)
    loaded = bundle.load(registry.resolve_model(model))
    if source is None:
        origin = training_source(loaded.info, options)
        source, options = origin.name, origin.options
    with ProgressLine(shown=not quiet) as progress:
        watched = replace(options, progress=progress)
        manifest = data.read_source(source, watched)
        request = ExportRequest(
            kind=to,
            target=output,
            manifest=manifest,
            source=source,
            reading=_reading(options),
            max_drop=max_drop,
            pruning=Pruning(prune, minutes),
            cache=options.cache,
            progress=progress,
            **rest,
        )
        exported = export(loaded, request)
    if as_json:
        print_json(_object(exported, output))
        return
    sides = (exported.original, exported.export)
    print_lines(table_lines(sides, exported.compared, exported.float32_bytes))
    print_lines(["", *verdict_lines(exported.compared, max_drop)])
    if not quiet:
        print_notes(exported.notes)
    print_notes([f"the bundle is {output}"])


def _reading(options: SourceOptions) -> dict[str, Any]:
    """What was said of how the photos are read, so that they can be read again."""
    root, boxes = (None if place is None else str(place) for place in (options.root, options.boxes))
    crops = {"boxes": boxes, "blanks": options.blanks} if boxes or options.blanks else {}
    return {"kind": options.kind, "root": root, "columns": asdict(options.columns), **crops}


def _object(exported: ExportedModel, output: str) -> dict[str, Any]:
    info = exported.bundle.info
    return {"bundle": output, "name": info.name, "version": info.version, **info.metrics, "notes": list(exported.notes)}
