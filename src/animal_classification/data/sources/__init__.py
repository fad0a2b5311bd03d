"""One way in for every kind of labelled photos: ``read_source``. A kind is a small module that gives a ``Listing``."""

from animal_classification.data.sources.listing import Columns, SourceOptions
from animal_classification.data.sources.reader import KINDS, read_source

__all__ = ["KINDS", "Columns", "SourceOptions", "read_source"]
