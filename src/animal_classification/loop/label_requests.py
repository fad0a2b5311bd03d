"""Which photos the loop asks people to label: half of them where the drift is, half by chance.

Photos with drift teach the next model what has changed; those by chance keep it from forgetting the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from animal_classification.prediction_log.label_requests import OpenPhoto, ask_for, asked_for, open_photos
from animal_classification.prediction_log.photo_sampling import fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animal_classification.loop.situation import HarmfulDrift
    from animal_classification.loop.workplace import Workplace

DRIFT, CHANCE = "drift", "chance"


def ask_people(work: Workplace, drift: HarmfulDrift, count: int) -> int:
    """Ask for labels on the review page; returns for how many photos people are still asked.

    Doing it again asks for the same photos until all of them have a word.

    Raises:
        LogDatabaseError: The database, or the place of the photos, cannot be used now.
    """
    waiting = asked_for(work.engine, work.config.model)[1]
    if waiting:
        return waiting
    found = open_photos(work.engine, work.config.served, str(work.production().version), drift.since)
    kept = work.photos.having(one.photo for one in found)
    chosen = choose([one for one in found if one.photo in kept], drift, count)
    ask_for(work.engine, work.config.model, chosen)
    return len(chosen)


def ask_no_more(work: Workplace) -> None:
    """Take back what was asked for: the labels are there, or the drift has gone."""
    if asked_for(work.engine, work.config.model)[0]:
        ask_for(work.engine, work.config.model, {})


def choose(photos: Sequence[OpenPhoto], drift: HarmfulDrift, count: int) -> dict[str, str]:
    """Photos to ask for, and why each of them: ``drift`` or ``chance``.

    Args:
        photos: That nobody has said anything of. Of bursts only the first frames count, where servers tell them.
        drift: What has changed. Where it is one source, its photos are taken; where it is what the photos show, those
            that the model knows least; else any.
        count: How many to choose; where one half is short, the other gives more.
    """
    scenes = [one for one in photos if one.scene] or list(photos)
    by_chance = sorted(scenes, key=lambda one: (not one.audited, fraction(one.photo, CHANCE)))
    drifted = [one for one in scenes if drift.source in one.sources] if drift.source else list(scenes)
    if drift.kind == "content":
        drifted.sort(key=lambda one: (one.known, one.photo))
    else:
        drifted.sort(key=lambda one: fraction(one.photo, DRIFT))
    chosen: dict[str, str] = {}
    for one in drifted[: count - count // 2]:
        chosen[one.photo] = DRIFT
    for part, ordered in ((CHANCE, by_chance), (DRIFT, drifted)):
        for one in ordered:
            if len(chosen) < count:
                chosen.setdefault(one.photo, part)
    return chosen
