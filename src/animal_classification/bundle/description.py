"""A bundle described for people, and its labels by name."""

from __future__ import annotations

from collections import Counter

from animal_classification.bundle.model import Bundle
from animal_classification.bundle.schema import BundleInfo
from animal_classification.common.suggest import nearest
from animal_classification.errors import UsageError


def describe(bundle: Bundle) -> dict[str, object]:
    """Facts about a bundle that JSON can hold, in the order in which people want them.

    Returns:
        Among others ``name``, ``version``, ``labels`` (names in the order of the logits), ``groups`` (coarsest groups
        with the number of their labels, largest first) and ``files`` (name to size and hash).
    """
    info = bundle.info
    document = info.model_dump(mode="json")
    groups = Counter(label.groups[0] for label in info.labels if label.groups)
    files = {
        name: {"bytes": (bundle.path / name).stat().st_size, "sha256": sha256} for name, sha256 in info.files.items()
    }
    return {
        "name": info.name,
        "version": info.version,
        "created": document["created"],
        "license": info.license,
        "path": str(bundle.path),
        "sha256": bundle.sha256,
        "schema_version": info.schema_version,
        "classes": len(info.labels),
        "background_classes": len(info.background),
        "labels": [label.name for label in info.labels],
        "groups": dict(groups.most_common()),
        "input": document["preprocess"],
        "temperature": info.calibration.temperature,
        "conformal": document["conformal"],
        "unknown": document["unknown"],
        "rollup": document["rollup"],
        "data": document["data"],
        "code": document["code"],
        "config": document["config"],
        "metrics": document["metrics"],
        "files": files,
    }


def resolve_name(info: BundleInfo, text: str) -> tuple[int, ...]:
    """The labels that a word means: by name, by id, or by a group at any level, whatever the case.

    Returns:
        Indices into ``info.labels``, ascending: one for a name, often many for a group.

    Raises:
        UsageError: No label has it; names those that are spelt most alike.
    """
    wanted = text.strip().casefold()
    found = tuple(
        index
        for index, label in enumerate(info.labels)
        if wanted in (word.casefold() for word in (label.name, label.id, *label.groups))
    )
    if found:
        return found
    words = {word.casefold(): word for label in info.labels for word in (*label.groups, label.name)}
    some = ", ".join(label.name for label in info.labels[:3])
    hint = nearest(wanted, words) or f"; it knows {len(info.labels)} names, such as {some}"
    raise UsageError(f"model {info.name} knows no {text!r}{hint}")
