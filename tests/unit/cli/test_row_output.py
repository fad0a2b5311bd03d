"""Where the command line sends rows, and what it refuses."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from animal_classification.cli import predict
from animal_classification.cli.row_output import ObjectSink, PlanSink, StdoutSink, check_output, open_sink
from animal_classification.cli.screen_table import ScreenSink
from animal_classification.errors import UsageError
from animal_classification.predict.request import PredictRequest
from animal_classification.predict.sorting import WAYS


def test_there_is_an_option_for_every_way_to_sort() -> None:
    assert {option.opts[0] for option in predict.command.params if option.name == "way"} == {f"--{way}" for way in WAYS}


def asked(*, to_stdout: bool = False, as_json: bool = False, **options: Any) -> tuple[PredictRequest, dict[str, bool]]:
    return PredictRequest(paths=("p",), **options), {"to_stdout": to_stdout, "as_json": as_json}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resume": True, "to_stdout": True}, "--resume goes on with a file"),
        ({"as_json": True, "to_stdout": True}, "both want the standard output"),
        ({"as_json": True, "format": "csv"}, "drop one"),
        ({"format": "parquet"}, "parquet cannot go to the standard output"),
        ({"format": "xlsx", "to_stdout": True}, "xlsx cannot go to the standard output"),
    ],
)
def test_contradictions_are_found(options: dict[str, Any], message: str) -> None:
    request, output = asked(**options)
    with pytest.raises(UsageError, match=message):
        check_output(request, **output)


@pytest.mark.parametrize(
    ("options", "sink"),
    [
        ({}, StdoutSink),
        ({"to_stdout": True, "format": "json"}, StdoutSink),
        ({"output": "x.csv"}, type(None)),
        ({"output": "x.csv", "as_json": True}, type(None)),
        ({"output": "x.parquet", "format": "parquet"}, type(None)),
        ({"as_json": True}, ObjectSink),
        ({"sort_into": "d", "dry_run": True, "output": "x.csv"}, PlanSink),
        ({"sort_into": "d", "dry_run": True, "as_json": True}, PlanSink),
    ],
)
def test_where_rows_go(options: dict[str, Any], sink: type) -> None:
    request, output = asked(**options)
    check_output(request, **output)
    with open_sink(request, **output) as opened:
        assert type(opened) is sink


def test_a_terminal_gets_a_table_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for options, sink in (({}, ScreenSink), ({"to_stdout": True}, StdoutSink), ({"format": "csv"}, StdoutSink)):
        request, output = asked(**options)  # type: ignore[arg-type]
        with open_sink(request, **output) as opened:
            assert type(opened) is sink
