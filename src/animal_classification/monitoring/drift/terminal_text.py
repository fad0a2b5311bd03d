"""A verdict as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from animal_classification.monitoring.drift.verdict import Verdict

ASKED = {
    "look": "do the animals look alike to the model",
    "image": "light, colour, sharpness, noise",
    "content": "is it what the model knows",
    "mix": "shares of the animals",
}


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """The newest verdict, and how many windows led to it."""
    newest = verdicts[-1]
    earlier = sum(one.kind != "none" for one in verdicts[:-1])
    lines = [
        f"{title(newest)}: {newest.says}",
        f"  photos    {newest.read} read, {newest.used} judged (bursts and copies count once), against "
        f"{newest.reference_photos} of {'training' if newest.reference_kind == 'training' else 'an accepted baseline'}",
    ]
    if len(verdicts) > 1:
        lines.append(f"  windows   {len(verdicts)}, of which {earlier + (newest.kind != 'none')} differ")
    lines += [f"  {name:<9} {_test(newest, name)}" for name in ASKED]
    return [*lines, f"  accuracy  {_accuracy(newest)}"]


def title(verdict: Verdict) -> str:
    if verdict.kind == "none":
        return "no drift"
    sure = "confirmed" if verdict.confirmed else "seen once, not confirmed"
    return f"drift of the {verdict.kind}, {sure}, {'harmful' if verdict.harmful else 'harmless by the estimate'}"


def _test(verdict: Verdict, name: str) -> str:
    tests = verdict.tests
    found = {
        "look": f"MMD {tests.look_effect:+.4f}",
        "image": f"{tests.image_largest} {tests.image_shift:+.1f} sd" if tests.image_largest else "no statistics",
        "content": f"strangers {tests.content_share:.0%}, before {tests.content_reference:.0%}",
        "mix": f"{tests.mix_effect:.0%} of photos changed places",
    }[name]
    mark = "differs" if name in verdict.fired else "as before"
    return f"{mark:<10} p {tests.p[name]:<8.2g} {found}  ({ASKED[name]})"


def _accuracy(verdict: Verdict) -> str:
    if verdict.accuracy is None:
        return "cannot be estimated: the reference has no labels"
    found = verdict.accuracy
    return f"{found.low:.0%} to {found.high:.0%} (estimated, without labels); {found.reference:.1%} on the reference"
