"""What is too much, or no form at all, is refused while it arrives, as a problem."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import pytest
from fastapi.testclient import TestClient

from animal_classification.serving.http.uploads import MAX_FIELDS, Form, read_form, readable_size
from animal_classification.settings import MIB, Settings
from tests.unit.serving.conftest import RED, assert_problem, encoded, send

FORM = {"content-type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
MakeClient = Callable[..., TestClient]


def test_too_many_files(client_with: MakeClient) -> None:
    photo = encoded(RED)
    client = client_with(max_files=3)
    assert send(client, *[("a.jpg", photo)] * 3).status_code == 200
    assert "3 photos" in assert_problem(send(client, *[("a.jpg", photo)] * 4), 413, "too-many-files")["detail"]


def test_a_file_that_is_too_large_fails_alone(client_with: MakeClient) -> None:
    photo = encoded(RED)
    client = client_with(max_file_bytes=len(photo))
    entries = send(client, ("big.jpg", photo + b"\0"), ("a.jpg", photo)).json()["predictions"]
    assert [entry["label"] for entry in entries] == [None, "cat"]
    assert "larger than" in entries[0]["error"]


def test_a_request_that_says_it_is_too_large_is_refused_unread(client_with: MakeClient) -> None:
    client = client_with(max_request_bytes=1000)
    response = client.post("/v1/predict", content=b"", headers={**FORM, "content-length": "1001"})
    assert_problem(response, 413, "request-too-large")


def read(chunks: Iterable[bytes], **settings: int) -> Form:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return asyncio.run(read_form(FORM["content-type"], body(), Settings(**settings)))  # type: ignore[arg-type]


def test_what_is_too_large_is_dropped_as_it_comes() -> None:
    def large() -> Iterator[bytes]:
        yield PART
        for _ in range(1280):
            yield b"\0" * 50_000
        yield b"\r\n--x--\r\n"

    tracemalloc.start()
    (photo,) = read(large(), max_file_bytes=MIB).photos
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (photo.data, photo.error) == (b"", "is larger than 1 MB; send a smaller one")
    assert peak < 4 * MIB


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "malformed-body"),
        (b"--x--\r\n", 422, "no-files"),
        (b"nonsense", 400, "malformed-body"),
        (PART + b"cut off", 400, "malformed-body"),
        (b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n--x--\r\n', 422, "no-files"),
        (b'--x\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n3\r\n--x--\r\n', 422, "no-files"),
        (
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n1\r\n--x--\r\n',
            422,
            "unexpected-field",
        ),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", 422, "no-files"),
        (b"--x\r\n\r\n1\r\n--x--\r\n", 422, "no-files"),
        (
            b'--x\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n' + b"1" * 300 + b"\r\n--x--\r\n",
            413,
            "field-too-long",
        ),
    ],
)
def test_bodies_that_hold_no_photo(client: TestClient, body: bytes, status: int, kind: str) -> None:
    assert_problem(client.post("/v1/predict", content=body, headers=FORM), status, kind)


def test_too_many_fields(client: TestClient) -> None:
    field = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    body = field * (MAX_FIELDS + 1) + b"--x--\r\n"
    assert_problem(client.post("/v1/predict", content=body, headers=FORM), 413, "too-many-fields")


@pytest.mark.parametrize(
    "kind", ["", "application/json", "text/image/jpeg", "multipart/form-data", "multipart/mixed; boundary=x"]
)
def test_only_multipart_and_photos_are_taken(client: TestClient, kind: str) -> None:
    response = client.post("/v1/predict", content=encoded(RED), headers={"content-type": kind})
    assert "'files'" in assert_problem(response, 415, "not-multipart")["detail"]


def test_a_photo_without_a_file_name_is_taken(client: TestClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n' + encoded(RED) + b"\r\n--x--\r\n"
    (entry,) = client.post("/v1/predict", content=body, headers=FORM).json()["predictions"]
    assert (entry["file"], entry["label"]) == ("", "cat")


def test_bytes_that_look_like_a_boundary_stay_in_the_photo(client: TestClient) -> None:
    photo = encoded(RED) + b"\r\n--y\r\n--"
    (entry,) = send(client, ("a.jpg", photo)).json()["predictions"]
    assert entry["label"] == "cat"


def test_sizes_in_words() -> None:
    assert [readable_size(count) for count in (7, 2048, 32 * MIB, 3 << 30)] == ["7 bytes", "2 kB", "32 MB", "3 GB"]


def test_parts_of_no_use_are_counted_too(client_with: MakeClient) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n'
    client = client_with(max_files=2)
    many = client.post("/v1/predict", content=part * 20_000 + b"--x--\r\n", headers=FORM)
    assert_problem(many, 413, "too-many-files")
    few = part * 5 + b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n' + encoded(RED) + b"\r\n--x--\r\n"
    assert len(client.post("/v1/predict", content=few, headers=FORM).json()["predictions"]) == 1


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: form-data; name="files"; filename="' + b"a" * 100_000 + b'"\r\n',
        b"X-Odd: 1\r\n" * 1000,
        b"X-" + b"o" * 100_000 + b": 1\r\n",
    ],
    ids=["value", "number", "name"],
)
def test_the_head_of_a_part_is_bounded(client: TestClient, head: bytes) -> None:
    body = b"--x\r\n" + head + b"\r\n" + encoded(RED) + b"\r\n--x--\r\n"
    assert_problem(client.post("/v1/predict", content=body, headers=FORM), 400, "malformed-body")


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate, gzip", "br"])
@pytest.mark.parametrize("path", ["/v1/predict", "/v2/models/tiny/infer"])
def test_a_body_is_never_unpacked(client: TestClient, coding: str, path: str) -> None:
    bomb = gzip.compress(bytes(30_000_000))
    refused = client.post(path, content=bomb, headers={**FORM, "content-encoding": coding})
    assert refused.status_code == 415
    assert refused.headers["accept-encoding"] == "identity"
    assert "Content-Encoding" in refused.text
