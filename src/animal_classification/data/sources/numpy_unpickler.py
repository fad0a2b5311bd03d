"""Pickled NumPy arrays, read by an unpickler that knows nothing else: any other could be made to run anything."""

from __future__ import annotations

import gzip
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from animal_classification.errors import AnimalsError

MAX_BYTES = 1 << 28
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # its name before NumPy 2
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_pickled_array(file: Path) -> np.ndarray[Any, Any]:
    """Read one array of numbers from a gzipped pickle.

    Raises:
        AnimalsError: It is anything else, or larger than 256 MiB.
    """
    try:
        with gzip.open(file) as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise AnimalsError(f"{str(file)!r} unpacks to more than {MAX_BYTES:,} bytes; it was not read")
        array = _ArrayUnpickler(io.BytesIO(data)).load()
    except AnimalsError:
        raise
    except Exception as error:  # a hostile or damaged pickle can raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AnimalsError(f"{str(file)!r} is not a pickled array of numbers ({reason}); it was not read") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise AnimalsError(f"{str(file)!r} is not a pickled array of numbers; it was not read")
    return array
