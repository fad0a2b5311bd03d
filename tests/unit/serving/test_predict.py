"""``POST /v1/predict`` as the contract has it."""

from __future__ import annotations

import base64
import uuid
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from animal_classification.bundle.schema import Preprocess
from animal_classification.data.detections import Detection
from animal_classification.imaging import PreprocessSpec
from animal_classification.imaging.geometry import crop_box
from animal_classification.imaging.photo import Photo
from animal_classification.inference import Classifier
from animal_classification.inference.results import FileResult
from animal_classification.serving.batching.inference_jobs import PhotoOutcome
from animal_classification.serving.http.schemas import PredictResponse, as_entry
from tests.unit.serving.conftest import BLUE, GREEN, RED, YELLOW, assert_problem, encoded, send

CONTRACT = [
    "id", "file", "label", "label_id", "probability", "group", "group_probability", "unknown", "set", "top", "model",
    "version", "error",
]  # fmt: skip


def test_one_photo(client: TestClient) -> None:
    response = send(client, ("red.jpg", encoded(RED)))
    assert response.status_code == 200
    (entry,) = response.json()["predictions"]
    assert [key for key in entry if key in CONTRACT] == CONTRACT
    assert entry.keys() - set(CONTRACT) == {"answer"}
    assert uuid.UUID(entry["id"])
    assert entry["file"] == "red.jpg"
    assert (entry["label"], entry["label_id"]) == ("cat", "cat-id")
    assert entry["probability"] > 0.99
    assert (entry["group"], entry["unknown"], entry["error"]) == ("feline", False, None)
    assert (entry["model"], entry["version"]) == ("tiny", "1")
    assert entry["top"][0] == {"label": "cat", "label_id": "cat-id", "probability": entry["probability"]}
    assert entry["answer"] == {"name": "cat", "level": "label", "probability": entry["probability"]}


def test_words_on_request(client: TestClient) -> None:
    files = [("red.jpg", encoded(RED)), ("chair.jpg", encoded(YELLOW)), ("notes.jpg", b"only text")]
    entries = send(client, *files, words="true").json()["predictions"]
    cat, chair, notes = (entry.get("words") for entry in entries)
    assert cat == {"headline": "Cat", "sentence": "I am sure: >99%.", "lineage": ["feline", "small cat"], "taxon": None}
    assert chair["headline"] == "No animal found"
    assert chair["sentence"] == "At least none that I know. The photo looks like a chair."
    assert notes is None
    PredictResponse.model_validate({"predictions": entries})
    assert "words" not in send(client, files[0]).json()["predictions"][0]


def test_many_photos_are_answered_in_order(client: TestClient) -> None:
    colours = [RED, GREEN, BLUE] * 7
    files = [(f"{index}.png", encoded(colour, form="PNG")) for index, colour in enumerate(colours)]
    entries = send(client, *files).json()["predictions"]
    assert [entry["file"] for entry in entries] == [name for name, _ in files]
    assert [entry["label"] for entry in entries] == ["cat", "dog", "lion"] * 7
    assert len({entry["id"] for entry in entries}) == len(files)


