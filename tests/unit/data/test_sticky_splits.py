"""Splits that stick: whatever comes, a photo stays where it is, and nothing of test or fresh reaches training."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.scanner import Facts
from animal_classification.data.splitter import SplitPlan, split
from animal_classification.data.sticky_splits import COPY_OF_TEST, THERE, extend, fraction
from tests.unit.data.drawing import listed


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def photo(number: int, label: str, picture: int | None = None) -> tuple[ManifestRow, Facts]:
    """A photo; those of one ``picture`` are copies of each other, though their bytes differ."""
    print_ = random.Random(number if picture is None else picture).randbytes(32)
    return ManifestRow(path=f"{number}.jpg", label=label, sha256=sha(number)), Facts(
        sha256=sha(number), fingerprint=print_
    )


def divided(count: int) -> tuple[Manifest, dict[str | None, Facts]]:
    pairs = [photo(number, f"class {number % 3}") for number in range(count)]
    facts = {row.sha256: fact for row, fact in pairs}
    manifest, _ = listed(*(row for row, _ in pairs))
    in_order = [facts[row.sha256] for row in manifest]
    return split(manifest, in_order, SplitPlan()).manifest, facts


def where(manifest: Manifest) -> dict[str | None, str | None]:
    return {row.sha256: row.split for row in manifest}


def test_the_test_set_stays_where_dealing_again_would_change_it() -> None:
    """The fault of yesterday: sixty corrections dealt out another test set."""
    manifest, facts = divided(300)
    news = [photo(1000 + number, f"class {number % 3}") for number in range(60)]
    facts |= {row.sha256: fact for row, fact in news}
    test = {row.sha256 for row in manifest if row.split == "test"}

    everything = Manifest.of([replace(row, split=None) for row in manifest] + [row for row, _ in news], manifest.root)
    again = split(everything, [facts[row.sha256] for row in everything], SplitPlan()).manifest
    assert {row.sha256 for row in again if row.split == "test"} != test

    grown = extend(manifest, [facts[row.sha256] for row in manifest], news).manifest
    assert {row.sha256 for row in grown if row.split == "test"} == test
    # and training on it changes nothing any more
    trained = split(grown, [facts[row.sha256] for row in grown], SplitPlan()).manifest
    assert where(trained) == where(grown)


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=1, max_size=25), min_size=1, max_size=5
    ),
    lot=st.randoms(use_true_random=False),
)
def test_laws(batches: list[list[tuple[int, int]]], lot: random.Random) -> None:
    """Pictures are numbered from 0; the data have one photo of each of the first thirty."""
    manifest, facts = divided(30)
    for batch in batches:
        news = {
            number: photo(1000 + number * 61 + picture, "class 0", picture if picture < 30 else 5000 + picture)
            for number, picture in batch
        }
        pairs = list(news.values())
        facts |= {row.sha256: fact for row, fact in pairs}
        before, old = where(manifest), [facts[row.sha256] for row in manifest]
        done = extend(manifest, old, pairs)
        lot.shuffle(pairs)
        assert where(extend(manifest, old, pairs).manifest) == where(done.manifest)  # order decides nothing
        after = where(done.manifest)
        assert all(after[name] == part for name, part in before.items())
        assert len(done.added) + len({one.row.sha256 for one in done.refused}) == len({row.sha256 for row, _ in pairs})
        by_picture: dict[bytes | None, set[str | None]] = {}
        for row in done.manifest:
            by_picture.setdefault(facts[row.sha256].fingerprint, set()).add(row.split)
        assert all(len(parts) == 1 for parts in by_picture.values())  # nothing of one picture in two splits
        assert {row.split for row in done.added} <= {"train", "val", "fresh"}
        manifest = done.manifest


def test_copies_of_test_photos_are_refused_and_known_ones_said() -> None:
    manifest, facts = divided(30)
    of_test = next(int(row.path.removesuffix(".jpg")) for row in manifest if row.split == "test")
    again = manifest.rows[0]
    done = extend(
        manifest,
        [facts[row.sha256] for row in manifest],
        [photo(7001, "class 0", of_test), (again, facts[again.sha256])],
    )
    assert not done.added
    assert {one.why for one in done.refused} == {COPY_OF_TEST, THERE}


def test_three_in_ten_are_fresh() -> None:
    manifest, facts = divided(30)
    done = extend(
        manifest,
        [facts[row.sha256] for row in manifest],
        [photo(10_000 + number, "class 0") for number in range(2000)],
    )
    share = sum(row.split == "fresh" for row in done.added) / len(done.added)
    assert share == pytest.approx(0.3, abs=0.04)  # four standard errors


def test_a_fraction_depends_on_photo_and_purpose() -> None:
    assert fraction(sha(1), "fresh") == fraction(sha(1), "fresh") != fraction(sha(1), "audit")
    assert 0 <= fraction(sha(1), "fresh") < 1


def test_an_unsplit_copy_of_a_fresh_photo_is_fresh() -> None:
    first, second = photo(1, "class 0", 7), photo(2, "class 0", 7)
    others = [photo(number, f"class {number % 2}") for number in range(10, 40)]
    rows = [replace(first[0], split="fresh"), second[0], *(replace(row, split="train") for row, _ in others)]
    facts = {row.sha256: fact for row, fact in (first, second, *others)}
    manifest = Manifest.of(rows, manifest_root())
    done = split(manifest, [facts[row.sha256] for row in manifest], SplitPlan(val=0))
    assert {row.split for row in done.manifest if row.sha256 in (first[0].sha256, second[0].sha256)} == {"fresh"}


def manifest_root() -> Path:
    return listed()[0].root
