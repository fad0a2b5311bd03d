"""The steps of a cycle while people use the candidate: shadow, canary, promotion, and the days after it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from animal_classification.loop.canary import canary_trouble, share_lasted
from animal_classification.loop.evidence import Disagreements, judge, superiority
from animal_classification.loop.labels import plain
from animal_classification.loop.rollback_triggers import trouble_after
from animal_classification.loop.steps import CANARY, SHADOW, Move, Wait, begin_canary
from animal_classification.prediction_log.corrections import NO_ANIMAL
from animal_classification.prediction_log.shadow_rows import compared, disagreements
from animal_classification.prediction_log.words import standing_words
from animal_classification.registry.model_version import CANDIDATE, ModelReference
from animal_classification.registry.promotion import promote, rollback

if TYPE_CHECKING:
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.workplace import Workplace
    from animal_classification.prediction_log.words import Word


def watch_shadow(work: Workplace, cycle: Cycle) -> Move | Wait:
    """Go by what people say where the two models differ."""
    config, version = work.config.shadow, str(cycle.value("registry_version"))
    found = shadow_evidence(work, version)
    end = judge(found, evidence=config.evidence, most=config.most)
    facts = {
        "new_right": found.new,
        "old_right": found.old,
        "neither": found.neither,
        "e_value": min(1e12, superiority(found.new, found.decided)),
        "shadow": end,
    }
    if end == "better":
        drop_alias(work, SHADOW)
        return begin_canary(work, cycle, facts)
    if end in ("worse", "equal"):
        drop_aliases(work)
        reasons = {
            "worse": "people found the model in production right more often where the two differ",
            "equal": "no difference between the two after as many answers as were wanted",
        }
        return Move("closed", {**facts, "reason": reasons[end], "end": "rejected" if end == "worse" else "equal"})
    count = compared(work.engine, work.config.served, version)[0]
    return Wait(
        f"{found.waiting} disagreements wait for people on the review page (queue=disagree), {found.decided} are "
        f"decided, {found.new} of them for the candidate (evidence {superiority(found.new, found.decided):.1f} of "
        f"{config.evidence:g}); {count} photos compared",
        "people",
    )


def shadow_evidence(work: Workplace, version: str) -> Disagreements:
    """What people said of the photos on which a candidate and the model in production differ."""
    words: dict[str, list[Word]] = {}
    for word in standing_words(work.engine):
        if word.label is not None:
            words.setdefault(word.photo, []).append(word)
    new = old = neither = waiting = 0
    for one in disagreements(work.engine, work.config.served, version):
        said = {plain(word.label or "") for word in words.get(one.photo, ())}
        if len(said) != 1:  # nobody said anything yet, or people do not agree
            waiting += 1
            continue
        (truth,) = said
        given, shadow = (_says(one.given, truth), _says(one.shadow, truth))
        new, old, neither = new + (shadow and not given), old + (given and not shadow), neither + (shadow == given)
    return Disagreements(new, old, neither, waiting)


def _says(label_id: str | None, truth: str) -> bool:
    return truth == plain(NO_ANIMAL) if label_id is None else plain(label_id) == truth


def watch_canary(work: Workplace, cycle: Cycle) -> Move | Wait:
    """Give the candidate more requests while it does well; none where it does not."""
    now = cycle.decision("canary")
    if now["done"]:
        return promote_candidate(work, cycle)
    registry, since = work.registry, _since(cycle)
    version = registry.find(ModelReference(work.config.model, version=int(now["version"])))
    trouble = canary_trouble(work, cycle, since)
    if trouble:
        registry.set_share(version, 0.0)
        drop_aliases(work)
        return Move("closed", {"reason": f"the canary was stopped: {trouble}", "end": "rejected"})
    missing = share_lasted(work, str(now["version"]), since)
    if missing:
        return Wait(f"the canary answers {now['share']:.0%} of requests: {missing}", "time")
    shares = work.config.canary.shares
    larger = [share for share in shares if share > now["share"]]
    if not larger:
        return Move("canary", {**now, "done": True})
    registry.set_share(version, larger[0])
    return Move("canary", {**now, "share": larger[0]})


def _since(cycle: Cycle) -> Any:
    """When the present share began."""
    share = cycle.decision("canary")["share"]
    return next(row.time for row in cycle.rows if row.state == "canary" and row.decision["share"] == share)


def promote_candidate(work: Workplace, cycle: Cycle) -> Move | Wait:
    """Into production, where a person says so or the configuration does."""
    version = int(cycle.value("registry_version"))
    name = work.config.model
    if not (work.agreed or work.config.auto == "promote"):
        return Wait(
            f"{name}/{version} has passed everything; to put it into production: animals loop run --yes", "people"
        )
    before = cycle.decision("gated")["production"]
    change = promote(f"{name}/{version}", uri=work.config.registry)
    drop_aliases(work)
    return Move("promoted", {"version": change.now.version, "before": before, "auto": not work.agreed})


def watch_promoted(work: Workplace, cycle: Cycle) -> Move | Wait:
    """Take the candidate back where something goes wrong; end the watch after its days."""
    began = next(row.time for row in reversed(cycle.rows) if row.state == "promoted")
    trouble = trouble_after(work, cycle, began)
    name = work.config.model
    if trouble and not work.config.watch.rollback:
        return Wait(f"{trouble}; to put the version before back: animals loop rollback", "people")
    if trouble:
        return take_back(work, cycle, trouble)
    left = timedelta(days=work.config.watch.days) - (work.clock() - began)
    if left > timedelta(0):
        version = cycle.decision("promoted")["version"]
        return Wait(f"{name}/{version} is in production and watched for {_for(left)} more", "time")
    return Move("watched", {"days": work.config.watch.days})


def take_back(work: Workplace, cycle: Cycle, why: str) -> Move:
    """Put the version that was in production before back; a version that is there already stays."""
    promoted = cycle.decision("promoted")
    if work.production().version == promoted["version"]:
        rollback(work.config.model, uri=work.config.registry)
    now = work.production().version
    return Move("closed", {"reason": f"rolled back to {work.config.model}/{now}: {why}", "end": "rolled back"})


def drop_aliases(work: Workplace) -> None:
    """Let no server use the candidate any more."""
    for alias in (SHADOW, CANARY, CANDIDATE):
        drop_alias(work, alias)


def drop_alias(work: Workplace, alias: str) -> None:
    """Take an alias away, where it is there."""
    version = work.registry.with_alias(work.config.model, alias)
    if version is not None:
        work.registry.drop_alias(version, alias)


def _for(left: timedelta) -> str:
    return f"{left.days} days" if left.days else f"{left.seconds / 3600:.1f} hours"
