"""Tensors of a PyTorch checkpoint (the zip format, since PyTorch 1.6) as NumPy arrays, without PyTorch.

`data.pkl` names tensors and where their bytes lie. It is read with an unpickler that knows the five names below and
refuses any other: nothing from the file is ever imported or called.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {"FloatStorage": np.float32, "HalfStorage": np.float16, "LongStorage": np.int64, "IntStorage": np.int32}
Tensor = NDArray[Any]


@dataclass(frozen=True)
class Storage:
    """The bytes behind a tensor: the name of their type, and their entry in the archive."""

    type: str
    key: str


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint's dictionary; what is no tensor and no plain value becomes `None`.

    Raises:
        pickle.UnpicklingError: It names something that is not on the list.
    """
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].partition("/")[0]
        unpickler = _TensorUnpickler(io.BytesIO(archive.read(f"{root}/data.pkl")), archive, root)
        found: dict[str, Any] = unpickler.load()
    return found


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive, self._root = archive, root

    def persistent_load(self, pid: Any) -> Storage:
        _, type_, key, *_ = pid
        return Storage(type_, key)

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): _first,
            ("numpy.core.multiarray", "scalar"): _nothing,
            ("numpy", "dtype"): _nothing,
        }
        if module == "torch" and name in TYPES:
            return name
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"the checkpoint names {module}.{name}, which no tensor needs")
        return allowed[module, name]

    def _tensor(self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
        data = np.frombuffer(self._archive.read(f"{self._root}/data/{storage.key}"), dtype=TYPES[storage.type])
        strides = [step * data.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(data[offset:], shape=size, strides=strides).copy()


def _first(data: Tensor, *_: Any) -> Tensor:
    return data


def _nothing(*_: Any, **__: Any) -> Callable[..., None] | None:
    return None
