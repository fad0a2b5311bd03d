"""Geofences in the format of SpeciesNet: allow first, then block."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animal_classification import bundle
from animal_classification.errors import UsageError
from animal_classification.taxonomy import Taxonomy
from animal_classification.taxonomy.geofence import Geofence

LION = "mammalia;carnivora;felidae;panthera;leo"
COYOTE = "mammalia;carnivora;canidae;canis;latrans"


@pytest.fixture(scope="module")
def photos() -> Taxonomy:
    return Taxonomy.of(bundle.load("photos").info)


def forbidden(
    photos: Taxonomy, folder: Path, rules: dict[str, Any], country: str, region: str | None = None
) -> set[str]:
    path = folder / "geofence.json"
    path.write_text(json.dumps(rules), encoding="utf-8")
    allowed = Geofence.read(path).allowed(photos, country, region)
    return {label.name for label, ok in zip(photos.labels, allowed.mask.tolist(), strict=True) if not ok}


@pytest.mark.parametrize(
    ("rule", "country", "region", "ok"),
    [
        ({"allow": {"KEN": []}}, "KEN", None, True),
        ({"allow": {"KEN": []}}, "ken", None, True),
        ({"allow": {"KEN": []}}, "USA", None, False),
        ({"allow": {"USA": ["CA"]}}, "USA", "CA", True),
        ({"allow": {"USA": ["CA"]}}, "USA", "NY", False),
        ({"allow": {"USA": ["CA"]}}, "USA", None, True),  # a place that is not known closely forbids nothing
        ({"block": {"USA": []}}, "USA", "CA", False),
        ({"block": {"USA": ["HI"]}}, "USA", "HI", False),
        ({"block": {"USA": ["HI"]}}, "USA", "CA", True),
        ({"block": {"USA": ["HI"]}}, "USA", None, True),
        ({"allow": {"USA": []}, "block": {"USA": ["HI"]}}, "USA", "HI", False),
        ({"allow": {"KEN": []}, "block": {}}, "USA", None, False),
        ({"allow": {}, "block": {"USA": []}}, "KEN", None, True),
        ({}, "KEN", None, True),
    ],
)
def test_allow_is_asked_first_then_block(
    photos: Taxonomy, tmp_path: Path, rule: dict[str, Any], country: str, region: str | None, ok: bool
) -> None:
    assert forbidden(photos, tmp_path, {LION: rule}, country, region) == (set() if ok else {"lion"})


def test_what_is_above_a_label_forbids_it_too(photos: Taxonomy, tmp_path: Path) -> None:
    found = forbidden(photos, tmp_path, {"mammalia;proboscidea;elephantidae;;": {"allow": {"KEN": []}}}, "USA")
    assert found == {"tusked elephant", "Asian elephant", "African elephant"}
    assert "lynx" in forbidden(photos, tmp_path, {"mammalia;carnivora;felidae;lynx;": {"allow": {"USA": []}}}, "KEN")


def test_orders_may_have_another_name_there(photos: Taxonomy, tmp_path: Path) -> None:
    boar = "mammalia;cetartiodactyla;suidae;sus;scrofa"
    assert forbidden(photos, tmp_path, {boar: {"block": {"USA": []}}}, "USA") == {"wild boar"}
    whole = {"mammalia;cetartiodactyla;;;": {"block": {"ATA": []}}}
    assert {"wild boar", "bison", "orca"} <= forbidden(photos, tmp_path, whole, "ATA")


def test_where_wolves_live_says_nothing_of_dogs(photos: Taxonomy, tmp_path: Path) -> None:
    wolf = {"mammalia;carnivora;canidae;canis;lupus": {"block": {"KEN": []}}}
    assert forbidden(photos, tmp_path, wolf, "KEN") == {"grey wolf"}
    dingo = {"mammalia;chordata;canidae;canis;lupus dingo": {"block": {"KEN": []}}}
    assert forbidden(photos, tmp_path, dingo, "KEN") == {"dingo"}
    assert (
        len(forbidden(photos, tmp_path, {"mammalia;carnivora;canidae;canis;familiaris": {"block": {"KEN": []}}}, "KEN"))
        > 100
    )


def test_it_acts_like_a_list(photos: Taxonomy, tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    path.write_text(json.dumps({COYOTE: {"allow": {"USA": []}}}), encoding="utf-8")
    row = np.zeros(398)
    row[[label.name for label in photos.labels].index("coyote")] = 0.9
    said = photos.decide(row, Geofence.read(path).allowed(photos, "KEN"))
    assert said.decision == "list_rollup"
    assert said.why.startswith("coyote 0.90 is not in KEN (here.json); ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "is no geofence"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON: it is nested too deeply"),
        ('{"lion": {}}', "the key 'lion' is not class;order;family;genus;species"),
        (f'{{"{LION}": []}}', "must be an object with allow, block or both"),
        (f'{{"{LION}": {{"alow": {{}}}}}}', "must be an object with allow, block or both"),
        (f'{{"{LION}": {{"allow": ["KEN"]}}}}', "expected countries with a list of regions each"),
    ],
)
def test_a_file_of_another_format_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "geofence.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        Geofence.read(path)


@pytest.mark.parametrize(("country", "region"), [("Kenya", None), ("KE", None), ("USA", "California"), ("K€N", None)])
def test_codes_have_their_form(photos: Taxonomy, country: str, region: str | None) -> None:
    with pytest.raises(UsageError, match="is no code of"):
        Geofence("none.json", {}).allowed(photos, country, region)
