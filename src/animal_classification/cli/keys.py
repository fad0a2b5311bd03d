"""``animals keys``: who may ask a server that wants API keys."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from animal_classification.cli.options import json_option
from animal_classification.common.console import printable
from animal_classification.errors import UsageError
from animal_classification.serving.middleware.api_keys import Key, change_keys, new_key, read_keys
from animal_classification.settings import PREFIX

VARIABLE = f"{PREFIX}KEYS_FILE"
_file = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help=f"The file of keys.  [default: ${VARIABLE}]",
)


@click.group(name="keys")
def command() -> None:
    """Make, list and revoke API keys.

    A server started with `animals serve --keys-file FILE` follows the file: a change counts within a second.
    """


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("predict",),
    show_default=True,
    help="predict, feedback, metrics or admin.",
)
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True), help="For how many days it holds.  [default: ever]"
)
@click.option(
    "--rate-limit", type=click.FloatRange(min=0), help="Photos a minute; 0 for any number.  [default: the server's]"
)
@_file
@json_option
def create(
    name: str, scopes: tuple[str, ...], days: float | None, rate_limit: float | None, path: Path | None, as_json: bool
) -> None:
    """Make a key for NAME and print it: it cannot be shown again, because only its hash is kept."""
    path = _chosen(path)
    text, key = new_key(name, scopes or ("predict",), days=days, rate_limit=rate_limit)
    change_keys(path, lambda keys: [*keys, key])
    click.echo(json.dumps({"key": text, **_shown(asdict(key))}) if as_json else text)
    if not as_json:
        click.echo(f"animals: {key.id} for {printable(name)}: {', '.join(key.scopes)}; kept in {path}", err=True)


@command.command(name="list")
@_file
@json_option
def list_keys(path: Path | None, as_json: bool) -> None:
    """Show whose keys there are; the keys themselves are kept nowhere."""
    keys = read_keys(_chosen(path))
    if as_json:
        click.echo(json.dumps({"keys": [_shown(asdict(key)) for key in keys]}))
        return
    now = datetime.now(UTC)
    for key in keys:
        until = "for ever" if key.expires is None else f"{'expired' if key.expired(now) else 'until'} {key.expires}"
        click.echo(f"{key.id}  {', '.join(key.scopes):24}  {until:34}  {printable(key.name)}")


@command.command()
@click.argument("key_id")
@_file
def revoke(key_id: str, path: Path | None) -> None:
    """Take the key with the id KEY_ID away (`animals keys list` shows the ids)."""
    path = _chosen(path)
    read_keys(path)  # a file that is not there is not made

    def without(keys: list[Key]) -> list[Key]:
        left = [key for key in keys if key.id != key_id]
        if len(left) == len(keys):
            raise UsageError(f"{path}: there is no key with the id {key_id!r}; animals keys list shows them")
        return left

    change_keys(path, without)
    click.echo(f"animals: {key_id} is revoked", err=True)


def _chosen(path: Path | None) -> Path:
    if path is not None:
        return path
    if named := os.environ.get(VARIABLE, "").strip():
        return Path(named)
    raise UsageError(f"which file of keys? name one with --file, or set {VARIABLE}")


def _shown(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "sha256"}
