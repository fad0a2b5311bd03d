"""``animals serve``: the server with every production knob; each is a field of ``Settings``."""

# Imported where it is used: the server takes half a second to load, and is an extra.

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, get_type_hints

import click

from animal_classification.cli.up import ready_line, require_server
from animal_classification.settings import Settings, split_list

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATED = {"model", "canary", "shadow"}


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    types = get_type_hints(Settings)
    for field in reversed(fields(Settings)):
        name, default, words = field.name, field.default, field.metadata["help"]
        kind, flag = types[name], "--" + name.replace("_", "-")
        if name in REPEATED:
            shown = f"  [default: {', '.join(default)}]" if default else ""
            option = click.option(flag, name, multiple=True, help=words + shown)
        elif kind is bool:
            text = f"{words}  [default: {'on' if default else 'off'}]"
            option = click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)
        else:
            shown = f"  [default: {default}]" if default or kind is int else ""
            kind = kind if kind in {int, float, str} else str
            option = click.option(flag, name, type=kind, default=None, help=words + shown)
        command = option(command)
    return command


@click.command(name="serve")
@_with_options
def command(**options: Any) -> None:
    """Serve the API, with every setting that an operator may want.

    Every option can be set in the environment, for instance --max-files as ANIMALS_MAX_FILES. SIGTERM and Ctrl-C stop
    it when everything that came is answered. docs/serve.md has the whole story.
    """
    given = {name: value for name, value in options.items() if value not in (None, ())}
    for name in given.keys() & {"cors", "trusted_proxies", "allowed_hosts", "drift_sources"}:
        given[name] = split_list(given[name])
    settings = replace(Settings.from_environment(), **given)
    require_server("animals serve", settings)
    from animal_classification.serving.process import server, supervisor

    run = supervisor.run_workers if settings.workers > 1 else server.run_server
    run(
        settings,
        on_ready=lambda started: click.echo(ready_line(started), err=settings.access_log),
        on_warning=lambda line: click.echo(f"animals: {line}", err=True),
    )
