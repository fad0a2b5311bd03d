"""Rows with evidence as the tables of a field run: through the very writer of ``animals predict --detector``."""

from __future__ import annotations

import json
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
from animal_classification.predict.writers.field_table_file import FieldTableFile, FieldWriting
from animal_classification.predict.writers.text import Format
from animal_classification.scale.plan import Plan


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
    asked = replace(rules, time_from=rules.time_from or plan.options["field"]["time_from"])
    read = ReadRules.of(asked, run)
    header = JournalHeader(
        model=plan.model,
        model_version=plan.model_version,
        model_sha256=plan.model_sha256,
        top_k=plan.top_k,
        format=kind,
        paths=list(plan.sources),
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