def test_a_bad_file_fails_alone(client: TestClient) -> None:
    photo = encoded(RED)
    files = [("a.jpg", photo), ("notes.jpg", b"only text"), ("cut.jpg", photo[: len(photo) // 2]), ("b.jpg", photo)]
    entries = send(client, *files, ("empty.jpg", b"")).json()["predictions"]
    assert [entry["label"] for entry in entries] == ["cat", None, None, "cat", None]
    for entry in (entries[1], entries[2], entries[4]):
        assert entry["error"]
        assert "\n" not in entry["error"]
        assert (entry["top"], entry["set"], entry["answer"], entry["unknown"]) == ([], [], None, None)
        assert (entry["model"], entry["version"]) == ("tiny", "1")
    PredictResponse.model_validate({"predictions": entries})


def test_what_is_no_animal_is_unknown(client: TestClient) -> None:
    (entry,) = send(client, ("chair.jpg", encoded(YELLOW))).json()["predictions"]
    assert entry["unknown"] is True
    assert entry["answer"]["level"] == "unknown"
    assert entry["answer"]["name"] == "not an animal"


def test_an_unsure_answer_is_given_by_group(client: TestClient) -> None:
    between_cat_and_lion = (200, 0, 200)
    (entry,) = send(client, ("both.png", encoded(between_cat_and_lion, form="PNG"))).json()["predictions"]
    assert entry["answer"]["name"] == "feline"
    assert entry["answer"]["level"] == "group"
    assert entry["label"] in {"cat", "lion"}


@pytest.mark.parametrize("where", ["query", "form"])
def test_top_k(client: TestClient, where: str) -> None:
    query = "?top_k=2" if where == "query" else ""
    fields = {"top_k": "2"} if where == "form" else {}
    response = client.post(f"/v1/predict{query}", files={"files": ("a.jpg", encoded(RED))}, data=fields)
    assert len(response.json()["predictions"][0]["top"]) == 2


def test_a_form_field_wins_over_the_query(client: TestClient) -> None:
    response = client.post("/v1/predict?top_k=3", files={"files": ("a.jpg", encoded(RED))}, data={"top_k": "1"})
    assert len(response.json()["predictions"][0]["top"]) == 1


@pytest.mark.parametrize("value", ["0", "-1", "1001", "many", ""])
@pytest.mark.parametrize("where", ["query", "form"])
def test_a_wrong_top_k_is_refused(client: TestClient, where: str, value: str) -> None:
    query = f"?top_k={value}" if where == "query" else ""
    fields = {"top_k": value} if where == "form" else {}
    response = client.post(f"/v1/predict{query}", files={"files": ("a.jpg", encoded(RED))}, data=fields)
    body = assert_problem(response, 422, "invalid-values")
    assert "top_k" in body["detail"]
    assert body["errors"][0]["where"].endswith("top_k")


def test_unknown_options_are_refused(client: TestClient) -> None:
    assert_problem(client.post("/v1/predict?topk=3", files={"files": ("a.jpg", encoded(RED))}), 422, "invalid-values")
    assert_problem(send(client, ("a.jpg", encoded(RED)), topk="3"), 422, "invalid-values")


@pytest.mark.parametrize(("width", "height"), [(640, 480), (300, 900)])
def test_which_part_of_a_photo_a_heatmap_covers(classifier: Classifier, width: int, height: int) -> None:
    wanted = Preprocess(size=200, crop_pct=0.8, interpolation="bicubic")
    outcome = PhotoOutcome(FileResult("a.jpg", error="none"), np.zeros((200, 200, 3), np.uint8))
    entry = as_entry(outcome, classifier.info.model_copy(update={"preprocess": wanted}))
    left, top, right, bottom = crop_box(width, height, PreprocessSpec(size=200, crop_pct=0.8))
    side = entry["heatmap_side"] * min(width, height)
    assert (right - left, bottom - top) == (pytest.approx(side, abs=1), pytest.approx(side, abs=1))
    assert (left, top) == (pytest.approx((width - side) / 2, abs=2), pytest.approx((height - side) / 2, abs=2))


def test_heatmap_on_request(client: TestClient) -> None:
    (entry,) = send(client, ("a.jpg", encoded(RED, size=200)), heatmap="true").json()["predictions"]
    prefix, data = entry["heatmap"].split(",", 1)
    assert prefix == "data:image/png;base64"
    assert Image.open(BytesIO(base64.b64decode(data))).size == (32, 32)
    assert entry["heatmap_side"] == 1.0
    assert list(entry)[-3:] == ["model", "version", "error"]
    assert "heatmap" not in send(client, ("a.jpg", encoded(RED))).json()["predictions"][0]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd.jpg", "passwd.jpg"),
        ("C:\\fakepath\\löwe.jpg", "löwe.jpg"),
        ("/abs/Тигр 1.jpg", "Тигр 1.jpg"),
        ("x" * 400, "x" * 255),
    ],
)
def test_file_names_are_shown_without_folders(client: TestClient, sent: str, shown: str) -> None:
    (entry,) = send(client, (sent, encoded(RED))).json()["predictions"]
    assert entry["file"] == shown


def test_control_characters_are_taken_out_of_names(client: TestClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a\x1b[31m\tb.jpg"\r\n\r\n'
    body += encoded(RED) + b"\r\n--x--\r\n"
    response = client.post("/v1/predict", content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert response.json()["predictions"][0]["file"] == "a[31mb.jpg"


class OneAnimal:
    """A detector that finds one animal, in the lower right quarter, and a weak one elsewhere."""

    least_side = 32
    info = SimpleNamespace(threshold=SimpleNamespace(typical=0.2))

    def find(self, photo: Photo) -> tuple[Detection, ...]:
        weak = Detection(category="animal", confidence=0.1, x=0.0, y=0.0, width=0.2, height=0.2)
        person = Detection(category="person", confidence=0.5, x=0.0, y=0.0, width=0.2, height=0.2)
        return weak, person, Detection(category="animal", confidence=0.9, x=0.5, y=0.5, width=0.5, height=0.5)


def a_dog_in_a_corner() -> bytes:
    picture = Image.new("RGB", (200, 200), YELLOW)
    picture.paste(GREEN, (100, 100, 200, 200))
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_boxes_on_request(client: TestClient) -> None:
    photo = ("a.png", a_dog_in_a_corner())
    service = client.app.state.service  # type: ignore[attr-defined]
    before = send(client, photo).json()["predictions"][0]
    assert_problem(send(client, photo, detections="true"), 404, "no-detector")
    service.detector = OneAnimal()
    try:
        (entry,) = send(client, photo, detections="true").json()["predictions"]
        (broken,) = send(client, ("b.png", b"no photo"), detections="true").json()["predictions"]
        plain = send(client, photo).json()["predictions"][0]
    finally:
        service.detector = None

    PredictResponse.model_validate({"predictions": [entry, broken]})
    animal, person = entry["detections"]
    assert [animal[side] for side in ("x", "y", "width", "height")] == [0.5, 0.5, 0.5, 0.5]
    assert (animal["category"], animal["confidence"], animal["label"]) == ("animal", 0.9, entry["label"])
    assert (person["category"], person["label"], person["answer"]) == ("person", None, None)
    assert entry["probability"] > before["probability"], "the animal by itself is named, not the photo around it"
    assert broken["error"]
    assert "detections" not in broken
    assert "detections" not in plain
    assert plain["probability"] == before["probability"]
