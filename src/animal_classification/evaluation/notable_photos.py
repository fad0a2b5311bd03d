"""Photos worth a look: the worst mistakes, the least sure answers, the most typical of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.result import NotablePhotos, PhotoRow
from animal_classification.inference.ood import unit_length

SHOWN = 12
TYPICAL = 4


def find_examples(
    rows: Sequence[PhotoRow], positions: NDArray[np.integer], embedding: NDArray[np.floating]
) -> NotablePhotos:
    """Choose them.

    Args:
        rows: All photos.
        positions: Which of them have an embedding.
        embedding: Theirs, ``[len(positions), D]``.
    """
    vectors = dict(zip(positions.tolist(), unit_length(embedding), strict=True))
    known = [index for index, row in enumerate(rows) if row.correct is not None]
    wrong = [index for index in known if not rows[index].correct]
    others = [index for index, row in enumerate(rows) if row.answer is not None and not row.known]
    return NotablePhotos(
        confident_mistakes=sorted(wrong, key=lambda i: (-(rows[i].probability or 0), i))[:SHOWN],
        uncertain=sorted(known, key=lambda i: (rows[i].probability or 0, i))[:SHOWN],
        typical=_typical(rows, [index for index in known if rows[index].correct], vectors),
        unknown_accepted=_by_score(rows, [index for index in others if not rows[index].unknown], -1),
        known_refused=_by_score(rows, [index for index in known if rows[index].unknown], 1),
    )


def _by_score(rows: Sequence[PhotoRow], chosen: Sequence[int], sign: int) -> list[int]:
    return sorted(chosen, key=lambda i: (sign * (rows[i].known_score or 0), i))[:SHOWN]


def _typical(
    rows: Sequence[PhotoRow], right: Sequence[int], vectors: dict[int, NDArray[np.float32]]
) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for index in right:
        members.setdefault(rows[index].truth, []).append(index)
    found = {}
    for name, own in sorted(members.items()):
        here = np.stack([vectors[index] for index in own])
        likeness = here @ here.mean(axis=0)
        found[name] = [own[place] for place in np.argsort(-likeness, kind="stable")[:TYPICAL]]
    return found
