"""What the monitor says of a window: one object, the same for the terminal, for scripts, for the log and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from animal_classification.monitoring.drift.reference import ReferenceKind

Kind = Literal["none", "image", "content", "look", "mix"]
KINDS: tuple[Kind, ...] = ("image", "content", "look", "mix")
# A drop of accuracy that is worth waking somebody for.
HARM = 0.03
_FULL_SCORE_DROP = 0.20
_CONTENT_EXCESS, _MIX_VARIATION = 0.05, 0.30


@dataclass(frozen=True, kw_only=True)
class DriftTests:
    """The four tests; what each measures is in its own unit.

    Attributes:
        look_p: Maximum mean discrepancy of the embeddings, within predicted classes.
        look_effect: Its square, less the mean under chance.
        image_p: Kolmogorov-Smirnov over the twelve numbers; 1 where no photo has them.
        image_largest: The number whose mean moved most, in standard deviations of the reference.
        image_shift: By how many.
        content_p: Rank test of the known scores' lower tail: more strange photos, and stranger ones.
        content_share: Share of the window's photos whose known score is below the reference's 5% quantile.
        content_reference: The same share in the reference.
        mix_p: Chi-squared of the predicted labels.
        mix_effect: Total variation of their shares, in [0, 1].
        mix_changes: Labels whose share changed most, with both shares: (label, reference, window).
    """

    look_p: float
    look_effect: float
    image_p: float
    image_largest: str
    image_shift: float
    content_p: float
    content_share: float
    content_reference: float
    mix_p: float
    mix_effect: float
    mix_changes: tuple[tuple[str, float, float], ...] = ()

    @property
    def p(self) -> dict[str, float]:
        """P of each test, by the kind that it is for."""
        return {"look": self.look_p, "image": self.image_p, "content": self.content_p, "mix": self.mix_p}

    @property
    def effects(self) -> dict[str, float]:
        """How large each difference is, for ``animals_drift_effect{kind}``."""
        return {
            "look": self.look_effect,
            "image": abs(self.image_shift),
            "content": max(0.0, self.content_share - self.content_reference),
            "mix": self.mix_effect,
        }

    def to_json(self) -> dict[str, Any]:
        """By test, as in the API."""
        return {
            "look": {"p": _rounded(self.look_p), "effect": _rounded(self.look_effect)},
            "image": {
                "p": _rounded(self.image_p),
                "largest": self.image_largest,
                "shift": _rounded(self.image_shift),
            },
            "content": {
                "p": _rounded(self.content_p),
                "share": _rounded(self.content_share),
                "reference": _rounded(self.content_reference),
            },
            "mix": {
                "p": _rounded(self.mix_p),
                "effect": _rounded(self.mix_effect),
                "changes": [
                    {"label": label, "reference": _rounded(was), "share": _rounded(now)}
                    for label, was, now in self.mix_changes
                ],
            },
        }


@dataclass(frozen=True, kw_only=True)
class EstimatedAccuracy:
    """Accuracy without labels: a range, and never one number.

    Attributes:
        reference: On the reference photos, with labels.
        low: Lowest that is plausible.
        high: Highest.
        points: What each method says.
    """

    reference: float
    low: float
    high: float
    points: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def drop_low(self) -> float:
        """The drop that is certain, as far as anything here is."""
        return max(0.0, self.reference - self.high)

    @property
    def drop_high(self) -> float:
        """The largest drop that one of the methods reads from the window, without the spread of chance."""
        return max(0.0, self.reference - min(self.points.values(), default=self.low))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A judged window.

    Attributes:
        model: The model's name.
        version: Its version.
        source: Which camera or site was asked for; empty for all.
        since: When its first photo came, seconds since 1970; ``None`` for photos without a time.
        until: When its last one did.
        read: Photos that were read.
        used: Photos that were left after thinning and cutting, and were judged.
        reference_kind: What they were compared with.
        reference_photos: How many photos it has.
        reference_sha256: Which it is.
        kind: What changed.
        part: The share of photos that changed, where it is not all of them.
        part_source: Where nearly all of those come from, if from one source.
        says: The same in a sentence.
        fired: Tests that found a difference: hand them to the judge of the next window.
        confirmed: One of them had fired in the window before, too.
        tests: The four tests.
        accuracy: Estimated without labels; ``None`` where the reference has none.
    """

    model: str
    version: str
    source: str
    since: float | None
    until: float | None
    read: int
    used: int
    reference_kind: ReferenceKind
    reference_photos: int
    reference_sha256: str
    kind: Kind
    part: float | None
    part_source: str | None
    says: str
    fired: frozenset[str]
    confirmed: bool
    tests: DriftTests
    accuracy: EstimatedAccuracy | None

    @property
    def harmful(self) -> bool:
        """What changed costs accuracy, by an estimate, or by its nature."""
        if self.kind == "none":
            return False
        drop = self.accuracy.drop_high if self.accuracy else HARM
        if self.kind == "content":
            return self.tests.content_share - self.tests.content_reference >= _CONTENT_EXCESS
        if self.kind == "mix":
            return self.tests.mix_effect >= _MIX_VARIATION and drop >= HARM
        return drop >= HARM

    @property
    def score(self) -> float:
        """``animals_drift_score``: 0 none, 0.2 unconfirmed or harmless, above 0.25 confirmed and harmful."""
        if self.kind == "none":
            return 0.0
        if not (self.confirmed and self.harmful):
            return 0.2
        drop = self.accuracy.drop_low if self.accuracy else 0.0
        return max(0.26, 0.25 + 0.75 * min(1.0, drop / _FULL_SCORE_DROP))

    @property
    def scores(self) -> dict[str, float]:
        """The score of each kind: that of :attr:`kind`, and 0 for the others."""
        return {kind: self.score if kind == self.kind else 0.0 for kind in KINDS}

    def with_model(self, model: str, version: str) -> Verdict:
        """Under other names: those that a server or a registry has for the model."""
        return replace(self, model=model, version=version)

    def to_json(self, audit: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The one object of the API.

        Args:
            audit: ``accuracy``, ``low``, ``high`` and ``reviewed`` of the audited photos, where there are any.
        """
        accuracy = self.accuracy
        return {
            "model": self.model,
            "version": self.version,
            "source": self.source,
            "since": _moment(self.since),
            "until": _moment(self.until),
            "read": self.read,
            "used": self.used,
            "reference": {
                "kind": self.reference_kind,
                "photos": self.reference_photos,
                "sha256": self.reference_sha256,
            },
            "verdict": {
                "kind": self.kind,
                "part": None if self.part is None else _rounded(self.part),
                "source": self.part_source,
                "confirmed": self.confirmed,
                "harmful": self.harmful,
                "score": _rounded(self.score),
                "says": self.says,
            },
            "tests": self.tests.to_json(),
            "accuracy": {
                "reference": None if accuracy is None else _rounded(accuracy.reference),
                "estimated": None if accuracy is None else [_rounded(accuracy.low), _rounded(accuracy.high)],
                "audit": None if audit is None else dict(audit),
            },
        }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
