"""bundle.json's rules: what round-trips, and the generated JSON Schema."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from animal_classification.bundle import (
    BackgroundClass,
    BundleInfo,
    Calibration,
    Code,
    Conformal,
    Data,
    Label,
    Preprocess,
    Rollup,
    Unknown,
)
from animal_classification.bundle.document import parse_info, to_bytes
from animal_classification.bundle.json_schema import SCHEMA_FILE, schema_text

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
level = st.text("abcdé -", min_size=1, max_size=6).map(str.strip).filter(bool)
groups = st.none() | st.lists(level, min_size=1, max_size=3).map(" > ".join)
finite = st.floats(allow_nan=False, allow_infinity=False)
fraction = st.floats(0.01, 0.99)
json_values = st.recursive(st.none() | st.booleans() | st.integers() | finite | text, st.lists, max_leaves=5)
objects = st.dictionaries(text, json_values, max_size=3)
files = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,5}(/[a-z]{1,3})?", fullmatch=True).filter(
        lambda n: n != "bundle.json"
    ),
    st.text("0123456789abcdef", min_size=64, max_size=64),
    max_size=3,
)


@st.composite
def infos(draw: st.DrawFn) -> BundleInfo:
    ids = draw(st.lists(text, min_size=2, max_size=8, unique=True))
    split = draw(st.integers(1, len(ids) - 1))
    names = draw(st.lists(text, min_size=split, max_size=split, unique=True))
    parts = zip(ids[:split], names, strict=True)
    method = draw(st.sampled_from(["background", "max_probability"]))
    return BundleInfo(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)),
        version=draw(text),
        created=draw(st.datetimes(timezones=st.just(UTC))),
        license=draw(st.none() | text),
        labels=tuple(Label(id=i, name=n, group=draw(groups), taxon=draw(st.none() | text)) for i, n in parts),
        background=tuple(BackgroundClass(id=i, name=draw(text)) for i in ids[split:]),
        preprocess=Preprocess(size=draw(st.integers(8, 4096)), crop_pct=draw(fraction), interpolation="lanczos"),
        calibration=Calibration(temperature=draw(fraction)),
        conformal=draw(st.none() | st.builds(Conformal, alpha=fraction, quantile=finite)),
        unknown=draw(st.none() | st.builds(Unknown, method=st.just(method), threshold=finite)),
        rollup=draw(st.none() | st.builds(Rollup, threshold=fraction)),
        data=draw(st.builds(Data, version=text, n_train=st.none() | st.integers(0), classes=st.integers(1))),
        code=draw(st.builds(Code, version=text, git=st.none() | text)),
        config=draw(objects),
        metrics=draw(objects),
        files=draw(files),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(infos())
def test_whatever_is_valid_survives_a_round_trip(info: BundleInfo) -> None:
    data = to_bytes(info, "here")
    again = parse_info(data, "here")
    assert again == info
    assert to_bytes(again, "here") == data


def test_the_json_schema_is_up_to_date() -> None:
    regenerate = "stale: run python -m animal_classification.bundle.json_schema"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), regenerate


@pytest.mark.parametrize("group", ["", "dog >", " dog", "dog > ", "dog>cat", "dog >  retriever"])
def test_a_group_is_a_list_of_names(group: str) -> None:
    with pytest.raises(ValidationError, match="is not a list of names joined by ' > '"):
        Label(id="a", name="a", group=group)


def test_groups_go_from_coarse_to_fine() -> None:
    assert Label(id="a", name="a", group="dog > retriever").groups == ("dog", "retriever")
    assert Label(id="a", name="a").groups == ()


def test_objects_are_frozen(info: BundleInfo) -> None:
    changed: Any = info
    with pytest.raises(ValidationError, match="frozen"):
        changed.name = "other"


@pytest.mark.parametrize(
    "lineage", ["Mammalia", "Mammalia > Carnivora > Felidae > Panthera", "Aves > - > Pomacentridae"]
)
def test_a_lineage_is_scientific_names(lineage: str) -> None:
    label = Label(id="a", name="a", lineage=lineage)
    assert len(label.ranks) == 4
    assert [name or "-" for name in label.ranks][: lineage.count(">") + 1] == lineage.split(" > ")


@pytest.mark.parametrize(
    "lineage", ["", "mammalia", "Mammalia>Carnivora", "A > B > C > D > E", "Mammalia > -", "a lion"]
)
def test_anything_else_is_refused(lineage: str) -> None:
    with pytest.raises(ValueError, match="is not class > order > family > genus"):
        Label(id="a", name="a", lineage=lineage)
