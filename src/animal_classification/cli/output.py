"""What commands print: results on stdout, notes on stderr, nothing that could change a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click

from animal_classification.common.console import printable, say


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_lines(lines: Iterable[str]) -> None:
    """Lines of a result."""
    for line in lines:
        click.echo(printable(line))


def print_notes(notes: Iterable[str]) -> None:
    """Lines for a person, each after ``animals:``."""
    for note in notes:
        say(f"animals: {printable(note)}")
