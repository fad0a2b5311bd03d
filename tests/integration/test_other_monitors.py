"""Evidently and NannyML read the exported tables, each in an environment of its own: neither fits into ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.store import insert
from tests.support.drift_log import Scenes, ago, write_watched_bundle

TOOLS = Path(__file__).parents[2] / ".tools/bin"  # where make puts it
READERS = {
    "evidently": (
        ("evidently==0.7.23", "pandas<3", "plotly<6", "pyarrow"),
        """
import sys, pandas
from evidently import Report
from evidently.presets import DataDriftPreset
reference, current = (pandas.read_parquet(path) for path in sys.argv[1:])
columns = ["prediction", "probability", "known", "brightness", "sharpness"]
found = Report([DataDriftPreset()]).run(current[columns], reference[columns])
print("brightness" in found.json())
""",
    ),
    "nannyml": (
        ("nannyml==0.13.1", "pandas<3", "plotly<6", "pyarrow", "statsmodels"),
        """
import sys, pandas, nannyml
reference, current = (pandas.read_parquet(path) for path in sys.argv[1:])
columns = ["probability", "known", "brightness"]
calculator = nannyml.UnivariateDriftCalculator(column_names=columns, timestamp_column_name="timestamp", chunk_number=2)
print(not calculator.fit(reference).calculate(current).to_df().empty)
""",
    ),
}


@pytest.mark.nightly
@pytest.mark.parametrize("name", sorted(READERS))
def test_the_tables_are_read(name: str, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv makes the environments, and is not installed")
    bundle, place = write_watched_bundle(tmp_path / "tiny"), LogLocation(folder=tmp_path / "log")
    engine = connect(place.database)
    migrate(engine)
    insert(engine, Scenes(1).records(300, ago(5), dark=1.5))
    engine.dispose()
    log, reference = tmp_path / "log.parquet", tmp_path / "reference.parquet"
    assert main(["monitor", "export", str(log), "--log-folder", str(place.folder)]) == 0
    assert main(["monitor", "export", str(reference), "--reference", str(bundle)]) == 0
    packages, script = READERS[name]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    words = [uv, "run", "--no-project", "--isolated", "--python", version]
    words += [word for package in packages for word in ("--with", package)]
    done = subprocess.run(
        [*words, "python", "-c", script, str(reference), str(log)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("True")
