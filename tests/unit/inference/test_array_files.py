"""Arrays that a bundle brings along: a bundle may come from anybody."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest

from animal_classification.common.zip_damage import DAMAGED
from animal_classification.errors import BundleInvalidError
from animal_classification.inference.reference import load_arrays, pack
from animal_classification.monitoring.drift.reference import DriftReference


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def head(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": kind, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def test_what_is_packed_comes_back() -> None:
    (values,) = load_arrays(pack({"a": np.arange(5)})).values()
    assert values.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "data",
    [
        packed(a=head((1 << 27,)) + bytes(1 << 30)),  # a megabyte of the file
        packed(a=head((1 << 40,)) + b"x"),
        packed(a=head((-5,))),
        packed(a=b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 60_000),
        packed(a=head((1,), "|O") + pickle.dumps(print)),
        packed(a=b"no array"),
        b"PK\x03\x04" + bytes(30),
        np.lib.format.MAGIC_PREFIX + b"\x01\x00",
        pickle.dumps({"a": 1}),
        b"",
    ],
    ids=["bomb", "claim", "negative", "parser", "pickle", "text", "torn", "bare", "bare pickle", "empty"],
)
def test_what_is_no_file_of_arrays_is_refused(data: bytes) -> None:
    with pytest.raises(BundleInvalidError, match="not a reference for drift") as caught:
        DriftReference.unpack(data, "training", "zoo/monitor.npz")
    assert "\n" not in str(caught.value)
    try:
        found = load_arrays(data)
    except (*DAMAGED, KeyError, AttributeError, TypeError):
        return
    assert not any(isinstance(value, np.ndarray) for value in found.values())
