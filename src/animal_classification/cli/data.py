"""``animals data``: look at labelled photos, leave out what is wrong with them, divide them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animal_classification.common.console import printable, say
from animal_classification.common.stages import Stages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.data.manifest import Manifest
    from animal_classification.data.quality.inspection import Inspection
    from animal_classification.data.scanner import Facts
    from animal_classification.data.sources import SourceOptions

SPLITS = ("test", "val", "train", "all")
METHODS = ("calibrated", "cleanlab")
KINDS = ("auto", "classes", "splits", "table", "imagefolder", "archive", "manifest", "animal-mnist", "kaggle")


@click.group(name="data")
def command() -> None:
    """Fetch labelled photos, look at them, leave out what is wrong, divide them.

    SOURCE is a folder with a folder for each class (and above them one for each split, if there are splits), a table of
    paths and labels (.csv, .xlsx, .jsonl, .parquet), an archive, a Hugging Face imagefolder, a manifest written here, a
    URL of any of these, animal-mnist, or kaggle:OWNER/NAME.
    """


def source_options(function: Callable[..., None]) -> Callable[..., None]:
    """The argument and options by which a source is read; the function gets them as ``source`` and ``options``."""
    return click.argument("source")(reading_options(function))


def reading_options(function: Callable[..., None]) -> Callable[..., None]:
    """The same without the argument, for commands whose source is an option."""

    @wraps(function)
    def read(source: str | None, kind: str, root: Path | None, **rest: Any) -> None:
        from animal_classification.data.sources import Columns, SourceOptions

        names = {name: rest.pop(f"{name}_column") for name in ("path", "label", "split", "group")}
        columns = Columns(**names, missing=rest.pop("missing"))
        function(source=source, options=SourceOptions(kind=kind, root=root, columns=columns), **rest)

    read = click.option("--kind", type=click.Choice(KINDS), default="auto", help="What SOURCE is.")(read)
    read = click.option("--root", type=click.Path(path_type=Path), help="Folder that a table's paths start from.")(read)
    words = "Words that mean an empty cell, joined by commas; none: only an empty one.  [default: NA,N/A,NaN,null]"
    read = click.option("--missing", metavar="WORDS", help=words)(read)
    for name in ("group", "split", "label", "path"):
        without = "; none: read none" if name in ("group", "split") else ""
        read = click.option(f"--{name}-column", metavar="NAME", help=f"A table's column for the {name}{without}.")(read)
    return read


def rule_options(function: Callable[..., None]) -> Callable[..., None]:
    """Options that say what counts as a finding."""
    embed = "Look with a model too: finds crops and wrong labels, takes seconds per hundred photos the first time."
    options = (
        click.option("--min-side", type=click.IntRange(min=0), default=32, help="Fewest pixels of a photo's side."),
        click.option("--min-class", type=click.IntRange(min=0), default=10, help="Fewest photos of a class."),
        click.option("--embed/--no-embed", default=True, help=embed),
        click.option("--model", default="photos", help="The model to look with."),
        click.option("--label-method", type=click.Choice(METHODS), default=METHODS[0], help="Who doubts labels."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command(context_settings={"show_default": True})
@source_options
@rule_options
@click.option(
    "--html", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with pictures."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the tables.")
def inspect(source: str, options: SourceOptions, html: Path | None, as_json: bool, **rules: Any) -> None:
    """Say what is in SOURCE, and what is wrong with it."""
    with Stages() as progress:
        inspection = _inspect(source, options, progress, **rules)
    if html is not None:
        from animal_classification.report.dataset_page import write_page

        write_page(inspection, source, html)
    if as_json:
        from animal_classification.data.summary import as_object

        click.echo(json.dumps(as_object(inspection, source), ensure_ascii=False))
        return
    from animal_classification.report.dataset_text import finding_lines, summary_lines

    _print([*summary_lines(inspection), "", *finding_lines(inspection)])
    _print_skipped(inspection)
    if html is not None:
        say(f"animals: the page is {printable(str(html))}")


@command.command(context_settings={"show_default": True})
@source_options
@rule_options
@click.option(
    "-o", "--output", metavar="FILE", required=True, type=click.Path(path_type=Path), help="The manifest to write."
)
@click.option(
    "--keep", multiple=True, metavar="KIND", help="A kind of finding to leave in, such as wrong_label; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the list.")
def clean(
    source: str, options: SourceOptions, output: Path, keep: tuple[str, ...], as_json: bool, **rules: Any
) -> None:
    """Write a manifest that leaves out what is wrong; the photos stay as they are."""
    from animal_classification.data.cleanup import check_kinds, clean

    check_kinds(keep)
    with Stages() as progress:
        inspection = _inspect(source, options, progress, **rules)
    cleaning = clean(inspection.manifest, inspection.findings, keep=keep)
    cleaning.manifest.write(output)
    before, after = len(inspection.manifest), len(cleaning.manifest)
    if as_json:
        from dataclasses import asdict

        result = {"output": str(output), "version": cleaning.manifest.version, "photos": before, "kept": after}
        left_out = [asdict(item) for item in cleaning.left_out]
        classes = [asdict(item) for item in cleaning.losses]
        notes = [*inspection.manifest.notes, *cleaning.notes]
        click.echo(json.dumps({**result, "left_out": left_out, "classes": classes, "notes": notes}, ensure_ascii=False))
        return
    for item in cleaning.left_out:
        click.echo(printable(f"{item.kind:15} {item.path}: {item.why}"))
    for note in inspection.manifest.notes:
        say(f"animals: {printable(note)}")
    for loss in cleaning.losses:
        say(f"animals: {printable(loss.line())}")
    for note in cleaning.notes:
        say(f"animals: {printable(note)}")
    _print_skipped(inspection)
    version = cleaning.manifest.version
    say(f"animals: kept {after} of {before} photos; manifest {printable(str(output))}, data version {version}")


@command.command(context_settings={"show_default": True})
@source_options
@click.option(
    "-o", "--output", metavar="FILE", required=True, type=click.Path(path_type=Path), help="The manifest to write."
)
@click.option(
    "--test", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True, help="Fraction for the test."
)
@click.option(
    "--val", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True, help="Fraction for validation."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another number, another division.")
@click.option("--resplit", is_flag=True, help="Ignore the splits that SOURCE brings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def split(source: str, options: SourceOptions, output: Path, as_json: bool, **plan: Any) -> None:
    """Divide SOURCE into train, val and test, and write the manifest.

    Classes keep their proportions. Photos of one group, and copies of one picture, stay together. The same photos and
    seed give the same division, whatever the files are called and wherever they lie.
    """
    from animal_classification.data.splitter import SplitPlan
    from animal_classification.data.splitter import split as divide

    checked = SplitPlan(**plan)
    with Stages() as progress:
        manifest = _read(source, options, progress)
        facts = _facts(manifest, options)
    division = divide(manifest, facts, checked)
    division.manifest.write(output)
    counts = division.manifest.counts()
    if as_json:
        classes = {name: dict(by_split) for name, by_split in counts.items()}
        result = {"output": str(output), "version": division.manifest.version, "classes": classes}
        click.echo(json.dumps({**result, "notes": [*manifest.notes, *division.notes]}, ensure_ascii=False))
        return
    from animal_classification.report.dataset_text import table_lines

    _print(table_lines(counts, ("train", "val", "test")))
    for note in (*manifest.notes, *division.notes):
        say(f"animals: {printable(note)}")
    left_out = len(manifest) - len(manifest.usable)
    if left_out:
        say(f"animals: {left_out} photos cannot be used and have no split; animals data inspect says why")
    say(f"animals: manifest {printable(str(output))}, data version {division.manifest.version}")


@command.command()
@source_options
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else, for scripts.")
def get(source: str, options: SourceOptions, folder: Path, as_json: bool) -> None:
    """Copy SOURCE's photos into FOLDER, with a manifest of them.

    Labels, splits and groups are in FOLDER/manifest.parquet, which the other commands take as their SOURCE.
    """
    from animal_classification.data.download import MANIFEST
    from animal_classification.data.download import get as copy

    with Stages() as progress:
        copied = copy(_read(source, options, progress), folder, progress=progress.of("copying photos"))
    place = str(folder / MANIFEST)
    for note in copied.notes:
        say(f"animals: {printable(note)}")
    if as_json:
        click.echo(json.dumps({"manifest": place, "version": copied.version, "photos": len(copied)}))
        return
    say(f"animals: {len(copied)} photos are in {printable(str(folder))}; data version {copied.version}")
    click.echo(printable(place))


@command.command()
@source_options
@click.option("--since", metavar="SOURCE", help="Say what has changed since this state; a table in Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else, for scripts.")
def version(source: str, options: SourceOptions, since: str | None, as_json: bool) -> None:
    """Print SOURCE's data version: sixteen digits for its bytes, labels, splits and groups.

    What files are called, and where they lie, does not matter to it.
    """
    from animal_classification.data.diff import compare, text_lines

    with Stages() as progress:
        manifest = _read(source, options, progress)
        difference = compare(_read(since, options, progress), manifest) if since else None
    if as_json:
        counts = {name: dict(by_split) for name, by_split in manifest.counts().items()}
        facts = {"version": manifest.version, "photos": len(manifest), "usable": len(manifest.usable)}
        changed = {"since": difference.as_object()} if difference else {}
        click.echo(json.dumps({**facts, "classes": counts, **changed}, ensure_ascii=False))
        return
    for note in manifest.notes:
        say(f"animals: {printable(note)}")
    _print(text_lines(difference) if difference else [manifest.version])


def _read(source: str, options: SourceOptions, progress: Stages) -> Manifest:
    from dataclasses import replace

    from animal_classification.data import read_source

    return read_source(source, replace(options, progress=progress.of("looking at photos")))


def _facts(manifest: Manifest, options: SourceOptions) -> list[Facts]:
    """What reading the source has just put into the cache."""
    from animal_classification.data import scan

    return scan([manifest.file(row) for row in manifest], cache=options.cache)


def _inspect(
    source: str, options: SourceOptions, progress: Stages, *, embed: bool, model: str, **rules: Any
) -> Inspection:
    from animal_classification.data.quality.inspection import InspectionRules, inspect
    from animal_classification.data.quality.label_issues import require

    if embed:
        require(rules["label_method"])
    manifest = _read(source, options, progress)
    facts = _facts(manifest, options)
    embeddings = _embeddings(manifest, model, options.cache, progress) if embed and manifest.usable else None
    return inspect(manifest, facts, embeddings=embeddings, rules=InspectionRules(**rules), stage=progress.describe)


def _embeddings(manifest: Manifest, model: str, cache: Path | None, progress: Stages) -> NDArray[np.float32]:
    from animal_classification import bundle
    from animal_classification.data.embedding_cache import embed
    from animal_classification.registry import resolve_model

    model = resolve_model(model)

    def compute(files: Sequence[Path]) -> Iterable[NDArray[np.float32] | None]:
        from animal_classification.inference import Classifier

        results = Classifier.load(model).predict_paths(((str(file), file) for file in files), top_k=1, embedding=True)
        return (result.prediction.embedding if result.prediction else None for result in results)

    shown = progress.of("embedding photos")
    # Of the crop that answers: what was remembered when only the centre was looked at is of another kind.
    return embed(manifest, compute, model=f"{bundle.load(model).sha256} crops", cache=cache, progress=shown)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(printable(line))


def _print_skipped(inspection: Inspection) -> None:
    for what in inspection.not_looked_for:
        say(f"animals: not looked for: {what}")
