"""Requests and answers of the Open Inference Protocol v2, between bytes and photos."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from animal_classification.serving.problems import ProblemError
from animal_classification.serving.schemas import PredictOptions
from animal_classification.serving.uploads import Photo, file_too_large

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
# Parsing JSON holds up everything else: about three milliseconds a megabyte.
MAX_BODY = 32 * 1024 * 1024
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

    binary_data_size: int | None = Field(default=None, ge=0)


class Tensor(BaseModel):
    """The photos of a request."""

    name: Literal["photos"]
    shape: list[int] = Field(min_length=1, max_length=2, examples=[[1]])
    datatype: Literal["BYTES"]
    parameters: TensorParameters = TensorParameters()
    data: list[Any] = Field(default=[], examples=[["a photo in base64"]])


class WantedOutput(BaseModel):
    """An output that a request names."""

    name: str


class InferRequest(BaseModel):
    """The body of ``infer``."""

    id: str | None = Field(default=None, max_length=256)
    parameters: dict[str, Any] = {}
    inputs: list[Tensor] = Field(min_length=1, max_length=1)
    outputs: list[WantedOutput] | None = None


def parse(body: bytes, json_length: str | None, settings: Settings) -> tuple[InferRequest, list[Photo]]:
    """Read a body.

    Args:
        body: JSON, and after it what the binary extension sends.
        json_length: The header that says where the JSON ends, where there is one.
        settings: Bounds on photos.

    Raises:
        ProblemError: It is malformed, or over a bound.
    """
    split = len(body)
    if json_length is not None:
        if not (json_length.isascii() and json_length.isdecimal()) or int(json_length) > min(len(body), MAX_BODY):
            raise malformed(f"{JSON_LENGTH} must be the length of the JSON, not {json_length[:20]!r}")
        split = int(json_length)
    try:
        asked = InferRequest.model_validate_json(body[:split])
    except ValidationError as error:
        first = error.errors()[0]
        raise malformed(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    tensor = asked.inputs[0]
    size = tensor.parameters.binary_data_size
    data = _from_base64(tensor.data) if size is None else _from_binary(body[split : split + size], size)
    expected = 1
    for length in tensor.shape:
        expected *= length
    if expected != len(data):
        raise malformed(f"inputs.0.shape says {expected} photos, and there are {len(data)}")
    if not data:
        raise ProblemError(422, "no photo was sent", kind="no-files")
    if len(data) > settings.max_files:
        detail = f"more than {settings.max_files} photos in one request; send them in several"
        raise ProblemError(413, detail, kind="too-many-files")
    return asked, [_photo(number, item, settings.max_file_bytes) for number, item in enumerate(data)]


def _photo(number: int, data: bytes, bound: int) -> Photo:
    if len(data) > bound:
        return Photo(str(number), b"", file_too_large(bound))
    return Photo(str(number), data)


def _from_base64(data: list[Any]) -> list[bytes]:
    flat = [item for entry in data for item in (entry if isinstance(entry, list) else [entry])]
    photos = []
    for number, item in enumerate(flat):
        if not isinstance(item, str):
            raise malformed(f"inputs.0.data.{number}: a photo in base64 is wanted, not {type(item).__name__}")
        try:
            photos.append(base64.b64decode(item, validate=True))
        except (binascii.Error, ValueError):
            raise malformed(f"inputs.0.data.{number}: is not base64") from None
    return photos


def _from_binary(data: bytes, size: int) -> list[bytes]:
    """Elements of a ``BYTES`` tensor: for each its length, 4 bytes little-endian, and its bytes."""
    if len(data) != size:
        raise malformed(f"binary_data_size says {size} bytes, and {len(data)} follow the JSON")
    photos, at = [], 0
    while at < size:
        if at + 4 > size:
            raise malformed("the binary data end within a length")
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + length > size:
            raise malformed("the binary data end within a photo")
        photos.append(data[at : at + length])
        at += length
    return photos


def options_of(asked: InferRequest) -> PredictOptions:
    """What a request's parameters ask for; those of other servers are passed over.

    Raises:
        ProblemError: A value is refused.
    """
    given = {key: value for key, value in asked.parameters.items() if key in PredictOptions.model_fields}
    try:
        return PredictOptions.model_validate(given)
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
