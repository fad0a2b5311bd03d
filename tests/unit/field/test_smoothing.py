"""What a burst decides for the animals in it that are not sure."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from animal_classification.bundle.schema import Label
from animal_classification.field.smoothing import BurstAnimal, SmoothedAnswer, smooth_burst
from animal_classification.taxonomy import AllowedLabels, Taxonomy

LABELS = (
    ("heron", "Aves > Pelecaniformes > Ardeidae > Ardea"),
    ("egret", "Aves > Pelecaniformes > Ardeidae > Egretta"),
    ("fox", "Mammalia > Carnivora > Canidae > Vulpes"),
    ("coyote", "Mammalia > Carnivora > Canidae > Canis"),
    ("hammerhead", "Chondrichthyes > Carcharhiniformes > Sphyrnidae > Sphyrna"),
)
TAXONOMY = Taxonomy([Label(id=name, name=name, lineage=lineage) for name, lineage in LABELS], 0.65)


def animal(*probabilities: float, weight: float = 1.0) -> BurstAnimal:
    vector = np.array(probabilities)
    return BurstAnimal(vector, weight, TAXONOMY.decide(vector))


def answers(*animals: BurstAnimal) -> list[str | None]:
    return [found.decision.answer if found else None for found in smooth_burst(animals, TAXONOMY)]


HERON = animal(0.9, 0.05, 0.0, 0.0, 0.0)
UNSURE = animal(0.3, 0.05, 0.05, 0.05, 0.45)
SHARK = animal(0.1, 0.1, 0.0, 0.0, 0.7)


def test_one_that_is_not_sure_gets_the_answer_of_the_burst() -> None:
    found = smooth_burst([HERON, HERON, HERON, UNSURE], TAXONOMY)
    assert found[:3] == [None, None, None]
    assert isinstance(found[3], SmoothedAnswer)
    assert (found[3].decision.answer, found[3].decision.level) == ("heron", "label")
    assert found[3].why == "burst of 4: Ardeidae in 0.75 of it; heron 0.90; alone: hammerhead 0.45 < 0.65"


def test_a_little_sure_of_another_family_is_outvoted_and_a_second_species_stays() -> None:
    assert answers(HERON, HERON, HERON, SHARK) == [None, None, None, "heron"]
    second = animal(0.02, 0.02, 0.85, 0.0, 0.0)
    assert answers(HERON, HERON, HERON, second) == [None, None, None, None]
    divided = animal(0.0, 0.02, 0.5, 0.35, 0.0)
    assert answers(HERON, HERON, HERON, divided)[3] is None, "0.85 of Canidae, whichever of them it is"


def test_weights_decide_who_holds_two_thirds() -> None:
    faint = BurstAnimal(UNSURE.probabilities, 0.01, UNSURE.decision)
    assert answers(HERON, faint)[1] == "heron"
    assert answers(HERON, UNSURE) == [None, None], "a half is no majority"
    assert answers(HERON, HERON, UNSURE)[2] == "heron", "two thirds are"


def test_nothing_is_decided_again_in_a_burst_of_one_or_without_weight() -> None:
    assert answers(UNSURE) == [None]
    nothing = BurstAnimal(UNSURE.probabilities, 0.0, UNSURE.decision)
    assert answers(nothing, nothing) == [None, None]


def test_what_no_label_holds_is_not_given_to_the_labels() -> None:
    faint = animal(0.2, 0.1, 0.0, 0.0, 0.0)
    assert answers(faint, faint, faint) == [None, None, None]
    known = animal(0.5, 0.04, 0.0, 0.0, 0.0)
    assert answers(known, known, known) == [None, None, None], "0.5 of a heron three times is not 1.0"


def test_a_bush_that_was_taken_for_an_animal_takes_no_part() -> None:
    bush = animal(0.1, 0.0, 0.2, 0.1, 0.05)
    assert answers(HERON, HERON, HERON, bush) == [None] * 4
    assert answers(HERON, HERON, bush, bush, bush, UNSURE)[5] == "heron", "and does not outvote the herons"


def test_nothing_gets_a_wider_answer_or_its_own_again() -> None:
    bird = animal(0.3, 0.3, 0.05, 0.0, 0.0)
    birds = animal(0.35, 0.35, 0.0, 0.0, 0.0)
    assert birds.decision.answer == "Ardeidae"
    found = answers(birds, birds, bird)
    assert found == [None, None, "Ardeidae"]
    canids = animal(0.0, 0.0, 0.35, 0.35, 0.05)
    mixed = animal(0.05, 0.0, 0.3, 0.3, 0.35)
    assert answers(canids, canids, mixed)[:2] == [None, None]


def test_the_list_holds_for_the_burst_as_well() -> None:
    only_egrets = AllowedLabels.only([1], len(LABELS), "is not in the list")
    found = smooth_burst([HERON, HERON, HERON, UNSURE], TAXONOMY, only_egrets)
    assert found[3] is not None
    assert (found[3].decision.answer, found[3].decision.decision) == ("egret", "list_only_one")


def test_models_without_lineages_vote_by_their_groups() -> None:
    labels = [Label(id=name, name=name, group=group) for name, group in (("a1", "a"), ("a2", "a"), ("b1", "b"))]
    taxonomy = Taxonomy(labels, 0.65)

    def one(*values: float) -> BurstAnimal:
        return BurstAnimal(np.array(values), 1.0, taxonomy.decide(np.array(values)))

    found = smooth_burst([one(0.9, 0.05, 0.05), one(0.8, 0.1, 0.1), one(0.85, 0.1, 0.05), one(0.3, 0.2, 0.5)], taxonomy)
    assert [answer and answer.decision.answer for answer in found] == [None, None, None, "a1"]


# The sixth part is what no label holds.
PARTS = st.lists(st.integers(0, 20), min_size=6, max_size=6)
VECTORS = PARTS.map(lambda parts: np.array(parts[:5]) / max(sum(parts), 1))


@given(st.lists(st.tuples(VECTORS, st.integers(1, 10)), max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_burst_changes_nothing(
    drawn: list[tuple[NDArray[np.float64], int]], chance: random.Random
) -> None:
    animals = [BurstAnimal(vector, weight / 10, TAXONOMY.decide(vector)) for vector, weight in drawn]
    order = list(range(len(animals)))
    chance.shuffle(order)
    plain = smooth_burst(animals, TAXONOMY)
    shuffled = smooth_burst([animals[index] for index in order], TAXONOMY)
    assert shuffled == [plain[index] for index in order]


@given(st.lists(st.tuples(VECTORS, st.integers(1, 10)), max_size=8))
def test_what_is_sure_of_a_family_by_eight_tenths_always_stays(drawn: list[tuple[NDArray[np.float64], int]]) -> None:
    animals = [BurstAnimal(vector, weight / 10, TAXONOMY.decide(vector)) for vector, weight in drawn]
    for one, found in zip(animals, smooth_burst(animals, TAXONOMY), strict=True):
        families = (one.probabilities[:2].sum(), one.probabilities[2:4].sum(), one.probabilities[4])
        if max(families) >= 0.8:
            assert found is None
        if found is not None:
            assert found.decision.probability >= TAXONOMY.threshold
