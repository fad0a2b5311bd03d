"""From a file, bytes, a PIL image or an array to uint8 pixels ``[H, W, 3]``: the only code between a photo and a model.

May import ``errors`` and ``common`` only.
"""

from animal_classification.imaging.decoding import ImageSource, crops, decode, preprocess, thumbnail
from animal_classification.imaging.extensions import PHOTO_SUFFIXES, is_photo_name
from animal_classification.imaging.memory_budget import DecodingMemory
from animal_classification.imaging.spec import DecodeBound, Limits, PreprocessSpec

__all__ = [
    "PHOTO_SUFFIXES",
    "DecodeBound",
    "DecodingMemory",
    "ImageSource",
    "Limits",
    "PreprocessSpec",
    "crops",
    "decode",
    "is_photo_name",
    "preprocess",
    "thumbnail",
]
