"""``animals models``: the model registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from animal_classification import registry
from animal_classification.cli.options import apply, json_option
from animal_classification.cli.output import print_json
from animal_classification.common.console import printable
from animal_classification.registry.model_version import parse_reference

if TYPE_CHECKING:
    from animal_classification.registry import Change, Registry, Version, VersionComparison

_RECALLS = 10
_NOTHING = "-"


_options = apply(
    click.option("--uri", help="MLflow's tracking URI.  [default: $ANIMALS_TRACKING_URI, else SQLite in runs/]"),
    json_option,
)


@click.group(name="models")
def command() -> None:
    """Which models there are, which one serves, and which one did before.

    A version is written NAME/3, or NAME@ALIAS with the alias production or candidate. Every command that takes a model
    takes NAME@ALIAS and models:/NAME/3, too.
    """


@command.command(name="list")
@_options
def list_(uri: str | None, as_json: bool) -> None:
    """List the registered models."""
    store = registry.Registry.open(uri)
    models = {name: store.versions(name) for name in store.names()}
    if as_json:
        found = [{"name": name, "versions": _objects(versions)} for name, versions in models.items()]
        print_json({"uri": store.shown_uri, "models": found})
        return
    if not models:
        click.echo("no model is registered yet")
        return
    rows = [
        (name, str(len(versions)), _in_production(store, name, versions), _with_alias(versions, "candidate"))
        for name, versions in models.items()
    ]
    _print_table(("model", "versions", "production", "candidate"), rows)


@command.command()
@click.argument("model")
@_options
def show(model: str, uri: str | None, as_json: bool) -> None:
    """Show the versions of MODEL, or all about one of them (NAME/3, NAME@ALIAS)."""
    store = registry.Registry.open(uri)
    reference = parse_reference(model)
    if reference.alias is None and reference.version is None:
        versions = store.versions(reference.name)
        before = store.production_before(reference.name)
        if as_json:
            print_json({"name": reference.name, "versions": _objects(versions), "production_before": before})
            return
        _print_versions(versions)
        if before:
            click.echo(f"\nin production before: {', '.join(str(number) for number in before)} (the last one last)")
        return
    version = store.find(reference)
    path = str(registry.local_bundle(store, version).path)
    if as_json:
        print_json({**version.as_object(), "path": path})
        return
    _print_facts(version, path)


@command.command()
@click.argument("a")
@click.argument("b")
@_options
def compare(a: str, b: str, uri: str | None, as_json: bool) -> None:
    """Put two models side by side: versions (NAME/3, NAME@ALIAS, NAME for production) or bundles."""
    comparison = registry.compare(a, b, uri=uri)
    if as_json:
        print_json(comparison.as_object())
        return
    _print_comparison(comparison)


@command.command()
@click.argument("model")
@_options
def promote(model: str, uri: str | None, as_json: bool) -> None:
    """Put MODEL into production: NAME for its candidate, NAME/3 or NAME@ALIAS for another version."""
    _print_change(registry.promote(model, uri=uri), as_json=as_json)


@command.command()
@click.argument("name")
@_options
def rollback(name: str, uri: str | None, as_json: bool) -> None:
    """Put the version of NAME into production that was there before."""
    _print_change(registry.rollback(name, uri=uri), as_json=as_json)


def _objects(versions: Iterable[Version]) -> list[dict[str, Any]]:
    return [version.as_object() for version in versions]


def _in_production(store: Registry, name: str, versions: Iterable[Version]) -> str:
    """What is in production; where it was deleted elsewhere, what a rollback would do."""
    found = _with_alias(versions, "production")
    before = store.production_before(name) if found == _NOTHING else []
    return f"gone; rollback would put {name}/{before[-1]} back" if before else found


def _with_alias(versions: Iterable[Version], alias: str) -> str:
    found = next((version for version in versions if alias in version.aliases), None)
    return _NOTHING if found is None else f"{found.version} ({_accuracy(found)})"


def _accuracy(version: Version) -> str:
    return _share(version.accuracy)


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"


def _print_versions(versions: Iterable[Version]) -> None:
    rows = [
        (
            version.label,
            ", ".join(version.aliases) or "-",
            _accuracy(version),
            _share(version.answered_right),
            version.test_version[:12] or "-",
            _size(version.bytes),
            f"{version.created:%Y-%m-%d %H:%M}",
        )
        for version in versions
    ]
    _print_table(("version", "aliases", "accuracy", "told right", "tested on", "size", "registered (UTC)"), rows)


def _print_facts(version: Version, path: str) -> None:
    facts = {
        "version": version.label,
        "aliases": ", ".join(version.aliases) or "-",
        "accuracy": _accuracy(version),
        "told right": _share(version.answered_right),
        "data": version.data_version or "-",
        "tested on": version.test_version or "-",
        "registered": f"{version.created:%Y-%m-%d %H:%M} UTC",
        "run": version.run_id or "-",
        "size": _size(version.bytes),
        "sha256": version.sha256 or "-",
        "bundle": path,
    }
    _print_rows([*facts.items(), *((name, f"{value:.4f}") for name, value in version.metrics.items())])


def _print_comparison(comparison: VersionComparison) -> None:
    a, b = comparison.a, comparison.b
    rows = [
        ("classes", str(a.classes), str(b.classes), ""),
        ("size", _size(a.bytes), _size(b.bytes), ""),
        ("made", f"{a.created:%Y-%m-%d %H:%M}", f"{b.created:%Y-%m-%d %H:%M}", ""),
        ("data", a.data_version[:16], b.data_version[:16], ""),
        ("tested on", a.test_version[:16] or "-", b.test_version[:16] or "-", ""),
    ]
    rows += [(name, f"{x:.4f}", f"{y:.4f}", f"{y - x:+.4f}") for name, (x, y) in comparison.metrics.items()]
    recalls = list(comparison.recall.items())
    rows += [(f"recall {name}", f"{x:.4f}", f"{y:.4f}", f"{y - x:+.4f}") for name, (x, y) in recalls[:_RECALLS]]
    _print_table(("", a.model, b.model, "difference"), rows)
    if len(recalls) > _RECALLS:
        click.echo(f"\n{len(recalls) - _RECALLS} more classes differ less; --json has them all")
    if not comparison.same_test:
        click.echo("\nTested on different photos: the numbers do not say which one is better.")


def _print_change(change: Change, *, as_json: bool) -> None:
    before = change.before
    if as_json:
        print_json({"production": change.now.as_object(), "before": before.as_object() if before else None})
    elif before is None:
        click.echo(f"{change.now.label} is in production; nothing was before")
    elif before.version == change.now.version:
        click.echo(f"{change.now.label} is in production already")
    else:
        click.echo(f"{change.now.label} is in production, in place of {before.label}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    _print_rows([head, *rows])


def _print_rows(rows: Sequence[Sequence[str]]) -> None:
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    for row in shown:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
