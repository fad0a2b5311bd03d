"""Runs all checks of a data set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animal_classification.data.duplicates import DuplicateSet, UnionFind, duplicate_sets
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.perceptual_hash import NEAR
from animal_classification.data.quality import label_issues
from animal_classification.data.quality.checks import find_class_problems, find_copies, find_tiny, find_unusable
from animal_classification.data.quality.findings import KINDS, Finding
from animal_classification.data.quality.overlaps import find_crops
from animal_classification.data.scanner import Facts


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectionRules:
    """What counts as a finding.

    Attributes:
        min_side: Photos whose shorter side has fewer pixels are tiny.
        min_class: Classes with fewer photos are small.
        near: Of 255 bits, how many may differ between two near copies; below zero, only equal bytes are copies.
        label_method: Who decides which labels are wrong: ``calibrated`` or ``cleanlab``.
        seed: For the folds by which wrong labels are found.
    """

    min_side: int = 32
    min_class: int = 10
    near: int = NEAR
    label_method: label_issues.Method = "calibrated"
    seed: int = 0


@dataclass(frozen=True)
class Inspection:
    """What was found, the worst kinds first, and what was not looked for."""

    manifest: Manifest
    facts: tuple[Facts, ...]
    findings: tuple[Finding, ...]
    not_looked_for: tuple[str, ...] = ()

    def counts(self) -> Counter[str]:
        """Findings of each kind."""
        return Counter(finding.kind for finding in self.findings)


_RULES = InspectionRules()
_SHOWN = 3


def inspect(
    manifest: Manifest,
    facts: Sequence[Facts],
    *,
    embeddings: NDArray[np.float32] | None = None,
    rules: InspectionRules = _RULES,
    stage: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Run all checks.

    Args:
        manifest: The photos.
        facts: What ``scan`` says of every row of the manifest.
        embeddings: float32 ``[rows, D]``, as from ``embed``; without them neither crops nor wrong labels are found.
        rules: What counts as a finding.
        stage: Told what is being done, for those who wait.

    Raises:
        MissingExtraError: The rules name a method whose package is not installed.
    """
    not_looked_for = []
    findings = [*find_unusable(manifest), *find_tiny(manifest, rules.min_side)]
    crops: list[tuple[int, int]] = []
    if embeddings is not None and rules.near >= 0:
        stage("comparing photos that look alike")
        crops = _crops(manifest, facts, embeddings, rules)
    stage("looking for copies")
    sets = duplicate_sets(manifest, facts, limit=rules.near, further=crops)
    findings += find_copies(manifest, sets)
    findings += find_class_problems(manifest, rules.min_class)
    if embeddings is None:
        not_looked_for.append("crops and wrong labels, which take embeddings")
    else:
        stage("looking for wrong labels")
        doubted, not_judged = _wrong_labels(manifest, sets, embeddings, rules)
        findings += doubted
        not_looked_for += not_judged
    order = list(KINDS)
    findings.sort(key=lambda finding: (order.index(finding.kind), -(finding.score or 0), finding.paths))
    return Inspection(manifest, tuple(facts), tuple(findings), tuple(not_looked_for))


def _crops(
    manifest: Manifest, facts: Sequence[Facts], embeddings: NDArray[np.float32], rules: InspectionRules
) -> list[tuple[int, int]]:
    """Crops among the photos that are not known to be copies of each other already: one of each set is looked at."""
    known = duplicate_sets(manifest, facts, limit=rules.near)
    repeated = {index for copies in known for index in copies.members[1:]}
    chosen = [index for index, row in enumerate(manifest.rows) if row.problem is None and index not in repeated]
    files: list[Path] = [manifest.file(manifest.rows[index]) for index in chosen]
    return [(chosen[i], chosen[j]) for i, j in find_crops(files, embeddings[chosen])]


def _wrong_labels(
    manifest: Manifest, sets: Sequence[DuplicateSet], embeddings: NDArray[np.float32], rules: InspectionRules
) -> tuple[list[Finding], list[str]]:
    """Doubted labels, and a line about the classes whose labels were not judged."""
    finite = set(np.flatnonzero(np.isfinite(embeddings).all(axis=1)).tolist())
    chosen = [index for index, row in enumerate(manifest.rows) if row.problem is None and index in finite]
    if not chosen:
        return [], []
    together = _belonging_together(manifest, sets)
    names = [manifest.rows[index].label for index in chosen]
    groups = [together.find(index) for index in chosen]
    judged = label_issues.judged_classes(names, groups)
    doubts = label_issues.find_wrong_labels(
        names, embeddings[np.array(chosen)], groups, method=rules.label_method, seed=rules.seed
    )
    return [_doubted(manifest.rows[chosen[doubt.index]], doubt) for doubt in doubts], _not_judged(names, judged)


def _belonging_together(manifest: Manifest, sets: Sequence[DuplicateSet]) -> UnionFind:
    """Copies, and the groups that the source names: frames of one sequence speak for each other's label."""
    together = UnionFind(len(manifest))
    for copies in sets:
        together.join_all(copies.members)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(manifest.rows):
        if row.group is not None and row.problem is None:
            groups[row.group].append(index)
    for members in groups.values():
        together.join_all(members)
    return together


def _doubted(row: ManifestRow, doubt: label_issues.LabelIssue) -> Finding:
    return Finding(
        kind="wrong_label",
        severity="warning",
        paths=(row.path,),
        explanation=f"is labelled {row.label}, looks like {doubt.suggestion} ({doubt.suggested:.0%})",
        suggestion=doubt.suggestion,
        score=round(doubt.suggested - doubt.given, 4),
    )


def _not_judged(names: Sequence[str], judged: Collection[str]) -> list[str]:
    small = sorted(set(names) - set(judged))
    if not small:
        return []
    shown = ", ".join(map(repr, small[:_SHOWN])) + (", …" if len(small) > _SHOWN else "")
    return [
        f"wrong labels in {len(small)} classes ({shown}): it takes {label_issues.FEWEST_PHOTOS} photos, "
        f"in {label_issues.FEWEST_SETS} groups or more, to judge a label"
    ]
