"""Rows with evidence as the tables and the page of a field run, by the writers of ``animals predict --detector``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from animal_classification.predict.field_request import FieldRules
from animal_classification.predict.field_rules import ReadRules
from animal_classification.predict.field_run import FieldRun
from animal_classification.predict.journal import UNFINISHED, Journal, JournalEntry, stored_header
from animal_classification.predict.journal_header import JournalHeader
from animal_classification.predict.table import Row
from animal_classification.predict.timeline import TimelineTarget, timeline_of
from animal_classification.predict.writers.field_table_file import FieldTableFile, FieldWriting, kept_journal
from animal_classification.predict.writers.text import Format
from animal_classification.scale.batch_photos import BatchPhotos
from animal_classification.scale.plan import Plan
from animal_classification.scale.storage import BatchFolder


def _forget_killed_merge(output: Path, header: JournalHeader) -> None:
    """Delete what a merge of the same batch left that was killed; an unfinished run of anything else stays.

    Raises:
        OutputError: Another merge is writing it now.
    """
    left = output.resolve().with_name(f"{output.resolve().name}{UNFINISHED}")
    if left.is_file() and not stored_header(left).differences(header):
        with closing(Journal(left)) as journal:
            journal.close(remove=True)


def write_field(
    plan: Plan,
    rows: Iterable[tuple[Row, str | None]],
    output: Path,
    kind: Format,
    rules: FieldRules,
    *,
    overwrite: bool,
) -> FieldWriting:
    """Files, detections and events; bursts and events may go over shards.

    Args:
        plan: The batch's.
        rows: In order, each with its evidence as JSON.
        output: The table of files; the others lie beside it.
        kind: Of all of them.
        rules: What decides.
        overwrite: Replace what is there, whoever wrote it.

    Raises:
        UsageError: The rules contradict each other, or somebody else's file is there.
        OutputError: The system refuses.
    """
    assert plan.field_run is not None
    run = FieldRun.from_record(plan.field_run)
    read = ReadRules.of(_rules_of(plan, rules), run)
    header = JournalHeader(
        model=plan.model,
        model_version=plan.model_version,
        model_sha256=plan.model_sha256,
        top_k=plan.top_k,
        format=kind,
        paths=list(plan.described or plan.sources),
        sort_into=None,
        field=plan.field_run,
    )
    _forget_killed_merge(output, header)
    with closing(FieldTableFile(str(output), kind, rules=read, overwrite=overwrite)) as table:
        try:
            table.start(header, guesses=min(plan.top_k, len(run.labels)), resume=False)
            for row, evidence in rows:
                table.append(JournalEntry(row, evidence=json.loads(evidence or "{}")))
            table.finish()
        except BaseException:
            table.close(discard=True)  # all of it is in the batch: the next merge begins anew
            raise
        assert table.written is not None
        return table.written


def write_page(folder: BatchFolder, plan: Plan, table: Path, rules: FieldRules, target: TimelineTarget) -> int:
    """The events of tables that were written, as one page with pictures.

    Args:
        folder: The batch's.
        plan: Likewise.
        table: The table of files.
        rules: What decided.
        target: Where the page goes.

    Returns:
        How many events there are.

    Raises:
        AnimalsError: It cannot be written, or photos cannot be read.
    """
    with tempfile.TemporaryDirectory() as temporary:
        photos = BatchPhotos(folder, plan, Path(temporary))
        return timeline_of(kept_journal(table.resolve()), _rules_of(plan, rules), target, sources=photos)


def _rules_of(plan: Plan, rules: FieldRules) -> FieldRules:
    return replace(rules, time_from=rules.time_from or plan.options["field"]["time_from"])
