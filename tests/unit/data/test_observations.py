"""What is one observation."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.data.duplicates import units_of
from animal_classification.data.manifest import ManifestRow
from tests.unit.data.drawing import listed


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 6), st.booleans()), max_size=30))
def test_photos_that_share_content_or_group_are_one_observation_however_long_the_chain(
    drawn: list[tuple[int, int, bool]],
) -> None:
    rows = [
        replace(
            ManifestRow(path=f"{index}.png", label="fox", sha256=f"{content:064x}"),
            group=None if group < 0 else f"site {group}",
            problem="is cut short" if broken else None,
        )
        for index, (content, group, broken) in enumerate(drawn)
    ]
    manifest, facts = listed(*rows)
    rows, units = list(manifest.rows), units_of(manifest, facts)
    alike = [
        (i, j)
        for i, a in enumerate(rows)
        for j, b in enumerate(rows)
        if not a.problem and not b.problem and (a.sha256 == b.sha256 or (a.group and a.group == b.group))
    ]
    reached = {i: i for i in range(len(rows))}
    for _ in rows:
        for i, j in alike:
            reached[i] = reached[j] = min(reached[i], reached[j])
    expected, found = defaultdict(set), defaultdict(set)
    for index in range(len(rows)):
        expected[reached[index]].add(index)
        found[units[index]].add(index)
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected.values()))
