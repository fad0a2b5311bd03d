"""Sample photos for tests that want real ones: `make sample-photos`.

Nothing is downloaded: the photos come from packages that `.venv-dev` holds for other reasons (Gradio, scikit-learn) and
from the page's own examples. The folder is laid out like the whole test data, with a fraction of its photos. Its file
`SAMPLES.md` tells the tests so: those that can do with the samples run, the others are skipped with a reason.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = "animal_classification"
VIEWS = 40
MARK = "SAMPLES.md"


@dataclass(frozen=True)
class Photo:
    """One photo of a package.

    Attributes:
        package: Which package holds it.
        name: The file's name, anywhere in the package.
        target: Where it goes, in the layout of the test data.
        terms: Licence and origin.
    """

    package: str
    name: str
    target: str
    terms: str


_GRADIO = "part of Gradio, Apache-2.0"
PHOTOS = (
    Photo("gradio", "lion.jpg", "imagenet_animals/n02129165_lion.JPEG", _GRADIO),
    Photo("gradio", "cheetah.jpg", "imagenet_animals/n02130308_cheetah.JPEG", _GRADIO),
    Photo(EXAMPLES, "cat.jpg", "imagenet_animals/n02123045_tabby.JPEG", "Stefan van der Walt, CC0 1.0"),
    Photo(EXAMPLES, "coffee.jpg", "non_animals/n07930864_cup.JPEG", "Rachel Michetti, CC0 1.0"),
    Photo("sklearn", "china.jpg", "non_animals/n03781244_monastery.JPEG", "danielbuechele, CC BY 2.0"),
    Photo("gradio", "tower.jpg", "non_animals/n03837869_obelisk.JPEG", _GRADIO),
)
# Each photo of an animal becomes many views of it, which is enough to train on and says nothing about accuracy.
CLASSES = {
    "cat": (Photo(EXAMPLES, "cat.jpg", "", "Stefan van der Walt, CC0 1.0"),),
    "cheetah": (Photo("gradio", "cheetah.jpg", "", _GRADIO), Photo("gradio", "cheetah1.jpg", "", _GRADIO)),
    "lion": (Photo("gradio", "lion.jpg", "", _GRADIO),),
    "raccoon": (Photo(EXAMPLES, "raccoon.jpg", "", "public-domain-image.com, public domain"),),
}


def find(photo: Photo) -> Path | None:
    """The file in its package; ``None`` where the package, or the file in it, is missing."""
    spec = importlib.util.find_spec(photo.package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    return next((path for path in sorted(folder.rglob(photo.name)) if path.is_file()), None)


def view(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """A part of a picture, perhaps mirrored, lighter or darker."""
    width, height = picture.size
    scale = random.uniform(0.6, 1.0)
    size = (round(width * scale), round(height * scale))
    left, top = (round(random.uniform(0, full - part)) for full, part in zip(picture.size, size, strict=True))
    part = picture.crop((left, top, left + size[0], top + size[1]))
    part = ImageOps.mirror(part) if random.random() < 0.5 else part
    return ImageEnhance.Brightness(part).enhance(random.uniform(0.8, 1.2))


def make(output: Path, views: int = VIEWS) -> list[str]:
    """Fill a new folder; returns what is missing, a line each."""
    missing, credits = [], []
    for photo in PHOTOS:
        if source := find(photo):
            target = output / photo.target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            credits.append(f"- `{photo.target}`: {photo.name}, {photo.terms}")
        else:
            missing.append(f"{photo.name} of {photo.package}")
    for number, (name, photos) in enumerate(CLASSES.items()):
        random = np.random.default_rng(number)
        sources = [source for photo in photos if (source := find(photo))]
        folder = output / "animals22" / name
        folder.mkdir(parents=True)
        for index in range(views if sources else 0):
            with Image.open(sources[index % len(sources)]) as picture:
                view(picture.convert("RGB"), random).save(folder / f"{name}-{index:02}.jpg", quality=90)
        credits += [f"- `animals22/{name}`: views of {photo.name}, {photo.terms}" for photo in photos]
    text = "# Sample photos\n\nMade by `make sample-photos`; for tests on your own machine, not for publishing.\n\n"
    (output / MARK).write_text(text + "\n".join(credits) + "\n", encoding="utf-8")
    return missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "sample-photos")
    output = parser.parse_args().output
    if output.exists() and not (output / MARK).is_file():
        print(f"{output} is there and holds no sample photos: give another --output", file=sys.stderr)
        return 1
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    for line in make(output):
        print(f"missing: {line}", file=sys.stderr)
    count = sum(path.suffix.lower() in {".jpg", ".jpeg"} for path in output.rglob("*"))
    print(f"{count} photos in {output}; to use them: export ANIMALS_TEST_DATA={output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
