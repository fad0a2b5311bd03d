"""Label Studio: tasks as JSON, and what comes back as JSON or JSON-MIN (its export formats, as of version 1.23).

What we need to know again is in ``data``: predictions come back as bare ids, and ids of tasks are Label Studio's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from animal_classification.data.exchange.imported import ImportedLabel, PhotosBeside, hash_in, label_in, moment
from animal_classification.data.manifest import ManifestRow

# Name of the choice in Label Studio's configuration; JSON-MIN has it as a key beside those of ``data``.
CHOICE = "animal"
TASKS, CONFIG = "tasks.json", "labeling-config.xml"
_MOST_WHO = 80  # characters


def tasks(photos: Iterable[tuple[ManifestRow, str]]) -> list[dict[str, Any]]:
    """A task for each photo, with its label as a prediction that a person confirms or changes.

    Args:
        photos: Rows, and the names of their files below the folder that Label Studio serves.
    """
    return [_task(row, name) for row, name in photos]


def _task(row: ManifestRow, name: str) -> dict[str, Any]:
    result = {"from_name": CHOICE, "to_name": "image", "type": "choices", "value": {"choices": [row.label]}}
    data = {"image": f"/data/local-files/?d={name}", "animals_id": row.path, "sha256": row.sha256}
    return {"data": data, "predictions": [{"model_version": "animals", "result": [result]}]}


def labeling_config(labels: Sequence[str]) -> str:
    """The configuration of a project in which these labels can be chosen."""
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in labels)
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <Choices name="{CHOICE}" toName="image" choice="single" showInLine="true">\n{choices}\n'
        "  </Choices>\n</View>\n"
    )


def read(content: Sequence[Any], where: Path) -> list[ImportedLabel]:
    """The labels in an export, JSON or JSON-MIN; tasks that nobody has labelled are left out.

    Args:
        content: The JSON.
        where: The file; photos are looked for beside it.
    """
    photos = PhotosBeside(where.parent)
    found = []
    for task in content:
        if not isinstance(task, Mapping):
            continue
        one = _from_json(task) if isinstance(task.get("data"), Mapping) else _from_json_min(task)
        if one is not None:
            sha256, label, who, time = one
            found.append(
                ImportedLabel(sha256=sha256, label=label, who=who, time=moment(time), file=photos.find(sha256))
            )
    return found


def _from_json(task: Mapping[str, Any]) -> tuple[str, str, str, object] | None:
    sha256 = _sha256(task["data"])
    done = [one for one in _objects_in(task.get("annotations")) if not one.get("was_cancelled")]
    for annotation in sorted(done, key=lambda one: str(one.get("updated_at")), reverse=True):
        label = _chosen(_objects_in(annotation.get("result")))
        if sha256 and label:
            return sha256, label, _who(annotation.get("completed_by")), annotation.get("updated_at")
    return None


def _from_json_min(task: Mapping[str, Any]) -> tuple[str, str, str, object] | None:
    sha256, chosen = _sha256(task), task.get(CHOICE)
    label = _first_choice(chosen) if isinstance(chosen, Mapping) else label_in(chosen)  # several choices, or one
    if not sha256 or not label:
        return None
    return sha256, label, _who(task.get("annotator")), task.get("updated_at")


def _chosen(results: Iterable[Mapping[str, Any]]) -> str:
    for result in results:
        if result.get("type") == "choices" and result.get("from_name") == CHOICE:
            value = result.get("value")
            return _first_choice(value) if isinstance(value, Mapping) else ""
    return ""


def _first_choice(value: Mapping[str, Any]) -> str:
    choices = value.get("choices")
    return label_in(choices[0]) if isinstance(choices, list) and choices else ""


def _objects_in(value: object) -> list[Mapping[str, Any]]:
    """None of anything that is no list of them."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _sha256(data: Mapping[str, Any]) -> str | None:
    return hash_in(str(data.get("sha256") or data.get("image") or ""))


def _who(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("email") or value.get("id")
    return f"label-studio:{label_in(str(value))[:_MOST_WHO]}" if isinstance(value, (str, int)) else ""


def write(folder: Path, photos: Sequence[tuple[ManifestRow, str]], labels: Sequence[str]) -> None:
    """Write tasks and the project's configuration into a folder."""
    text = json.dumps(tasks(photos), indent=1, ensure_ascii=False)
    (folder / TASKS).write_text(text + "\n", encoding="utf-8")
    (folder / CONFIG).write_text(labeling_config(labels), encoding="utf-8")
