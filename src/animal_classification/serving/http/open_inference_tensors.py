"""Requests and answers of the Open Inference Protocol v2, between bytes and photos."""

from __future__ import annotations

import json
import struct
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from animal_classification.serving.http.json_payloads import (
    MAX_FRAME,
    FrameTooLargeError,
    JsonPayloads,
    PayloadError,
    split,
)
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.http.schemas import PredictOptions
from animal_classification.serving.http.uploads import UploadedPhoto, file_too_large, readable_size

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.settings import Settings

OUTPUTS = {
    "label": "BYTES",
    "label_id": "BYTES",
    "probability": "FP32",
    "group": "BYTES",
    "unknown": "BOOL",
    "error": "BYTES",
    "prediction": "BYTES",  # the entry of /v1/predict, as JSON
}
EMPTY: dict[str, Any] = {"BYTES": "", "FP32": 0.0, "BOOL": False}
MAX_JSON = 32 * 1024 * 1024
MAX_TEXT = 256  # characters of what is no photo
MAX_SHAPE = 2**31
MANY = 64  # long strings beyond the photos that are taken, so that too many photos are told so
MAX_SIZE = 2**53  # no body has so many bytes
JSON_LENGTH = "inference-header-content-length"
# What InferRequest takes, for the API's description.
BODY: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string", "maxLength": 256},
        "parameters": PredictOptions.model_json_schema(),
        "inputs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype", "data"],
                "properties": {
                    "name": {"const": "photos"},
                    "shape": {
                        "type": "array",
                        "items": {"type": "integer", "minimum": 1},
                        "minItems": 1,
                        "maxItems": 2,
                        "description": "As many photos as there are in `data`.",
                    },
                    "datatype": {"const": "BYTES"},
                    "data": {"type": "array", "items": {"type": "string", "format": "byte"}, "minItems": 1},
                },
            },
        },
        "outputs": {
            "type": "array",
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"enum": list(OUTPUTS)}}},
        },
    },
}

malformed = partial(ProblemError, 400, kind="malformed-body")


class TensorParameters(BaseModel):
    """What belongs to an input."""

    binary_data_size: int | None = Field(default=None, ge=0, le=MAX_SIZE)


class Tensor(BaseModel):
    """The photos of a request."""

    name: Literal["photos"]
    shape: list[Annotated[int, Field(ge=0, le=MAX_SHAPE)]] = Field(min_length=1, max_length=2, examples=[[1]])
    datatype: Literal["BYTES"]
    parameters: TensorParameters = TensorParameters()
    data: list[str] = Field(default=[], examples=[["a photo in base64"]])

    @field_validator("data", mode="before")
    @classmethod
    def _flat(cls, data: object) -> object:
        if not isinstance(data, list):
            return data
        flat = [item for entry in data for item in (entry if isinstance(entry, list) else [entry])]
        for item in flat:
            if not isinstance(item, str):
                raise ValueError(f"a photo in base64 is wanted, not {type(item).__name__}")
        return flat


class WantedOutput(BaseModel):
    """An output that a request names."""

    name: str = Field(max_length=MAX_TEXT)


class InferOptions(BaseModel):
    """What a request asks for; what other servers know besides is passed over."""

    top_k: Any = None
    heatmap: Any = None


class InferRequest(BaseModel):
    """The body of ``infer``."""

    id: str | None = Field(default=None, max_length=MAX_TEXT)
    parameters: InferOptions = InferOptions()
    inputs: list[Tensor] = Field(min_length=1, max_length=1)
    outputs: list[WantedOutput] | None = Field(default=None, max_length=MAX_TEXT)


