"""Writes the tables of a field run: files, detections and events, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.atomic import new_file
from animal_classification.predict.field_columns import (
    DETECTION_COLUMNS,
    EVENT_TABLE_COLUMNS,
    FILE_COLUMNS,
    Column,
    base_columns,
    flat,
)
from animal_classification.predict.writers.open_table import OpenTable, SheetTable, open_text_table, open_workbook

if TYPE_CHECKING:
    from animal_classification.predict.assembly import Assembly
    from animal_classification.predict.writers.text import Format

_RUN_COLUMNS = (Column("name", "text"), Column("value", "text"))


@dataclass(frozen=True)
class FieldTables:
    """Where they go.

    Attributes:
        path: Of the table of files.
        kind: The format.
        top_k: How many guesses a row has.
    """

    path: Path
    kind: Format
    top_k: int

    @property
    def beside(self) -> tuple[Path, ...]:
        """The further files; in json, detections stand in each file's object, and a workbook holds all."""
        names = {"json": ("events",), "jsonl": ("events",), "xlsx": ()}.get(self.kind, ("detections", "events"))
        return tuple(beside_table(self.path, name) for name in names)

    def write(self, assembly: Assembly, about: dict[str, str]) -> None:
        """All of them.

        Args:
            assembly: Gives the rows.
            about: What the run was made with, for the sheet ``run``.

        Raises:
            OSError: The system refuses.
            OutputError: It refuses a workbook or a parquet.
        """
        if self.kind == "xlsx":
            self._write_workbook(assembly, about)
            return
        nested = self.kind in ("json", "jsonl")
        with ExitStack() as stack:
            # The table of files gets its name last: when it is there, the others are.
            files = stack.enter_context(self._table(self.path, (*base_columns(self.top_k), *FILE_COLUMNS)))
            events = stack.enter_context(self._table(beside_table(self.path, "events"), EVENT_TABLE_COLUMNS))
            for row in assembly.events():
                events.add(row)
            boxes: OpenTable | None = None
            if not nested:
                boxes = stack.enter_context(self._table(beside_table(self.path, "detections"), DETECTION_COLUMNS))
            for row, detections in assembly.files():
                files.add({**row, "detections": detections} if nested else flat(row, self.top_k))
                if boxes is not None:
                    for detection in detections:
                        boxes.add(detection)

    def _write_workbook(self, assembly: Assembly, about: dict[str, str]) -> None:
        with new_file(self.path, parents=False) as new, open_workbook(new) as workbook:
            files = SheetTable(workbook, "files", (*base_columns(self.top_k), *FILE_COLUMNS))
            boxes = SheetTable(workbook, "detections", DETECTION_COLUMNS)
            events = SheetTable(workbook, "events", EVENT_TABLE_COLUMNS)
            deployments = SheetTable(workbook, "deployments", _DEPLOYMENT_COLUMNS)
            run = SheetTable(workbook, "run", _RUN_COLUMNS)
            for row, detections in assembly.files():
                files.add(flat(row, self.top_k))
                for detection in detections:
                    boxes.add(detection)
            for row in assembly.events():
                events.add(row)
            for row in assembly.deployment_rows():
                deployments.add(row)
            for name, value in about.items():
                run.add({"name": name, "value": value})
            for sheet in (files, boxes, events, deployments, run):
                sheet.close()

    @contextmanager
    def _table(self, path: Path, columns: tuple[Column, ...]) -> Iterator[OpenTable]:
        with new_file(path, parents=False) as new, open_text_table(new, self.kind, columns) as table:
            yield table


_DEPLOYMENT_COLUMNS = (
    Column("deployment", "text"),
    Column("start", "time"),
    Column("end", "time"),
    *(Column(name, "whole") for name in ("files", "dateless", "events")),
    *(Column(name, "real") for name in ("latitude", "longitude")),
)


def beside_table(path: Path, name: str) -> Path:
    """``animals.csv`` and ``events`` give ``animals.events.csv``."""
    return path.with_name(f"{path.stem}.{name}{path.suffix}")
