"""``animals up``: the API and the page, with nothing else to set up."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from animal_classification.errors import MissingExtraError
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from animal_classification.serving.server import Started

SERVER_PACKAGES = ("fastapi", "httptools", "prometheus_client", "python_multipart", "uvicorn")


@click.command(name="up")
@click.option("--host", help="Address to listen on; 0.0.0.0 for all of this machine's.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0 takes a free one.  [default: 8080]")
@click.option("--model", help="A built-in name, a bundle's folder or URL, or models:/NAME@ALIAS.  [default: photos]")
@click.option("--engine", type=click.Choice(["auto", "openvino", "onnxruntime"]), help="[default: auto]")
@click.option("--threads", type=click.IntRange(min=0), help="CPUs to use; 0 for all.  [default: 0]")
@click.option("--page/--no-page", default=None, help="Serve the page at / beside the API.  [default: page]")
@click.option("--open/--no-open", "open_browser", default=False, help="Open the page in a browser when ready.")
def command(open_browser: bool, **options: Any) -> None:
    """Name animals in a web page and over HTTP.

    The page is at http://localhost:8080, the API's description at /docs. Photos stay on this machine. Every option can
    also be set in the environment: ANIMALS_PORT=9000. Ctrl-C stops it. `animals serve` has every other setting.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = replace(Settings.from_environment(), workers=1, **given)
    require_server("animals up")
    from animal_classification.serving.server import run_server

    def on_ready(started: Started) -> None:
        click.echo(ready_line(started))
        if open_browser:
            click.launch(started.address)

    run_server(settings, on_ready=on_ready, on_trouble=lambda line: click.echo(f"animals: {line}", err=True))


def require_server(command: str) -> None:
    """Make sure that what a server needs is installed.

    Raises:
        MissingExtraError: It is not.
    """
    if not all(find_spec(name) for name in SERVER_PACKAGES):
        raise MissingExtraError(command, "serve")


def ready_line(started: Started) -> str:
    """What a person waits for."""
    threads = f"{started.threads} thread{'s' if started.threads != 1 else ''}"
    if started.workers > 1:
        threads += f" in {started.workers} workers"
    return f"animals: ready at {started.address} (model {started.model} {started.version}, {started.engine}, {threads})"
