"""Case 12 through the command line: only *animal*, and nobody says why."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from animal_classification.cli.main import main

CASE = "field_cases/12-only-animal-and-nobody-says-why"


def test_a_line_that_the_model_does_not_know_ends_the_run_or_is_a_warning(
    photos_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case, table = photos_dir / CASE, tmp_path / "animals.csv"
    words = ["predict", str(case), "--species-list", str(case / "species_list.txt"), "-o", str(table)]
    assert main(words) == 2
    said = "line 4: bobcat is not one of the model's names; nearest: lynx"
    assert said in capsys.readouterr().err
    assert not table.exists()
    assert main([*words, "--list-lenient"]) == 0
    assert said in capsys.readouterr().err
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    coyote = rows["2021-07-24_SYFR0655_coyote.JPG"]
    assert (coyote["answer"], coyote["decision"]) == ("Canidae", "rollup_family")
    assert coyote["decision_why"] == "grey fox 0.41 < 0.65; fox 0.54 < 0.65; Canidae 0.996"
    assert (coyote["label"], coyote["probability"][:4]) == ("grey fox", "0.41")
    assert rows["IMG_0708.JPG"]["decision"] == "list_none"  # no bird is on the list
