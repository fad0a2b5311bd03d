"""What a run is asked to do, and contradictions in it."""

from __future__ import annotations

from typing import Any

import pytest

from animal_classification.errors import UsageError
from animal_classification.predict.request import PredictRequest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "x.ods"}, "ends in none of .csv, .xlsx, .json, .jsonl and .parquet"),
        ({"output": "x"}, "ends in none of"),
        ({"output": ""}, "ends in none of"),
        ({"resume": True}, "--resume goes on with a file"),
        ({"retry_errors": True}, "add --resume"),
        ({"overwrite": True}, "--overwrite replaces a file"),
        ({"overwrite": True, "resume": True, "output": "x.csv"}, "drop one"),
        ({"dry_run": True}, "add --sort-into DIR"),
        ({"way": "link"}, "--link says how to sort"),
    ],
)
def test_contradictions_are_found(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PredictRequest(paths=("p",), **options).check()


@pytest.mark.parametrize(
    ("options", "writes_table", "kind"),
    [
        ({}, False, "csv"),
        ({"format": "json"}, False, "json"),
        ({"output": "x.PARQUET"}, True, "parquet"),
        ({"output": "x.txt", "format": "jsonl"}, True, "jsonl"),
        ({"output": "x.csv", "resume": True}, True, "csv"),
        ({"sort_into": "d", "dry_run": True, "output": "x.csv"}, False, "csv"),
    ],
)
def test_where_rows_go(options: dict[str, Any], writes_table: bool, kind: str) -> None:
    request = PredictRequest(paths=("p",), **options)
    request.check()
    assert (request.writes_table, request.table_format) == (writes_table, kind)
