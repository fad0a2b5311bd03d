"""What other programs found in photos: MegaDetector, SpeciesNet, animl, AddaxAI, Camtrap DP, COCO and others.

``read_recognitions`` recognises a file by its structure. Each dialect is a module that turns what it reads into
``RecognizedFile`` entries; ``Recognitions`` then finds the entry of a photo by its path.
"""

from animal_classification.data.recognitions.entry import RecognizedFile
from animal_classification.data.recognitions.matching import Match
from animal_classification.data.recognitions.reader import read_recognitions
from animal_classification.data.recognitions.recognitions import Recognitions

__all__ = ["Match", "Recognitions", "RecognizedFile", "read_recognitions"]
