"""One small evaluation and its report, made once for each file of tests that asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from animal_classification.report.report_inputs import Measurement


@pytest.fixture(scope="module")
def measurement(tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    from tests.support.reported import measured

    return measured(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def written(measurement: Measurement, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the report's page and the model card."""
    from animal_classification.report.writer import write_report

    target = tmp_path_factory.mktemp("report")
    write_report(measurement, target)
    return target
