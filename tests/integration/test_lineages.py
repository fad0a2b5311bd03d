"""The tree of life of the built-in model: its table, the check of it, and what a real trail photo is answered with."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from animal_classification import Classifier, bundle
from animal_classification.errors import UsageError
from animal_classification.taxonomy import Decision, Taxonomy
from animal_classification.taxonomy.known_animals import lookup
from animal_classification.taxonomy.species_list import read_species_list

TOOLS = Path(__file__).parents[2] / "tools" / "photos_model"
CASE = "field_cases/12-only-animal-and-nobody-says-why"
WORDNET = Path("/usr/share/wordnet")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load("photos")


@pytest.fixture(scope="module")
def taxonomy(classifier: Classifier) -> Taxonomy:
    return Taxonomy.of(classifier.info)


def check(lineages: Path) -> subprocess.CompletedProcess[str]:
    words = [str(TOOLS / "check_lineages.py"), "--lineages", str(lineages)]
    words += ["--wordnet", str(WORDNET)] if WORDNET.is_dir() else []
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_the_table_passes_its_check() -> None:
    done = check(TOOLS / "lineages.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert "class of 395, order of 386, family of 357, genus of 287: passed" in done.stdout


@pytest.mark.parametrize(
    ("row", "wrong", "said"),
    [
        ("n02129165", "Mammalia,Carnivora,Canidae,Panthera", "genus Panthera stands in several"),
        ("n02129165", "Mammalia,Carnivora,Felidae,Felis", "Panthera leo should end at Panthera, not Felis"),
        ("n02129165", "Mammalia,,Felidae,Panthera", "a rank above Panthera is empty"),
        ("n01806567", "Aves,Galliformes,Phasianidae,", "Galliformes should end at Galliformes, not Phasianidae"),
    ],
)
def test_an_error_in_the_table_is_found(tmp_path: Path, row: str, wrong: str, said: str) -> None:
    lines = (TOOLS / "lineages.csv").read_text(encoding="utf-8").splitlines()
    changed = tmp_path / "lineages.csv"
    changed.write_text("\n".join(f"{row},{wrong}" if line.startswith(row) else line for line in lines), "utf-8")
    done = check(changed)
    assert done.returncode == 1
    assert said in done.stderr


def test_the_bundle_has_the_table() -> None:
    with (TOOLS / "lineages.csv").open(encoding="utf-8", newline="") as file:
        table = {row["wordnet_id"]: tuple(row.values())[1:] for row in csv.DictReader(file)}
    assert {label.id: label.ranks for label in bundle.load("photos").info.labels} == table


def test_every_label_is_a_known_animal() -> None:
    for label in bundle.load("photos").info.labels:
        known = lookup(label.name)
        assert known is not None, label.name
        assert known.lineage == label.lineage, label.name


def decide(classifier: Classifier, taxonomy: Taxonomy, photo: Path) -> Decision:
    top = classifier.predict(str(photo), top_k=len(taxonomy.labels)).top
    shares = {candidate.label_id: candidate.probability for candidate in top}
    return taxonomy.decide(np.array([shares[label.id] for label in taxonomy.labels]))


def test_a_coyote_is_a_canid_and_somebody_says_why(
    classifier: Classifier, taxonomy: Taxonomy, photos_dir: Path
) -> None:
    said = decide(classifier, taxonomy, photos_dir / CASE / "2021-07-24_SYFR0655_coyote.JPG")
    assert (said.answer, said.level, said.decision) == ("Canidae", "family", "rollup_family")
    assert said.why == "grey fox 0.41 < 0.65; fox 0.54 < 0.65; Canidae 0.996"
    assert taxonomy.labels[said.top].name == "grey fox"  # the raw answer stays


def test_a_line_that_the_model_does_not_know_is_said_with_the_nearest(taxonomy: Taxonomy, photos_dir: Path) -> None:
    path = photos_dir / CASE / "species_list.txt"
    with pytest.raises(UsageError, match=r"line 4: bobcat is not one of the model's names; nearest: lynx"):
        read_species_list(path, taxonomy)
    allowed = read_species_list(path, taxonomy, lenient=True).allowed.mask
    assert {label.name for label, ok in zip(taxonomy.labels, allowed.tolist(), strict=True) if ok} == {
        "coyote",
        "grey fox",
        "cougar",
    }
