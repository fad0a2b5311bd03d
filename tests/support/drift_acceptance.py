"""How often the judge finds drift that is there, and drift that is not, over worlds in which it is known."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from animal_classification.monitoring.drift.sample import PhotoSample
from animal_classification.monitoring.drift.verdict import Verdict
from tests.support.drift_world import CLEAN, EmbeddedFiles, World

WHOLE = ("dark", "bright", "fog", "lens", "blur", "jpeg10")
PARTS = ("night", "strong-blur", "very-far")
ESTIMATED = 350


@dataclass
class Tally:
    """What was found.

    Attributes:
        counts: By (what the windows were, what was found); ``n`` is how many windows.
        estimates: By what the windows were: (true accuracy, middle of the estimates, low, high).
        seconds: Processor time of all judging.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    estimates: list[tuple[str, float, float, float, float]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        self.counts.update(other.counts)
        self.estimates += other.estimates
        self.seconds += other.seconds

    def share(self, what: str, found: str) -> float:
        return self.counts[what, found] / max(1, self.counts[what, "n"])

    def interval(self, what: str, found: str) -> tuple[float, float]:
        """95% by Wilson, as if windows were independent."""
        n, p = self.counts[what, "n"], self.share(what, found)
        centre = (p + 1.92 / n) / (1 + 3.84 / n)
        half = 1.96 * np.sqrt(p * (1 - p) / n + 0.96 / n**2) / (1 + 3.84 / n)
        return float(centre - half), float(centre + half)

    def errors(self, low: float, high: float, *, strangers: bool = False) -> NDArray[np.float64]:
        """Estimate less truth, of windows whose true accuracy is in [low, high)."""
        chosen = [e for e in self.estimates if low <= e[1] < high and ("content" in e[0]) == strangers]
        return np.array([estimate - true for _, true, estimate, _, _ in chosen])

    def covered(self, *, strangers: bool = False) -> tuple[float, int]:
        chosen = [e for e in self.estimates if ("content" in e[0]) == strangers]
        return float(np.mean([low <= true <= high for _, true, _, low, high in chosen])), len(chosen)

    def width(self, what: str) -> float:
        """Mean width of the range, of windows whose name begins so."""
        return float(np.mean([high - low for name, _, _, low, high in self.estimates if name.startswith(what)]))

    def lines(self) -> Iterator[str]:
        for what in sorted({one for one, _ in self.counts}):
            found = {name: self.share(what, name) for one, name in sorted(self.counts) if one == what and name != "n"}
            low, high = self.interval(what, "any")
            alarms = f"any {found.pop('any', 0.0):.4f} [{low:.4f}, {high:.4f}]"
            rest = " ".join(f"{name} {share:.3f}" for name, share in found.items())
            yield f"{what:18} n {self.counts[what, 'n']:5} {alarms} {rest}"
        for low, high in ((0.8, 1.01), (0.0, 0.8)):
            errors = self.errors(low, high)
            if len(errors):
                missed = f"MAE {np.abs(errors).mean():.4f} bias {errors.mean():+.4f} n {len(errors)}"
                yield f"estimate {low}-{high}: {missed}"
        yield f"covered {self.covered()}; with strangers {self.covered(strangers=True)}"
        for what in sorted({name.split()[0] for name, *_ in self.estimates}):
            yield f"width of {what}: {self.width(what):.3f}"
        judged = sum(count for (_, found), count in self.counts.items() if found == "n")
        yield f"processor time of a judged window: {1000 * self.seconds / max(1, judged):.0f} ms"


class Trial:
    """Judges windows of one world."""

    def __init__(self, world: World, things: EmbeddedFiles, seed: int) -> None:
        self.world, self.generator, self.tally = world, np.random.default_rng(seed), Tally()
        self._things = world.sample(things)
        self._new = world.sample(world.new)

    def clean(self, windows: int, size: int) -> None:
        before: frozenset[str] = frozenset()
        for number in range(windows):
            chosen = self.world.clean(self.generator, size)
            verdict = self.judge(f"clean{size}", [self.part(CLEAN, chosen)], f"{size}-{number}", size, before)
            before = verdict.fired

    def bursts(self, windows: int, scenes: int = 100, frames: int = 5) -> None:
        """Frames of a burst: the same photo, a little otherwise."""
        for number in range(windows):
            scene = self.part(CLEAN, np.repeat(self.world.clean(self.generator, scenes), frames))
            noise = self.generator.standard_normal(scene.embedding.shape).astype(np.float32)
            shaken = PhotoSample(
                embedding=scene.embedding + noise * (0.08 / np.sqrt(noise.shape[1])),
                stats=scene.stats,
                pred=scene.pred,
                probability=np.clip(scene.probability + 0.02 * self.generator.standard_normal(len(scene)), 0, 1),
                known=scene.known,
            )
            self.judge("bursts", [shaken], f"b{number}", 200)

    def mix(self, windows: int) -> None:
        for number in range(windows):
            chosen = self.world.dirichlet(self.generator, 200)
            self.judge("mix", [self.part(CLEAN, chosen)], f"m{number}", 200)

    def power(self, windows: int) -> None:
        for number in range(windows):
            for change in WHOLE:
                chosen = self.world.clean(self.generator, 200)
                self.judge(change, [self.part(change, chosen)], f"{number}", 200)
            for change in PARTS:
                chosen = self.world.clean(self.generator, 200)
                parts = [self.part(change, chosen[:40]), self.part(CLEAN, chosen[40:])]
                self.judge(f"{change}@20", parts, f"{number}", 200)
            self._strangers("content-new@30", self._new, 60, number)
            self._strangers("content-new@10", self._new, 20, number)
            self._strangers("content-things@10", self._things, 20, number)

    def new_animals(self, windows: int) -> None:
        """A tenth of the photos shows animals that the model does not know."""
        for number in range(windows):
            self._strangers("content-new@10", self._new, 20, number)

    def _strangers(self, name: str, sample: PhotoSample, count: int, number: int) -> None:
        chosen = self.world.clean(self.generator, 200 - count)
        strange = sample.take(self.generator.choice(len(sample), count, replace=False))
        verdict = self.judge(name, [self.part(CLEAN, chosen), strange], f"{number}", 200)
        self._note(name, verdict, self.world.right[CLEAN][chosen].sum() / 200)

    def estimates(self, windows: int) -> None:
        """Every change, on all photos and on some."""
        for change in self.world.pool.changes:
            for number in range(windows):
                chosen = self.world.clean(self.generator, ESTIMATED)
                part = int(self.generator.integers(ESTIMATED // 5, ESTIMATED // 2))
                count = part if number % 2 and change != CLEAN else ESTIMATED
                parts = [self.part(change, chosen[:count])]
                if count < ESTIMATED:
                    parts.append(self.part(CLEAN, chosen[count:]))
                window = self.world.window(parts, f"e{number}{change}")
                self.estimated(self.world.judge.judge(window, size=ESTIMATED), change, chosen, count)

    def estimated(self, verdict: Verdict, change: str, chosen: NDArray[np.int64], count: int) -> None:
        right = [self.world.right[change][chosen[:count]], self.world.right[CLEAN][chosen[count:]]]
        self._note(f"{change} {count}", verdict, float(np.concatenate(right).mean()))

    def judge(
        self, what: str, parts: list[PhotoSample], name: str, size: int, before: frozenset[str] = frozenset()
    ) -> Verdict:
        window = self.world.window(parts, f"{what}-{name}")
        begun = time.process_time()
        verdict = self.world.judge.judge(window, size=size, fired_before=before)
        self.tally.seconds += time.process_time() - begun
        self.tally.counts.update(
            [(what, "n"), *((what, test) for test in verdict.fired), (what, f"kind={verdict.kind}")]
            + [(what, "any")] * bool(verdict.fired)
            + [(what, "confirmed")] * verdict.confirmed
        )
        return verdict

    def part(self, change: str, chosen: NDArray[np.int64]) -> PhotoSample:
        return self.world.samples[change].take(chosen)

    def _note(self, what: str, verdict: Verdict, true: float) -> None:
        assert verdict.accuracy is not None
        middle = float(np.median(list(verdict.accuracy.points.values())))
        self.tally.estimates.append((what, true, middle, verdict.accuracy.low, verdict.accuracy.high))
