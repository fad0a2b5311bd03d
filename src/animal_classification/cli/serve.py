"""``animals serve``: the server with every production knob; each is a field of ``Settings``."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, get_type_hints

import click

from animal_classification.cli.up import ready_line, require_server
from animal_classification.settings import Settings, split_list

if TYPE_CHECKING:
    from collections.abc import Callable

# What each setting is, in the order of the help page. A test holds that none is missing.
HELP = {
    "host": "Address to listen on; 0.0.0.0 for all of this machine's.",
    "port": "TCP port; 0 takes a free one.",
    "workers": "Processes that answer on the port; the cores are divided among them.",
    "threads": "CPUs to use, by all workers together; 0 for all.",
    "model": "A built-in name, a bundle's folder, its URL, or NAME@production of the registry; NAME=MODEL to call it "
    "otherwise. Once or several times: the first answers whoever does not say which.",
    "canary": "NAME=MODEL@SHARE: a model that answers a share of the requests for NAME, such as 0.1. May be repeated.",
    "shadow": "NAME=MODEL@SHARE: a model that is compared with NAME on a share of its answers, and does not answer "
    "itself. May be repeated.",
    "follow": "Seconds between two looks for newer versions of the models; 0 to take those of the start.",
    "tracking_uri": "The model registry that models:/ means: MLflow's address.",
    "engine": "auto, openvino or onnxruntime.",
    "page": "Serve the Classify page at / beside the API.",
    "gradio": "Serve Gradio's front end at /gradio as well; with one worker, and without keys.",
    "root_path": "The prefix under which a proxy shows this server, such as /animals.",
    "trusted_proxies": "Whose X-Forwarded-For and -Proto are believed: addresses and networks, joined by commas; or "
    "how many proxies stand in front; * for one.",
    "allowed_hosts": "Names under which this server answers, beside its own and addresses: zoo.example, *.zoo.example, "
    "joined by commas; * for all.",
    "cors": "Origins whose pages may ask, joined by commas; * for all.",
    "keys_file": "Only who has a key in this file may ask (see animals keys).",
    "rate_limit": "Photos a minute for each key, or each address without keys; 0 for any number.",
    "access_log": "A line of JSON on stdout for each request.",
    "cache_size": "How many answers to remember, by the photo's hash.",
    "batch": "Photos that one core infers at once, when so many wait; 0 for what is faster here.",
    "max_files": "Photos in one request.",
    "max_file_bytes": "Bytes of one photo.",
    "max_request_bytes": "Bytes of one request with photos; others have 16 kB.",
    "max_memory_bytes": "Bytes of all requests together, in all workers; 0 for a share of the container's memory.",
    "max_decode_bytes": "Bytes of memory in which photos are decoded; 0 for a share of the container's.",
    "max_pixels": "Width times height that a photo may declare.",
    "max_connections": "Clients connected at once, to each worker; for one more, one that only waits gives way.",
    "queue_size": "Photos that wait for a core, in each worker; 503 beyond.",
    "max_wait": "Seconds that a photo may be expected to wait for a core; 503 beyond.",
    "keep_alive": "Seconds for which a connection is kept after an answer; more than a proxy in front keeps its own.",
    "head_timeout": "Seconds in which a request's head must arrive.",
    "body_timeout": "Seconds in which its body must arrive.",
    "request_timeout": "Seconds from there in which it must be answered.",
    "drain": "Seconds for which a server that is told to stop goes on taking requests, while it is not ready any more.",
    "grace": "Seconds from there in which answers on their way are finished.",
    "prediction_log": "Keep every prediction, for the review and for animals monitor.",
    "log_folder": "Where predictions wait for the database, and photos are kept; the user's data folder by default.",
    "log_url": "The log's database, sqlite:///… or postgresql://…; SQLite in the folder by default.",
    "log_days": "After how many days predictions are deleted; 0 for never.",
    "log_spool_bytes": "Bytes of predictions that may wait on disk while the database is gone.",
    "keep_photos": "What is kept of photos for the review: no, thumbnail or original.",
    "photos_url": "Where photos are kept, such as gs://bucket/photos for several replicas; in the folder by default.",
    "photo_days": "After how many days a photo is deleted; 0 for never.",
    "photo_bytes": "Bytes that all kept photos may have; beyond it the oldest are deleted.",
}
REPEATED = {"model", "canary", "shadow"}


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    types, defaults = get_type_hints(Settings), {field.name: field.default for field in fields(Settings)}
    for name, words in reversed(HELP.items()):
        kind, default, flag = types[name], defaults[name], "--" + name.replace("_", "-")
        if name in REPEATED:
            shown = f"  [default: {', '.join(default)}]" if default else ""  # type: ignore[arg-type]
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
    for name in given.keys() & {"cors", "trusted_proxies", "allowed_hosts"}:
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
