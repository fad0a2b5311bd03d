"""A canary whose share of the requests is a tag in the registry, so that it changes without a restart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.serving.models.loader import LoadedModel, ModelLoader
    from animal_classification.serving.models.model_spec import ModelSource


class TaggedCanary:
    """Follows an alias and its share together.

    Args:
        loader: Loads models.
        source: An alias of the registry.

    Attributes:
        share: Of the requests, as of the last load.
    """

    def __init__(self, loader: ModelLoader, source: ModelSource) -> None:
        self._loader = loader
        self._source = source
        self.share = 0.0

    def fingerprint(self) -> str | None:
        """Of the version and its share.

        Raises:
            AnimalsError: The model is gone, or the registry cannot be reached.
        """
        version = self._loader.fingerprint(self._source)
        return f"{version} at {self._loader.canary_share(self._source):g}"

    def load(self, before: LoadedModel | None) -> LoadedModel:
        """What the alias stands for now; where only the share is another, what is loaded already.

        Raises:
            AnimalsError: It cannot be reached, or fails a check.
        """
        share = self._loader.canary_share(self._source)
        version = self._loader.fingerprint(self._source)
        mark = f"{version} at {share:g}"
        same = before is not None and before.fingerprint.partition(" at ")[0] == version
        loaded = before if before is not None and same else self._loader.load(self._source, before=before)
        self.share = share
        return replace(loaded, fingerprint=mark)
