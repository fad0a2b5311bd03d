"""Which decoder earns its place: ``python benchmarks/bench_decoders.py FOLDER`` prints a table in Markdown.

Every decoder turns the JPEGs of a folder, already in memory, into 224 x 224 pixels. "Exact" is Pillow decoding and
resizing all of it, then cropping, as torchvision does; the others are compared with it in grey levels. The optional
ones (``pip install simplejpeg opencv-python-headless pyvips[binary]``) are left out where they are not installed.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification.imaging import PreprocessSpec, preprocess
from animal_classification.imaging.geometry import Box, crop_box

Pixels = NDArray[np.uint8]
Decoder = Callable[[bytes], Pixels]

SPEC = PreprocessSpec()
SQUARE = (SPEC.size, SPEC.size)


def exact(data: bytes) -> Pixels:
    image = opened(data)
    left, top, _, _ = crop_box(*image.size, SPEC)
    width, height = image.size
    scale = SPEC.resize_to / min(width, height)
    resized = image.resize((int(width * scale + 1e-9), int(height * scale + 1e-9)), Image.Resampling.BICUBIC)
    x, y = round(left * resized.width / width), round(top * resized.height / height)
    return np.asarray(resized.crop((x, y, x + SPEC.size, y + SPEC.size)))


def pillow_box(data: bytes) -> Pixels:
    image = opened(data)
    return boxed(image, crop_box(*image.size, SPEC))


def pillow_draft(times: int) -> Decoder:
    def decode(data: bytes) -> Pixels:
        image = Image.open(io.BytesIO(data))
        width, height = image.size
        image.draft("RGB", (times * SPEC.resize_to, times * SPEC.resize_to))
        return boxed(image.convert("RGB"), reduced_box((width, height), image.size))

    return decode


def imaging(data: bytes) -> Pixels:
    return preprocess(data, SPEC)


def simplejpeg_pillow() -> Decoder:
    decode_reduced = simplejpeg_reduced()

    def decode(data: bytes) -> Pixels:
        pixels, full_size = decode_reduced(data)
        image = Image.fromarray(pixels)
        return boxed(image, reduced_box(full_size, image.size))

    return decode


def simplejpeg_opencv() -> Decoder:
    decode_reduced = simplejpeg_reduced()
    cv2 = opencv()

    def decode(data: bytes) -> Pixels:
        pixels, full_size = decode_reduced(data)
        return area(cv2, pixels, reduced_box(full_size, (pixels.shape[1], pixels.shape[0])))

    return decode


def opencv_alone() -> Decoder:
    cv2 = opencv()

    def decode(data: bytes) -> Pixels:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        square = area(cv2, pixels, crop_box(pixels.shape[1], pixels.shape[0], SPEC))
        return np.asarray(cv2.cvtColor(square, cv2.COLOR_BGR2RGB), np.uint8)

    return decode


def vips() -> Decoder:
    os.environ["VIPS_CONCURRENCY"] = "1"
    pyvips = importlib.import_module("pyvips")
    pyvips.cache_set_max(0)

    def decode(data: bytes) -> Pixels:
        header = pyvips.Image.new_from_buffer(data, "")
        scale = SPEC.resize_to / min(header.width, header.height)
        width, height = round(header.width * scale), round(header.height * scale)
        image = pyvips.Image.thumbnail_buffer(data, width, height=height, size="force")
        image = image.crop((width - SPEC.size) // 2, (height - SPEC.size) // 2, *SQUARE)
        pixels = np.asarray(image.numpy(), np.uint8).reshape(*SQUARE, image.bands)
        return pixels.repeat(3, axis=2) if image.bands == 1 else pixels[:, :, :3]

    return decode


def simplejpeg_reduced() -> Callable[[bytes], tuple[Pixels, tuple[int, int]]]:
    simplejpeg = importlib.import_module("simplejpeg")
    side = 2 * SPEC.resize_to

    def decode(data: bytes) -> tuple[Pixels, tuple[int, int]]:
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
        return simplejpeg.decode_jpeg(data, "RGB", min_height=side, min_width=side, min_factor=1), (width, height)

    return decode


def opencv() -> Any:
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    return cv2


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def boxed(image: Image.Image, box: Box) -> Pixels:
    return np.asarray(image.resize(SQUARE, Image.Resampling.BICUBIC, box=box))


def area(cv2: Any, pixels: Pixels, box: Box) -> Pixels:
    left, top, right, bottom = (round(side) for side in box)
    return np.asarray(cv2.resize(pixels[top:bottom, left:right], SQUARE, interpolation=cv2.INTER_AREA), np.uint8)


def reduced_box(full_size: tuple[int, int], size: tuple[int, int]) -> Box:
    # JPEG decoders scale by eighths and round the size up: going by the rounded size would shift the crop.
    scale = round(8 * max(size) / max(full_size)) / 8
    left, top, right, bottom = (side * scale for side in crop_box(*full_size, SPEC))
    return left, top, min(right, size[0]), min(bottom, size[1])


DECODERS: dict[str, Callable[[], Decoder]] = {
    "Pillow, all of it (exact)": lambda: exact,
    "Pillow, resize of the crop only": lambda: pillow_box,
    "Pillow, reduced to >= 1x, then the crop": lambda: pillow_draft(1),
    "Pillow, reduced to >= 2x, then the crop": lambda: pillow_draft(2),
    "`imaging.preprocess` (the line above, checked)": lambda: imaging,
    "simplejpeg at >= 2x, Pillow resize": simplejpeg_pillow,
    "simplejpeg at >= 2x, OpenCV area resize": simplejpeg_opencv,
    "OpenCV alone, area resize": opencv_alone,
    "pyvips thumbnail": vips,
}


def rate(decode: Decoder, photos: Sequence[bytes], threads: int, repeats: int) -> float:
    """Images per second, the best of a few runs."""
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in pool.map(decode, photos):
                pass
            best = max(best, len(photos) / (time.perf_counter() - start))
    return best


def enlarged(data: bytes, side: int) -> bytes:
    """The same photo with a shorter side of that many pixels, as a camera would save it."""
    image = opened(data)
    scale = side / min(image.size)
    buffer = io.BytesIO()
    size = round(image.width * scale), round(image.height * scale)
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def row(name: str, decode: Decoder, photos: Sequence[bytes], options: argparse.Namespace) -> str:
    sample = photos[:100]
    differences = [float(np.abs(decode(photo).astype(int) - exact(photo)).mean()) for photo in sample]
    rates = [f"{rate(decode, photos, threads, options.repeats):.0f}" for threads in options.threads]
    cells = [name, *rates, f"{np.mean(differences):.2f}", f"{max(differences):.2f}"]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="searched for .jpg and .jpeg, not below")
    parser.add_argument("--limit", type=int, default=400, help="photos to use")
    parser.add_argument("--enlarge", type=int, metavar="PIXELS", help="shorter side to enlarge them to first")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.glob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    photos = [path.read_bytes() for path in paths[: options.limit]]
    if not photos:
        print(f"{options.folder}: no JPEG in it", file=sys.stderr)
        return 2
    if options.enlarge:
        photos = [enlarged(photo, options.enlarge) for photo in photos]
    sides = [min(opened(photo).size) for photo in photos]
    print(f"{len(photos)} photos, shorter side {np.median(sides):.0f} pixels in the median\n")
    titles = ["decoder", *(f"images/s, {n} thread{'s' * (n > 1)}" for n in options.threads)]
    titles += ["difference, mean", "difference, worst photo"]
    print(f"| {' | '.join(titles)} |\n|---|{'--:|' * (len(titles) - 1)}")
    missing = []
    for name, make in DECODERS.items():
        try:
            decode = make()
        except ImportError as error:
            missing.append(f"left out: {name} ({error})")
            continue
        print(row(name, decode, photos, options), flush=True)
    print("", *missing, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
