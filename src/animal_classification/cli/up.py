"""``animals up``: the API and the page, with nothing else to set up."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from animal_classification.errors import MissingExtraError
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from animal_classification.inference import Classifier


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
    also be set in the environment: ANIMALS_PORT=9000. Ctrl-C stops it.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = replace(Settings.from_environment(), **given)
    if find_spec("fastapi") is None or find_spec("uvicorn") is None or find_spec("python_multipart") is None:
        raise MissingExtraError("animals up", "serve")
    from animal_classification.serving.server import run_server

    def on_ready(address: str, classifier: Classifier) -> None:
        click.echo(ready_line(address, classifier))
        if open_browser:
            click.launch(address)

    run_server(settings, on_ready=on_ready, on_trouble=lambda line: click.echo(f"animals: {line}", err=True))


def ready_line(address: str, classifier: Classifier) -> str:
    """What a person waits for."""
    info = classifier.info
    threads = f"{classifier.threads} thread{'s' if classifier.threads != 1 else ''}"
    return f"animals: ready at {address} (model {info.name} {info.version}, {classifier.engine}, {threads})"
