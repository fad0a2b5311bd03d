"""The example photos: those that Gradio ships, so that none is added to this package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Example:
    """A photo to try.

    Attributes:
        key: What the browser sends to ask for it.
        title: What the button says.
        file: Path below Gradio's package.
    """

    key: str
    title: str
    file: str

    def path(self, gradio: Path) -> Path:
        """Where the photo lies."""
        return gradio / self.file


ALL = "all"
_CANDIDATES = (
    Example("lion", "A lion", "media_assets/images/lion.jpg"),
    Example("portrait", "A portrait", "media_assets/images/cheetah1.jpg"),
    Example("run", "On the run", "media_assets/images/cheetah.jpg"),
    Example("tower", "No animal at all", "media_assets/images/tower.jpg"),
)


def available(gradio: Path) -> tuple[Example, ...]:
    """The examples that this version of Gradio ships.

    Args:
        gradio: Folder of the installed package.
    """
    return tuple(example for example in _CANDIDATES if example.path(gradio).is_file())


def chosen(key: str, examples: tuple[Example, ...]) -> tuple[Example, ...]:
    """The examples that a browser asks for: one by its key, or all."""
    return tuple(example for example in examples if key in {example.key, ALL})
