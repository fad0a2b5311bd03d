"""What options offer, said again so that --help imports nothing, is what there is."""

from __future__ import annotations

from typing import get_args

from animal_classification.cli.data import METHODS
from animal_classification.cli.options import ENGINES, SOURCE_KINDS, SPLITS
from animal_classification.data.manifest import SPLITS as ALL_SPLITS
from animal_classification.data.quality import label_issues
from animal_classification.data.sources import reader
from animal_classification.evaluation.eval_set import ALL
from animal_classification.inference import engine


def test_choices_are_what_there_is() -> None:
    assert reader.KINDS == SOURCE_KINDS
    assert engine.ENGINES == ENGINES
    assert set(SPLITS) == {*ALL_SPLITS, ALL}
    assert get_args(label_issues.Method) == METHODS
