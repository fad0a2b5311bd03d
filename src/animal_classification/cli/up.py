"""``animals up``: the API and the page, with nothing else to set up."""

# Imported where it is used: the server takes half a second to load, and is an extra.

from __future__ import annotations

import os
import socket
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animal_classification.cli.options import ENGINES
from animal_classification.errors import MissingExtraError
from animal_classification.prediction_log.location import log_location
from animal_classification.settings import KEEP_PHOTOS, PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from animal_classification.serving.process.server import ServerStarted

SERVER_PACKAGES = (
    "alembic",
    "fastapi",
    "httptools",
    "markdown_it",
    "prometheus_client",
    "python_multipart",
    "sqlalchemy",
    "uvicorn",
)

LOG_VARIABLE, PHOTOS_VARIABLE = f"{PREFIX}PREDICTION_LOG", f"{PREFIX}KEEP_PHOTOS"
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what people write
THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


@click.command(name="up")
@click.option("--host", help="Address to listen on; 0.0.0.0 for all of this machine's.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0 takes a free one.  [default: 8080]")
@click.option("--model", help="A built-in name, a bundle's folder or URL, or NAME@ALIAS.  [default: photos]")
@click.option("--detector", help="Find the animals in photos and name each: lite, or a detector's folder.")
@click.option("--engine", type=click.Choice(ENGINES), help="[default: auto]")
@click.option("--threads", type=click.IntRange(min=0), help="CPUs to use; 0 for all.  [default: 0]")
@click.option("--page/--no-page", default=None, help="Serve the page at / beside the API.  [default: page]")
@click.option("--gradio/--no-gradio", default=None, help="Serve Gradio's front end at /gradio.  [default: no-gradio]")
@click.option(
    "--prediction-log/--no-prediction-log", default=None, help="Keep predictions for the review.  [default: on]"
)
@click.option(
    "--keep-photos",
    type=click.Choice(KEEP_PHOTOS),
    help="What to keep of photos for the review.  [default: thumbnail for this machine alone, no where others may ask]",
)
@click.option("--open/--no-open", "open_browser", default=False, help="Open the page in a browser when ready.")
def command(open_browser: bool, **options: Any) -> None:
    """Name animals in a web page and over HTTP.

    The page is at http://localhost:8080, the API's description at /docs. Photos stay on this machine. Every option can
    also be set in the environment: ANIMALS_PORT=9000. Ctrl-C stops it. `animals serve` has every other setting.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if "model" in given:
        given["model"] = (given["model"],)
    settings = with_a_log(given)
    require_server("animals up", settings)
    from animal_classification.serving.process.server import run_server

    def on_ready(started: ServerStarted) -> None:
        click.echo(ready_line(started))
        for line in network_lines(settings, started):
            click.echo(line)
        if open_browser:
            click.launch(started.address)

    run_server(settings, on_ready=on_ready, on_warning=lambda line: click.echo(f"animals: {line}", err=True))
    click.echo("animals: stopped")


def with_a_log(given: Mapping[str, Any]) -> Settings:
    """The settings of a server for the people at this machine: predictions are kept where they can be.

    Photos are kept only where nobody else can send any: those of strangers are not ours to keep.
    """
    asked = "prediction_log" in given or LOG_VARIABLE in os.environ
    environment = {LOG_VARIABLE: "1", **os.environ}
    if given.get("prediction_log") is False:
        environment[LOG_VARIABLE] = "0"
        environment.pop(PHOTOS_VARIABLE, None)
    elif "keep_photos" in given:
        environment[PHOTOS_VARIABLE] = given["keep_photos"]
    settings = replace(Settings.from_environment(environment), workers=1, **given)
    if not settings.prediction_log:
        return settings
    # Whoever wants photos kept wants the log, and hears of it where that cannot be.
    if not asked and settings.keep_photos == "no" and not _can_be_written(log_location(settings).folder):
        return replace(settings, prediction_log=False)
    if not environment.get(PHOTOS_VARIABLE) and not _others_may_ask(settings):
        return replace(settings, keep_photos="thumbnail")
    return settings


def _others_may_ask(settings: Settings) -> bool:
    """People elsewhere can send photos: directly, through a proxy on this machine, or from another site's page."""
    behind_a_proxy = bool(settings.root_path or settings.trusted_proxies or settings.allowed_hosts)
    return settings.host not in THIS_MACHINE or behind_a_proxy or bool(settings.cors)


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def network_lines(settings: Settings, started: ServerStarted) -> list[str]:
    """For a server on all of a machine's addresses: which one others use, and what they can do there."""
    if settings.host not in EVERYWHERE:
        return []
    address = own_address()
    where = started.address.replace("localhost", address) if address else "this machine's own address"
    who = "who has an API key" if settings.keys_file else "everybody who can reach it"
    lines = [f"animals: phones and other computers in this network open {where}"]
    if not settings.prediction_log:
        return [*lines, f"animals: {who} can have photos named; nothing of them is kept"]
    kept = {"no": "", "thumbnail": " with small pictures", "original": " with the photos"}[settings.keep_photos]
    return [*lines, f"animals: {who} can have photos named, and see and correct at /review what was asked{kept}"]


def own_address() -> str:
    """This machine's IPv4 address in its network, empty where there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): which interface would be used for it?
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return "" if address.startswith("127.") else address


def require_server(command: str, settings: Settings) -> None:
    """Make sure that what a server with these settings needs is installed.

    Raises:
        UsageError: There is no such engine.
        MissingExtraError: It is not.
    """
    if not all(find_spec(name) for name in SERVER_PACKAGES):
        raise MissingExtraError(command, "serve")
    if settings.gradio and not find_spec("gradio"):
        raise MissingExtraError(f"{command} --gradio", "gradio")
    from animal_classification.inference.engine import installed_engine

    installed_engine(settings.engine)


def ready_line(started: ServerStarted) -> str:
    """What a person waits for."""
    threads = f"{started.threads} thread{'s' if started.threads != 1 else ''}"
    if started.workers > 1:
        threads += f" in {started.workers} workers"
    models = ", ".join((f"{started.model} {started.version}", *started.others))
    what = "models" if started.others else "model"
    return f"animals: ready at {started.address} ({what} {models}, {started.engine}, {threads})"
