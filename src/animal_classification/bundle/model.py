"""A bundle that was verified, as an object."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.bundle.schema import MODEL_FILE, BundleInfo
from animal_classification.errors import BundleError, BundleInvalidError

if TYPE_CHECKING:
    import numpy as np

    from animal_classification.imaging import PreprocessSpec

    Array = np.ndarray[Any, np.dtype[Any]]

REFERENCE_FILE = "reference.npz"
CARD_FILE = "README.md"
CONFUSION_FILE = "confusion.json"


@dataclass(frozen=True)
class Bundle:
    """A trained model on disk; made by :func:`load` and :func:`write`, which verify it first.

    Attributes:
        info: The content of ``bundle.json``.
        path: The local directory; for a remote bundle, its place in the cache.
        sha256: Hash of ``bundle.json``, which holds the hashes of all the other files: the bundle's identity.
    """

    info: BundleInfo = field(compare=False, repr=False)
    path: Path
    sha256: str

    @property
    def model_path(self) -> Path:
        """The ONNX graph."""
        return self.path / MODEL_FILE

    def content(self, name: str) -> bytes:
        """The content of a file that ``bundle.json`` lists, checked again: it may have changed since it was verified.

        Raises:
            BundleError: It has, or it is gone.
        """
        from animal_classification.bundle.verify import check_hash

        try:
            data = (self.path / name).read_bytes()
        except OSError as error:
            raise BundleError(f"{self.path}/{name}: cannot be read any more ({error.strerror})") from error
        check_hash(hashlib.sha256(data).hexdigest(), self.info.files[name], name, str(self.path))
        return data

    @property
    def preprocess_spec(self) -> PreprocessSpec:
        """What ``imaging`` must do to a photo for this model."""
        from animal_classification.imaging import PreprocessSpec

        return PreprocessSpec(**self.info.preprocess.model_dump())

    def reference(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]] | None:
        """The arrays that describe the training data, or None where the bundle has none.

        Raises:
            BundleError: The file has changed since, or is gone.
            BundleInvalidError: It is no archive, or holds pickled objects, which are never loaded.
        """
        import numpy as np

        # A file that is not listed has no hash: anybody may have put it there.
        if REFERENCE_FILE not in self.info.files:
            return None
        data = self.content(REFERENCE_FILE)
        try:
            with np.load(BytesIO(data), allow_pickle=False) as arrays:
                return dict(arrays)
        except (ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
            raise BundleInvalidError(
                f"{self.path}/{REFERENCE_FILE}: not an .npz file of plain arrays ({error}); export it again"
            ) from error

    def card(self) -> str:
        """The model card in Markdown with its front matter; empty where the bundle has none.

        Raises:
            BundleError: The file has changed since, or is gone.
        """
        if CARD_FILE not in self.info.files:
            return ""
        return self.content(CARD_FILE).decode("utf-8", "replace").replace("\r\n", "\n")

    def head(self) -> tuple[Array, Array]:
        """The linear layer that makes ``logits`` from ``embedding``, for class-activation maps.

        Read from the graph at each call (about 20 ms for 10 MB): keep the result.

        Returns:
            ``weight [C, D]`` and ``bias [C]``, both float32.

        Raises:
            BundleError: The graph has changed since, or is gone.
            BundleInvalidError: The model's last layer is not linear.
        """
        from animal_classification.bundle.graph import parse_graph
        from animal_classification.bundle.linear_head import linear_head

        where = str(self.path)
        return linear_head(parse_graph(self.content(MODEL_FILE), where), where)
