"""Which columns of a table are taken, and what is said of it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from animal_classification.data.sources import Columns, SourceOptions, read_source
from animal_classification.data.sources.columns import choose_columns
from animal_classification.data.tabular import Table
from animal_classification.errors import UsageError
from tests.unit.data.drawing import draw


def table(text: str) -> Table:
    columns, *rows = [line.split(",") for line in text.strip().splitlines()]
    return Table("'t.csv'", columns, rows)


def labels(text: str, **columns: str) -> list[str]:
    found = table(text)
    chosen = choose_columns(found, Columns(**columns))
    return [chosen.label_of(row) for row in found.rows]


def groups(text: str, **columns: str) -> list[str | None]:
    found = table(text)
    chosen = choose_columns(found, Columns(**columns))
    return [chosen.group_of(row) for row in found.rows]


WILDLIFE_INSIGHTS = """
deployment_id,filename,location,class,order,family,genus,species,common_name
D1,a.jpg,gs://bucket/a.jpg,Mammalia,Carnivora,Ursidae,Ursus,americanus,American Black Bear
D1,b.jpg,gs://bucket/b.jpg,Mammalia,Lagomorpha,Leporidae,Lepus,americanus,Snowshoe Hare
D2,c.jpg,gs://bucket/c.jpg,Aves,,,,,Bird
"""
GBIF = """
file,kingdom,phylum,class,order,family,genus,species,scientificName
a.jpg,Animalia,Chordata,Mammalia,Carnivora,Felidae,Panthera,Panthera leo,Panthera leo (Linnaeus 1758)
b.jpg,Animalia,Chordata,Aves,Passeriformes,Corvidae,Pica,Pica pica,Pica pica L.
"""


def test_a_table_of_a_taxonomy_gives_the_species_and_not_the_class() -> None:
    assert labels(WILDLIFE_INSIGHTS) == ["Ursus americanus", "Lepus americanus", ""]
    assert labels(GBIF) == ["Panthera leo", "Pica pica"]
    assert labels(GBIF, label="class") == ["Mammalia", "Aves"]
    assert labels(WILDLIFE_INSIGHTS, label="common_name")[2] == "Bird"


def test_a_class_alone_is_the_label() -> None:
    assert labels("file,class,order\na.jpg,cat,1\nb.jpg,dog,2") == ["cat", "dog"]


def test_addresses_of_files_are_no_places() -> None:
    assert groups(WILDLIFE_INSIGHTS) == ["D1", "D1", "D2"]


@pytest.mark.parametrize("place", ["site", "Camera_ID", "locationID", "deploymentID", "station"])
def test_a_place_comes_before_a_sequence(place: str) -> None:
    found = table(f"seq_id,{place},file,label\ns1,north,a.jpg,cat\ns2,north,b.jpg,cat\ns3,south,c.jpg,dog")
    chosen = choose_columns(found, Columns())
    assert [chosen.group_of(row) for row in found.rows] == ["north", "north", "south"]
    assert f"group is '{place}' (also there: 'seq_id')" in chosen.note()


def test_a_folder_and_a_name_make_a_path() -> None:
    timelapse = table("File,RelativePath,Species\na.jpg,north/day,fox\nb.jpg,,owl")
    chosen = choose_columns(timelapse, Columns())
    assert [chosen.path_of(row) for row in timelapse.rows] == ["north/day/a.jpg", "b.jpg"]
    assert "path is 'File' in 'RelativePath'" in chosen.note()
    whole = table("file,relative_path,label\na.jpg,north/a.jpg,fox")
    assert choose_columns(whole, Columns()).path_of(whole.rows[0]) == "a.jpg"


def test_what_is_not_there_has_many_names() -> None:
    text = "file,species,individual\n" + "\n".join(
        f"{n}.jpg,cat,{word}" for n, word in enumerate(["NA", "N/A", "NaN", "null"])
    )
    assert groups(f"{text}\nx.jpg,cat,Leo") == [None, None, None, None, "Leo"]
    assert labels("file,label\na.jpg,NA\nb.jpg, nan \nc.jpg,Nandu") == ["", "", "Nandu"]
    assert labels("file,label\na.jpg,NA\nb.jpg,-", missing="-") == ["NA", ""]
    assert labels("file,label\na.jpg,NA", missing="none") == ["NA"]


def test_a_column_without_anything_in_it_is_not_taken() -> None:
    assert labels("file,label,species\na.jpg,,cat\nb.jpg,NA,dog") == ["cat", "dog"]
    assert groups("file,label,site,seq_id\na.jpg,cat,,s1\nb.jpg,cat,NA,s1") == ["s1", "s1"]


def test_a_set_that_is_no_split_is_left_alone_and_said() -> None:
    found = table("file,label,set\na.jpg,cat,night\nb.jpg,dog,day")
    chosen = choose_columns(found, Columns())
    assert chosen.split is None
    assert "no column for the split (not taken: 'set')" in chosen.note()


def test_splits_and_groups_can_be_refused() -> None:
    found = table("file,label,split,site\na.jpg,cat,holdout,north")
    chosen = choose_columns(found, Columns(split="none", group="none"))
    assert (chosen.split, chosen.group) == (None, None)
    with pytest.raises(UsageError, match="--split-column none"):
        choose_columns(found, Columns()).split_of(found.rows[0])


def test_all_columns_are_accounted_for() -> None:
    note = choose_columns(table("file,label,common_name,site,set,comment\na.jpg,cat,Cat,n,train,x"), Columns()).note()
    assert note == (
        "'t.csv': path is 'file', label is 'label' (also there: 'common_name'), group is 'site', split is 'set'; "
        "not read: 'comment'"
    )


def test_the_note_reaches_the_manifest(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    (tmp_path / "t.csv").write_text("file,species,seq_id,location\na.png,NA,s,n\n", encoding="utf-8")
    manifest = read_source(tmp_path / "t.csv", SourceOptions(cache=tmp_path / "cache"))
    assert any("label is" in note and "group is 'location' (also there: 'seq_id')" in note for note in manifest.notes)
    assert "1 of 1 rows have no label" in manifest.notes
    assert manifest.rows[0].problem == "has no label"


def test_a_real_export_of_wildlife_insights(tmp_path: Path, photos_dir: Path) -> None:
    export = photos_dir / "field" / "tables" / "wildlife_insights_cajambre" / "images.csv"
    if not export.is_file():
        pytest.skip("the field data are not there")
    with export.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    draw(tmp_path / rows[0]["filename"], 1)
    shutil.copyfile(export, tmp_path / "images.csv")
    manifest = read_source(tmp_path / "images.csv", SourceOptions(cache=tmp_path / "cache"))
    assert {"Homo sapiens", "Micrastur ruficollis"} <= {row.label for row in manifest}
    assert not {"Mammalia", "Aves"} & {row.label for row in manifest}
    assert {row.group for row in manifest} <= {row["deployment_id"] for row in rows}
    assert any("label is 'species' after 'genus'" in note for note in manifest.notes)
