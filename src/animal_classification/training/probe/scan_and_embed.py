"""One decoding for two purposes: the scan of a data set hands its pixels to the backbone, which embeds them."""

# Imported where they are used: only the recipe ``probe`` needs a backbone.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from animal_classification.training.dataset import cache_folder

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.data.embedding_cache import Embedder


@contextmanager
def open_embedder(config: Config) -> Iterator[Embedder | None]:
    """What embeds photos while they are scanned; ``None`` where the recipe needs no embeddings.

    Raises:
        BundleError: The backbone cannot be used.
    """
    if config.recipe.name != "probe":
        yield None
        return
    from animal_classification.data.embedding_cache import Embedder
    from animal_classification.training.probe.backbone import BundleBackbone

    backbone = BundleBackbone.of(config)
    embedder = Embedder(backbone.infer, backbone.spec, model=backbone.key, cache=cache_folder(config.data))
    with closing(embedder):
        yield embedder
