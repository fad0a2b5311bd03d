"""Where labels stand in the tree of life: lineages, roll-up to a taxon, species lists, geofences.

May import ``data``, ``bundle`` and what is below them.
"""

from __future__ import annotations

from animal_classification.taxonomy.allowed import AllowedLabels
from animal_classification.taxonomy.decision import AnswerLevel, Decision, Rule
from animal_classification.taxonomy.lineage import Lineage
from animal_classification.taxonomy.taxa import Taxon
from animal_classification.taxonomy.taxonomy import Taxonomy

__all__ = ["AllowedLabels", "AnswerLevel", "Decision", "Lineage", "Rule", "Taxon", "Taxonomy"]
