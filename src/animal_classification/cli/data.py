"""``animals data``: look at labelled photos, leave out what is wrong with them, divide them."""

# Imported where they are used: `animals data --help` must not wait for NumPy, Pillow and an engine.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animal_classification import bundle, data, inference, registry
from animal_classification.cli.options import apply, json_option, manifest_option, source_options
from animal_classification.cli.output import print_json, print_lines, print_notes
from animal_classification.common.console import printable
from animal_classification.common.progress import ProgressLine
from animal_classification.data.cleanup import check_kinds
from animal_classification.data.diff import compare, text_lines
from animal_classification.data.download import MANIFEST, download
from animal_classification.data.manifest import refuse_foreign_manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.data.manifest import Manifest
    from animal_classification.data.quality.inspection import Inspection
    from animal_classification.data.scanner import Facts
    from animal_classification.data.sources import SourceOptions

METHODS = ("calibrated", "cleanlab")
TOOLS = ("labelstudio", "fiftyone", "cvat", "imagefolder")


@click.group(name="data")
def command() -> None:
    """Fetch labelled photos, look at them, leave out what is wrong, divide them.

    SOURCE is a folder with a folder for each class (and above them one for each split, if there are splits), a table of
    paths and labels (.csv, .xlsx, .jsonl, .parquet), an archive, a Hugging Face imagefolder, a manifest written here, a
    URL of any of these, animal-mnist, or kaggle:OWNER/NAME.
    """


rule_options = apply(
    click.option("--min-side", type=click.IntRange(min=0), default=32, help="Fewest pixels of a photo's side."),
    click.option("--min-class", type=click.IntRange(min=0), default=10, help="Fewest photos of a class."),
    click.option(
        "--embed/--no-embed",
        default=True,
        help="Look with a model too: finds crops and wrong labels, takes seconds per hundred photos the first time.",
    ),
    click.option("--model", default="photos", help="The model to look with."),
    click.option("--label-method", type=click.Choice(METHODS), default=METHODS[0], help="Who doubts labels."),
)


@command.command(context_settings={"show_default": True})
@source_options
@rule_options
@click.option(
    "--html", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with pictures."
)
@json_option
def inspect(source: str, options: SourceOptions, html: Path | None, as_json: bool, **rules: Any) -> None:
    """Say what is in SOURCE, and what is wrong with it."""
    if html is not None:
        from animal_classification.report.page import refuse_foreign_page

        refuse_foreign_page(html)
    with ProgressLine() as progress:
        inspection = _inspect(source, options, progress, **rules)
    if html is not None:
        from animal_classification.report.dataset_page import write_page

        write_page(inspection, source, html)
    if as_json:
        from animal_classification.data.summary import as_object

        print_json(as_object(inspection, source))
        return
    from animal_classification.report.dataset_text import finding_lines, summary_lines

    print_lines([*summary_lines(inspection), "", *finding_lines(inspection)])
    print_notes(f"not looked for: {what}" for what in inspection.not_looked_for)
    if html is not None:
        print_notes([f"the page is {html}"])


@command.command(context_settings={"show_default": True})
@source_options
@rule_options
@manifest_option
@click.option(
    "--keep", multiple=True, metavar="KIND", help="A kind of finding to leave in, such as wrong_label; may be repeated."
)
@json_option
def clean(
    source: str, options: SourceOptions, output: Path, keep: tuple[str, ...], as_json: bool, **rules: Any
) -> None:
    """Write a manifest that leaves out what is wrong; the photos stay as they are."""
    check_kinds(keep)
    refuse_foreign_manifest(output)
    with ProgressLine() as progress:
        inspection = _inspect(source, options, progress, **rules)
    cleaning = data.clean(inspection.manifest, inspection.findings, keep=keep)
    cleaning.manifest.write(output)
    before, after = len(inspection.manifest), len(cleaning.manifest)
    if as_json:
        result = {"output": str(output), "version": cleaning.manifest.version, "photos": before, "kept": after}
        left_out = [asdict(item) for item in cleaning.left_out]
        classes = [asdict(item) for item in cleaning.losses]
        notes = [*inspection.manifest.notes, *cleaning.notes]
        print_json({**result, "left_out": left_out, "classes": classes, "notes": notes})
        return
    print_lines(f"{item.kind:15} {item.path}: {item.why}" for item in cleaning.left_out)
    print_notes(inspection.manifest.notes)
    print_notes(loss.line() for loss in cleaning.losses)
    print_notes(cleaning.notes)
    print_notes(f"not looked for: {what}" for what in inspection.not_looked_for)
    print_notes([f"kept {after} of {before} photos; manifest {output}, data version {cleaning.manifest.version}"])