def parse(
    body: bytes | bytearray, json_length: str | None, settings: Settings
) -> tuple[InferRequest, list[UploadedPhoto]]:
    """Read a body. Nothing here holds the interpreter up for long, whatever the body is.

    Args:
        body: JSON, and after it what the binary extension sends.
        json_length: The header that says where the JSON ends, where there is one.
        settings: Bounds on photos.

    Raises:
        ProblemError: It is malformed, or over a bound.
    """
    end = _end_of_json(body, json_length)
    try:
        payloads = split(body, end, settings.max_files + MANY)
        asked = InferRequest.model_validate_json(payloads.frame)
    except PayloadError as error:
        raise malformed(f"the JSON is malformed: {error}") from None
    except FrameTooLargeError:
        raise malformed(
            f"the JSON has more than {readable_size(MAX_FRAME)} beside its photos, or too many of them"
        ) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        raise malformed(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    tensor = asked.inputs[0]
    if tensor.parameters.binary_data_size is None:
        _check_count(len(tensor.data), tensor.shape, settings)
        return asked, [_in_json(payloads, number, text, settings) for number, text in enumerate(tensor.data)]
    places = _elements(memoryview(body)[end:], tensor.parameters.binary_data_size, settings)
    _check_count(len(places), tensor.shape, settings)
    return asked, [_photo(number, place, settings.max_file_bytes) for number, place in enumerate(places)]


def _end_of_json(body: bytes | bytearray, json_length: str | None) -> int:
    if json_length is None:
        return len(body)
    digits = json_length.isascii() and json_length.isdecimal() and len(json_length) < 20
    if not digits or int(json_length) > min(len(body), MAX_JSON):
        raise malformed(f"{JSON_LENGTH} must be the length of the JSON, not {json_length[:20]!r}")
    return int(json_length)


def _check_count(count: int, shape: list[int], settings: Settings) -> None:
    expected = 1
    for length in shape:
        expected *= length
    if expected != count:
        raise malformed(f"inputs.0.shape says {expected} photos, and there are {count}")
    if not count:
        raise ProblemError(422, "no photo was sent", kind="no-files")
    if count > settings.max_files:
        raise _too_many(settings)


def _too_many(settings: Settings) -> ProblemError:
    detail = f"more than {settings.max_files} photos in one request; send them in several"
    return ProblemError(413, detail, kind="too-many-files")


def _photo(number: int, data: memoryview | bytes, bound: int) -> UploadedPhoto:
    if len(data) > bound:
        return UploadedPhoto(str(number), b"", file_too_large(bound))
    return UploadedPhoto(str(number), bytes(data))


def _in_json(payloads: JsonPayloads, number: int, text: str, settings: Settings) -> UploadedPhoto:
    if payloads.size(text) // 4 * 3 > settings.max_file_bytes + 2:  # not worth decoding
        return UploadedPhoto(str(number), b"", file_too_large(settings.max_file_bytes))
    try:
        return _photo(number, payloads.base64(text), settings.max_file_bytes)
    except PayloadError as error:
        raise malformed(f"inputs.0.data.{number}: {error}") from None


def _elements(data: memoryview, size: int, settings: Settings) -> list[memoryview]:
    """Elements of a ``BYTES`` tensor: for each its length, 4 bytes little-endian, and its bytes."""
    if size > len(data):
        raise malformed(f"binary_data_size says {size} bytes, and {len(data)} follow the JSON")
    elements: list[memoryview] = []
    at = 0
    while at < size:
        if len(elements) == settings.max_files:
            raise _too_many(settings)
        if at + 4 > size:
            raise malformed("the binary data end within a length")
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + length > size:
            raise malformed("the binary data end within a photo")
        elements.append(data[at : at + length])
        at += length
    return elements


def options_of(asked: InferRequest) -> PredictOptions:
    """What a request's parameters ask for; those of other servers are passed over.

    Raises:
        ProblemError: A value is refused.
    """
    try:
        return PredictOptions.model_validate(asked.parameters.model_dump(exclude_unset=True))
    except ValidationError as error:
        first = error.errors()[0]
        raise malformed(f"parameters.{first['loc'][0]}: {first['msg']}") from None


def render(asked: InferRequest, entries: list[dict[str, Any]], info: BundleInfo) -> bytes:
    """The answer, as JSON.

    Raises:
        ProblemError: An output is wanted that there is not.
    """
    wanted = list(OUTPUTS) if not asked.outputs else [output.name for output in asked.outputs]
    unknown = [name for name in wanted if name not in OUTPUTS]
    if unknown:
        raise malformed(f"there is no output {unknown[0][:80]!r}; there are: {', '.join(OUTPUTS)}")
    body = {
        "model_name": info.name,
        "model_version": info.version,
        "outputs": [_output(name, entries) for name in dict.fromkeys(wanted)],
    }
    if asked.id is not None:
        body["id"] = asked.id
    return json.dumps(body, separators=(",", ":")).encode("utf-8")


def _output(name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    kind = OUTPUTS[name]
    values = [json.dumps(entry) if name == "prediction" else entry[name] for entry in entries]
    data = [EMPTY[kind] if value is None else value for value in values]
    return {"name": name, "shape": [len(data)], "datatype": kind, "data": data}
