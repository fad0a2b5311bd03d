"""The level of an answer: laws over any probabilities, and the rules of a species list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from animal_classification import bundle
from animal_classification.bundle.schema import Label
from animal_classification.taxonomy import AllowedLabels, Lineage, Taxonomy
from animal_classification.taxonomy.taxa import TaxonSums

CANIDS = "Mammalia > Carnivora > Canidae"
BEARS = "Mammalia > Carnivora > Ursidae"
LABELS = (
    Label(id="f1", name="red fox", group="fox", taxon="Vulpes vulpes", lineage=f"{CANIDS} > Vulpes"),
    Label(id="f2", name="grey fox", group="fox", taxon="Urocyon cinereoargenteus", lineage=f"{CANIDS} > Urocyon"),
    Label(id="d1", name="coyote", group="wild dog", taxon="Canis latrans", lineage=f"{CANIDS} > Canis"),
    Label(id="d2", name="beagle", group="dog", taxon="Canis lupus familiaris", lineage=f"{CANIDS} > Canis"),
    Label(id="d3", name="pug", group="dog", taxon="Canis lupus familiaris", lineage=f"{CANIDS} > Canis"),
    Label(id="b1", name="brown bear", group="bear", taxon="Ursus arctos", lineage=f"{BEARS} > Ursus"),
    Label(id="b2", name="sloth bear", group="bear", taxon="Melursus ursinus", lineage=f"{BEARS} > Melursus"),
    Label(id="o1", name="owl", group="bird", taxon="Strigidae", lineage="Aves > Strigiformes > Strigidae"),
    Label(id="o2", name="eagle", group="bird", taxon="Accipitridae", lineage="Aves > Accipitriformes > Accipitridae"),
    Label(id="x", name="my pet"),
)  # fmt: skip
NAMES = [label.name for label in LABELS]


def vector(**shares: float) -> NDArray[np.float64]:
    row = np.zeros(len(LABELS))
    for name, share in shares.items():
        row[NAMES.index(name.replace("_", " "))] = share
    return row


def only(*names: str) -> AllowedLabels:
    return AllowedLabels.only([NAMES.index(name) for name in names], len(LABELS), "is not in list.txt")


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return Taxonomy(LABELS)


@pytest.fixture(scope="module")
def photos() -> Taxonomy:
    return Taxonomy.of(bundle.load("photos").info)


@st.composite
def rows(draw: st.DrawFn, count: int) -> NDArray[np.float64]:
    """Probabilities of ``count`` labels beside a background, as a softmax gives them: a few large, many small."""
    seed = draw(st.integers(0, 2**32 - 1))
    concentration = draw(st.sampled_from([0.01, 0.05, 0.3, 1.0]))
    shares: NDArray[np.float64] = np.random.default_rng(seed).dirichlet(np.full(count + 1, concentration))
    return shares[:count]


masks = st.lists(st.booleans(), min_size=398, max_size=398).map(
    lambda chosen: AllowedLabels.only(np.flatnonzero(chosen).tolist(), 398, "is not in list.txt")
)


@given(rows(398))
def test_sums_are_the_labels_own_and_never_more_than_one(photos: Taxonomy, row: NDArray[np.float64]) -> None:
    sums = photos.sums(row[None])[0]
    assert sums.max() <= 1 + 1e-9
    expected = [row[list(taxon.members)].sum() for taxon in photos.taxa]
    assert np.allclose(sums, expected, atol=1e-12)


@given(rows(398), st.floats(0.01, 0.9))
def test_probabilities_are_taken_as_they_are(photos: Taxonomy, row: NDArray[np.float64], share: float) -> None:
    # Half the mass in the background halves what is answered; renormalising would hide it.
    decision = photos.decide(row * share)
    assert decision.probability <= row.sum() * share + 1e-9
    if decision.level not in ("label", "animal"):
        members = next(taxon.members for taxon in photos.taxa if taxon.name == decision.answer)
        assert decision.probability == pytest.approx(row[list(members)].sum() * share)


@given(rows(398), st.floats(0.51, 0.99), st.floats(0.51, 0.99))
def test_a_higher_threshold_never_makes_an_answer_finer(row: NDArray[np.float64], one: float, other: float) -> None:
    labels = bundle.load("photos").info.labels
    low, high = sorted((one, other))
    sizes = []
    for threshold in (low, high):
        taxonomy = Taxonomy(labels, threshold)
        sizes.append(covered(taxonomy, row))
    assert sizes[0] <= sizes[1]


def covered(taxonomy: Taxonomy, row: NDArray[np.float64]) -> int:
    decision = taxonomy.decide(row)
    if decision.level == "label":
        return 1
    return next((len(taxon.members) for taxon in taxonomy.taxa if taxon.name == decision.answer), 398)


@given(rows(398), masks)
def test_within_a_list_an_answer_holds_a_label_of_it(
    photos: Taxonomy, row: NDArray[np.float64], allowed: AllowedLabels
) -> None:
    decision = photos.decide(row, allowed)
    if decision.level == "animal":
        assert decision.decision in ("animal", "list_none")
        return
    assert decision.probability >= photos.threshold
    if decision.label is not None:
        assert allowed.mask[decision.label]
        assert decision.decision in ("label", "list_only_one")
    else:
        members = next(taxon.members for taxon in photos.taxa if taxon.name == decision.answer)
        assert allowed.mask[list(members)].sum() >= 2


@given(rows(398))
def test_a_list_of_everything_changes_nothing(photos: Taxonomy, row: NDArray[np.float64]) -> None:
    assert photos.decide(row, AllowedLabels.only(range(398), 398, "")) == photos.decide(row)


@given(rows(398))
def test_what_is_answered_holds_the_top_label_or_outweighs_it(photos: Taxonomy, row: NDArray[np.float64]) -> None:
    decision = photos.decide(row)
    if decision.level in ("label", "animal"):
        assert decision.label in (decision.top, None)
        return
    members = next(taxon.members for taxon in photos.taxa if taxon.name == decision.answer)
    assert decision.top in members or decision.probability > row[decision.top]


def test_many_rows_are_decided_as_one_by_one(photos: Taxonomy) -> None:
    rng = np.random.default_rng(7)
    many = rng.dirichlet(np.full(398, 0.02), 2500)
    decisions = photos.decide_all(many)
    assert len(decisions) == 2500
    assert [decisions[row] for row in (0, 2047, 2048, 2499)] == [
        photos.decide(many[row]) for row in (0, 2047, 2048, 2499)
    ]


@given(st.lists(st.sets(st.integers(0, 19), min_size=1), min_size=1, max_size=12), st.integers(0, 1000))
def test_sums_over_any_sets(sets: list[set[int]], seed: int) -> None:
    rows = np.random.default_rng(seed).random((3, 20))
    members = [sorted(one) for one in sets]
    expected = np.array([[row[one].sum() for one in members] for row in rows])
    assert np.allclose(TaxonSums(members)(rows), expected)


def test_a_sure_label_is_the_answer(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(coyote=0.93))
    assert (said.answer, said.level, said.decision, said.why) == ("coyote", "label", "label", "coyote 0.93")
    assert said.lineage == Lineage("Mammalia", "Carnivora", "Canidae", "Canis", "latrans")
    assert said.scientific_name == "Canis latrans"


def test_two_foxes_are_a_fox_and_a_fox_is_no_taxon(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(red_fox=0.4, grey_fox=0.3))
    assert (said.answer, said.level, said.decision) == ("fox", "group", "rollup_group")
    assert said.scientific_name == "Canidae"
    assert said.probability == pytest.approx(0.7)


def test_foxes_and_coyotes_are_canids(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(grey_fox=0.414, coyote=0.3, red_fox=0.13, pug=0.152))
    assert (said.answer, said.level, said.decision) == ("Canidae", "family", "rollup_family")
    assert said.why == "grey fox 0.41 < 0.65; fox 0.54 < 0.65; Canidae 0.996"


def test_breeds_are_dogs_and_dogs_are_a_subspecies(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(beagle=0.5, pug=0.4))
    assert (said.answer, said.scientific_name, said.lineage.genus) == ("dog", "Canis lupus familiaris", "Canis")


def test_a_group_that_is_a_family_has_its_own_name_and_the_rank(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(brown_bear=0.5, sloth_bear=0.4))
    assert (said.answer, said.level, said.decision) == ("bear", "family", "rollup_family")
    assert said.scientific_name == "Ursidae"


def test_a_label_that_nothing_is_known_of_stands_alone(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(my_pet=0.5, owl=0.3))
    assert (said.answer, said.level, said.decision, said.why) == ("animal", "animal", "animal", "my pet 0.50 < 0.65")
    assert said.scientific_name == ""


def test_a_number_never_rounds_to_the_other_side_of_the_threshold(taxonomy: Taxonomy) -> None:
    assert taxonomy.decide(vector(my_pet=0.6499)).why == "my pet 0.6499 < 0.65"
    assert taxonomy.decide(vector(my_pet=0.99999)).why == "my pet 0.9999"
    assert taxonomy.decide(vector(my_pet=1.0)).why == "my pet 1.00"


def test_off_the_list_the_answer_goes_up(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(grey_fox=0.8, coyote=0.15), only("coyote", "beagle"))
    assert (said.answer, said.decision) == ("Canidae", "list_rollup")
    assert said.why == "grey fox 0.80 is not in list.txt; Canidae 0.95"
    assert said.probability == pytest.approx(0.95)
    said = taxonomy.decide(vector(grey_fox=0.4, red_fox=0.3, coyote=0.25), only("coyote", "beagle"))
    assert said.why == "grey fox 0.40 < 0.65; fox 0.70 holds no allowed label; Canidae 0.95"


def test_the_only_one_on_the_list_is_the_answer(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(grey_fox=0.8, coyote=0.15), only("coyote", "owl"))
    assert (said.answer, said.level, said.decision) == ("coyote", "label", "list_only_one")
    assert said.probability == pytest.approx(0.95)  # the taxon's, not the label's own
    assert said.scientific_name == "Canis latrans"
    assert said.why.endswith("Canidae 0.95, of which only coyote is allowed")


def test_an_unsure_answer_within_the_list_goes_the_same_way(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(red_fox=0.4, grey_fox=0.4), only("grey fox"))
    assert (said.answer, said.decision) == ("grey fox", "list_only_one")
    said = taxonomy.decide(vector(red_fox=0.4, grey_fox=0.4), only("grey fox", "red fox"))
    assert (said.answer, said.decision) == ("fox", "rollup_group")


def test_nothing_on_the_list_is_an_animal(taxonomy: Taxonomy) -> None:
    said = taxonomy.decide(vector(grey_fox=0.8), only("owl"))
    assert (said.answer, said.decision) == ("animal", "list_none")
    assert said.probability == pytest.approx(0.8)
    said = taxonomy.decide(vector(grey_fox=0.3, owl=0.2, my_pet=0.1), only("owl"))
    assert said.decision == "animal"  # would have been one without the list


def test_two_rules_hold_together() -> None:
    both = AllowedLabels.only([0, 1], 3, "is not in list.txt") & AllowedLabels.only([1, 2], 3, "is not in KEN")
    assert both.mask.tolist() == [False, True, False]
    assert both.why_not == ("is not in KEN", "", "is not in list.txt")