@command.command(context_settings={"show_default": True})
@source_options
@manifest_option
@click.option(
    "--test", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True, help="Fraction for the test."
)
@click.option(
    "--val", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True, help="Fraction for validation."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another number, another division.")
@click.option("--resplit", is_flag=True, help="Ignore the splits that SOURCE brings.")
@json_option
def split(source: str, options: SourceOptions, output: Path, as_json: bool, **plan: Any) -> None:
    """Divide SOURCE into train, val and test, and write the manifest.

    Classes keep their proportions. Photos of one group, and copies of one picture, stay together. The same photos and
    seed give the same division, whatever the files are called and wherever they lie.
    """
    checked = data.SplitPlan(**plan)
    refuse_foreign_manifest(output)
    with ProgressLine() as progress:
        manifest = _read(source, options, progress)
        facts = _facts(manifest, options)
    division = data.split(manifest, facts, checked)
    division.manifest.write(output)
    counts = division.manifest.counts()
    if as_json:
        classes = {name: dict(by_split) for name, by_split in counts.items()}
        result = {"output": str(output), "version": division.manifest.version, "classes": classes}
        print_json({**result, "notes": [*manifest.notes, *division.notes]})
        return
    from animal_classification.report.dataset_text import table_lines

    splits = [name for name in data.SPLITS if name != "fresh" or any(row[name] for row in counts.values())]
    print_lines(table_lines(counts, splits))
    print_notes((*manifest.notes, *division.notes))
    left_out = len(manifest) - len(manifest.usable)
    if left_out:
        print_notes([f"{left_out} photos cannot be used and have no split; animals data inspect says why"])
    print_notes([f"manifest {output}, data version {division.manifest.version}"])


@command.command()
@source_options
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def get(source: str, options: SourceOptions, folder: Path, as_json: bool) -> None:
    """Copy SOURCE's photos into FOLDER, with a manifest of them.

    Labels, splits and groups are in FOLDER/manifest.parquet, which the other commands take as their SOURCE.
    """
    with ProgressLine() as progress:
        copied = download(_read(source, options, progress), folder, progress=progress)
    place = str(folder / MANIFEST)
    print_notes(copied.notes)
    if as_json:
        print_json({"manifest": place, "version": copied.version, "photos": len(copied)})
        return
    print_notes([f"{len(copied)} photos are in {folder}; data version {copied.version}"])
    click.echo(printable(place))


@command.command()
@source_options
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", "tool", type=click.Choice(TOOLS), required=True, help="Who will read it.")
@json_option
def export(source: str, options: SourceOptions, folder: Path, tool: str, as_json: bool) -> None:
    """Write SOURCE into FOLDER as a labelling tool imports it: photos called by their hashes, with their labels.

    What people label there comes back with: animals loop collect --from
    """
    from animal_classification.data.exchange.writer import export_for

    with ProgressLine() as progress:
        manifest = _read(source, options, progress)
        count = export_for(tool, manifest, folder, progress)
    if as_json:
        print_json({"folder": str(folder), "to": tool, "photos": count})
        return
    print_notes([f"{count} photos for {tool} are in {folder}"])


@command.command()
@source_options
@click.option("--since", metavar="SOURCE", help="Say what has changed since this state; a table in Markdown.")
@json_option
def version(source: str, options: SourceOptions, since: str | None, as_json: bool) -> None:
    """Print SOURCE's data version: sixteen digits for its bytes, labels, splits and groups.

    What files are called, and where they lie, does not matter to it.
    """
    with ProgressLine() as progress:
        manifest = _read(source, options, progress)
        difference = compare(_read(since, options, progress), manifest) if since else None
    if as_json:
        counts = {name: dict(by_split) for name, by_split in manifest.counts().items()}
        facts = {"version": manifest.version, "photos": len(manifest), "usable": len(manifest.usable)}
        changed = {"since": difference.as_object()} if difference else {}
        print_json({**facts, "classes": counts, **changed})
        return
    print_notes(manifest.notes)
    print_lines(text_lines(difference) if difference else [manifest.version])


def _read(source: str, options: SourceOptions, progress: ProgressLine) -> Manifest:
    return data.read_source(source, replace(options, progress=progress))


def _facts(manifest: Manifest, options: SourceOptions) -> list[Facts]:
    """What reading the source has just put into the cache."""
    return data.scan([manifest.file(row) for row in manifest], cache=options.cache)


def _inspect(
    source: str, options: SourceOptions, progress: ProgressLine, *, embed: bool, model: str, **rules: Any
) -> Inspection:
    from animal_classification.data.quality.label_issues import require

    if embed:
        require(rules["label_method"])
    manifest = _read(source, options, progress)
    facts = _facts(manifest, options)
    embeddings = _embeddings(manifest, model, options.cache, progress) if embed and manifest.usable else None
    return data.inspect(
        manifest, facts, embeddings=embeddings, rules=data.InspectionRules(**rules), stage=progress.describe
    )


def _embeddings(manifest: Manifest, model: str, cache: Path | None, progress: ProgressLine) -> NDArray[np.float32]:
    model = registry.resolve_model(model)

    def compute(files: Sequence[Path]) -> Iterable[NDArray[np.float32] | None]:
        named = ((str(file), file) for file in files)
        results = inference.Classifier.load(model).predict_paths(named, top_k=1, embedding=True)
        return (result.prediction.embedding if result.prediction else None for result in results)

    # Of the crop that answers: what was remembered when only the centre was looked at is of another kind.
    return data.embed(manifest, compute, model=f"{bundle.load(model).sha256} crops", cache=cache, progress=progress)
