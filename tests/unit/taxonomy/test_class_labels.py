"""Classes of people's own models find their place by name."""

from __future__ import annotations

import pytest

from animal_classification.taxonomy.class_labels import labels_of


@pytest.mark.parametrize(
    ("name", "taxon", "lineage"),
    [
        ("lion", "Panthera leo", "Mammalia > Carnivora > Felidae > Panthera"),
        ("Mountain lion", "Puma concolor", "Mammalia > Carnivora > Felidae > Puma"),
        ("white_tailed_deer", "Odocoileus virginianus", "Mammalia > Artiodactyla > Cervidae > Odocoileus"),
        ("Odocoileus virginianus", "Odocoileus virginianus", "Mammalia > Artiodactyla > Cervidae > Odocoileus"),
        ("raccoons", "Procyon lotor", "Mammalia > Carnivora > Procyonidae > Procyon"),
        ("dog", "Canis lupus familiaris", "Mammalia > Carnivora > Canidae > Canis"),
        ("deer", "Cervidae", "Mammalia > Artiodactyla > Cervidae"),
        ("Felidae", "Felidae", "Mammalia > Carnivora > Felidae"),
        ("clownfish", "Amphiprioninae", "Actinopterygii > - > Pomacentridae"),
    ],
)
def test_a_name_is_found(name: str, taxon: str, lineage: str) -> None:
    label = labels_of([name])[0]
    assert (label.id, label.name, label.taxon, label.lineage) == (name, name, taxon, lineage)


@pytest.mark.parametrize("name", ["my pet", "class 3", "blank", "panther"])  # WordNet's panthers are of several species
def test_another_is_left_alone(name: str) -> None:
    label = labels_of([name])[0]
    assert (label.id, label.taxon, label.lineage) == (name, None, None)
    assert "lineage" not in label.model_dump(mode="json")  # a version that does not know the key can read the bundle
