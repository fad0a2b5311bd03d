"""Labels go out to labelling tools and come back: fifty tasks each way, in the forms that the tools write."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from animal_classification.data.exchange.reader import read_labels
from animal_classification.data.exchange.writer import TOOLS, export_for
from animal_classification.data.manifest import Manifest
from animal_classification.data.sources.reader import read_source
from animal_classification.errors import UsageError
from tests.unit.data.drawing import draw_classes


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_source(draw_classes(tmp_path_factory.mktemp("photos"), {"cat": 20, "dog": 20, "snow & <leopard>": 10}))


def labels_of(manifest: Manifest) -> dict[str | None, str]:
    return {row.sha256: row.label for row in manifest}


def corrected(manifest: Manifest) -> dict[str | None, str]:
    """What people say: every fifth label is another."""
    names = manifest.classes
    return {
        row.sha256: names[(names.index(row.label) + (index % 5 == 0)) % len(names)]
        for index, row in enumerate(manifest)
    }


def label_studio_json(folder: Path, said: dict[str | None, str]) -> Path:
    """As Label Studio 1.23 exports it: predictions as bare ids, fields of its own everywhere."""
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    done = [
        {
            "id": 100 + number,
            "annotations": [
                {
                    "id": number,
                    "completed_by": 7,
                    "result": [
                        {
                            "id": "aB3",
                            "type": "choices",
                            "value": {"choices": [said[task["data"]["sha256"]]]},
                            "origin": "manual",
                            "to_name": "image",
                            "from_name": "animal",
                        }
                    ],
                    "was_cancelled": False,
                    "ground_truth": False,
                    "updated_at": "2026-11-30T01:02:03.456789Z",
                    "lead_time": 2.1,
                }
            ],
            "file_upload": "tasks.json",
            "drafts": [],
            "predictions": [number],
            "data": task["data"],
            "meta": {},
            "inner_id": number,
            "project": 3,
        }
        for number, task in enumerate(tasks)
    ]
    target = folder / "project-3.json"
    target.write_text(json.dumps(done), encoding="utf-8")
    return target


def label_studio_min(folder: Path, said: dict[str | None, str]) -> Path:
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    done = [
        {
            **task["data"],
            "id": number,
            "animal": said[task["data"]["sha256"]],
            "annotator": 7,
            "annotation_id": number,
            "created_at": "2026-11-30T01:02:03.456789Z",
            "updated_at": "2026-11-30T01:02:03.456789Z",
            "lead_time": 1.9,
        }
        for number, task in enumerate(tasks)
    ]
    target = folder / "project-3-min.json"
    target.write_text(json.dumps(done), encoding="utf-8")
    return target


def fiftyone_folder(folder: Path, said: dict[str | None, str]) -> Path:
    content = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    content["labels"] = {name: content["classes"].index(said[name]) for name in content["labels"]}
    (folder / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def cvat_zip(folder: Path, said: dict[str | None, str]) -> Path:
    """ImageNet 1.0, as CVAT writes it: the label is the folder, and stands before the name."""
    target = folder / "job_12-imagenet 1.0.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted((folder / "photos").iterdir()):
            label = said[file.stem]
            archive.write(file, f"{label}/{label}_{file.name}")
    return target


def cvat_xml(folder: Path, said: dict[str | None, str]) -> Path:
    text = (folder / "annotations.xml").read_text(encoding="utf-8")
    from xml.etree import ElementTree

    root = ElementTree.fromstring(text)
    for image in root.iter("image"):
        tag = image.find("tag")
        assert tag is not None
        tag.set("label", said[str(image.get("name")).partition(".")[0]])
    target = folder / "annotations.xml"
    target.write_bytes(ElementTree.tostring(root))
    return target


def table(folder: Path, said: dict[str | None, str]) -> Path:
    target = folder / "labels.csv"
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("sha256", "label", "who", "time"))
        writer.writerows((name, label, "ann", "2026-11-30T01:02:03+00:00") for name, label in said.items())
    return target


def metadata(folder: Path, said: dict[str | None, str]) -> Path:
    rows = list(csv.DictReader((folder / "metadata.csv").read_text(encoding="utf-8").splitlines()))
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"label": said[row["sha256"]]} for row in rows)
    return folder


@pytest.mark.parametrize(
    ("tool", "label"),
    [
        ("labelstudio", label_studio_json),
        ("labelstudio", label_studio_min),
        ("fiftyone", fiftyone_folder),
        ("cvat", cvat_zip),
        ("cvat", cvat_xml),
        ("imagefolder", metadata),
        ("imagefolder", table),
    ],
)
def test_fifty_tasks_go_out_and_come_back(
    photos: Manifest, tmp_path: Path, tool: str, label: Callable[[Path, dict[str | None, str]], Path]
) -> None:
    assert export_for(tool, photos, tmp_path / "out") == 50
    said = corrected(photos)
    back = read_labels(label(tmp_path / "out", said))
    assert {one.sha256: one.label for one in back} == said
    assert sum(said[row.sha256] != row.label for row in photos) == 10
    assert all(one.file is not None and one.file.is_file() for one in back)


@pytest.mark.parametrize("tool", TOOLS)
def test_what_goes_out_reads_as_it_is(photos: Manifest, tmp_path: Path, tool: str) -> None:
    """Before anybody has labelled anything: tasks without annotations are no labels, data sets are."""
    export_for(tool, photos, tmp_path / "out")
    if tool == "labelstudio":
        with pytest.raises(UsageError, match="holds no label"):
            read_labels(tmp_path / "out")
    else:
        assert {one.sha256: one.label for one in read_labels(tmp_path / "out")} == labels_of(photos)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.json", "{", "is no JSON"),
        ("b.json", "3", "neither an export"),
        ("c.xml", "<annotations><image", "is no XML"),
        ("d.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "declares entities"),
        ("e.zip", "no zip", "is no zip file"),
        ("f.csv", "a,b\n1,2\n", "needs a column"),
        ("g.txt", "", "of no kind"),
        ("h.json", '{"classes": ["cat"], "labels": {"' + "ab" * 32 + '": 7}}', "none of its classes"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path, name: str, content: str, why: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=why) as caught:
        read_labels(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_on_the_command_line(photos: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "export", str(photos.root), str(tmp_path / "out"), "--to", "fiftyone", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 50
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err
