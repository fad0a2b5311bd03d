"""Rendered documents: one resource each, as YAML, compared with the files that are there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from animal_classification.common.atomic import write_bytes
from animal_classification.common.text_files import cannot_write

# What a call has made, so that the next one takes away that and nothing else.
_LIST = ".rendered"
_PLAIN = ("kubernetes", "github")  # files that other programs read


@dataclass(frozen=True)
class Document:
    """One resource.

    Attributes:
        kind: A key of ``messages.TYPES``, or ``kubernetes``.
        name: The resource's full name, or the file's for Kubernetes.
        body: As the service's API takes it, in its JSON names.
        absent: Of rights: members by role that are ours to give and that the settings do not give; they are taken away.
    """

    kind: str
    name: str
    body: dict[str, Any]
    absent: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_rights(self) -> bool:
        """Whether it says who may do what with a resource."""
        return self.kind.endswith("-policy") and self.kind != "alert-policy"

    @property
    def file(self) -> str:
        """Where it is written to, relative to the target's folder."""
        return self.name if self.kind in _PLAIN else f"{self.kind}-{self.name.rsplit('/', maxsplit=1)[-1]}.yaml"

    def text(self) -> str:
        """As YAML, in the order in which it was made."""
        if self.kind in _PLAIN:
            return as_yaml(self.body)
        absent = {"absent": self.absent} if self.absent else {}
        return as_yaml({"kind": self.kind, "name": self.name, **self.body, **absent})


def as_yaml(value: Any) -> str:
    """YAML that people can read."""

    class Readable(yaml.SafeDumper):  # type: ignore[misc] # the library has no types
        """Text of several lines stands as it is."""

    def text_node(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Readable.add_representer(str, text_node)
    found: str = yaml.dump(value, Dumper=Readable, sort_keys=False, allow_unicode=True, width=120)
    return found


def difference(old: str, new: str, name: str) -> str:
    """A unified diff; empty where nothing differs."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"{name} (is)", f"{name} (will be)", lineterm="")
    return "\n".join(lines)


def changes(documents: Iterable[Document], folder: Path) -> list[str]:
    """How documents differ from the files in a folder, those of an earlier call included that nobody renders now."""
    new = {document.file: document.text() for document in documents}
    known = [folder / name for name in sorted({*new, *_rendered(folder)})]
    old = {path.name: path.read_text(encoding="utf-8") for path in known if path.is_file()}
    found = (difference(old.get(name, ""), new.get(name, ""), name) for name in sorted({*old, *new}))
    return [text for text in found if text]


def _rendered(folder: Path) -> set[str]:
    """Names of the files that an earlier call put there."""
    listed = folder / _LIST
    return {Path(name).name for name in listed.read_text(encoding="utf-8").split()} if listed.is_file() else set()


def write(documents: Iterable[Document], folder: Path) -> None:
    """Put documents into a folder; those that an earlier call made and that are not among them go.

    Raises:
        OutputError: The system refuses.
    """
    new = {document.file: document.text() for document in documents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in new.items():
            write_bytes(text.encode("utf-8"), folder / name)
        for name in _rendered(folder) - new.keys():
            (folder / name).unlink(missing_ok=True)
        write_bytes("".join(f"{name}\n" for name in sorted(new)).encode("utf-8"), folder / _LIST)
    except OSError as error:
        raise cannot_write(folder, error) from error
