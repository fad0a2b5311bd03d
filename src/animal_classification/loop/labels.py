"""From words to labels: what people say of a photo, all together, or what a table from elsewhere says."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from animal_classification.prediction_log.corrections import NO_ANIMAL

if TYPE_CHECKING:
    from animal_classification.data.exchange.imported import ImportedLabel
    from animal_classification.loop.config import CollectConfig
    from animal_classification.prediction_log.words import Word


@dataclass(frozen=True, kw_only=True)
class LabelledPhoto:
    """A photo and what people say that it shows.

    Attributes:
        photo: SHA-256 by which the log, or the table, knows it.
        label: A class, or ``NO_ANIMAL``.
        who: Who said so, each once.
        time: When it was said last; ``None`` where nobody knows.
        verdict: Of the last word.
        prediction: Id of the prediction that was spoken of last.
        model: That predicted.
        version: Of that model.
        audit: With which probability the photo was chosen for the audit.
        words: Numbers of the words.
        file: Where the photo is, if not in the log's place for photos.
    """

    photo: str
    label: str
    who: tuple[str, ...] = ()
    time: datetime | None = None
    verdict: str = ""
    prediction: str = ""
    model: str = ""
    version: str = ""
    audit: float | None = None
    words: tuple[int, ...] = ()
    file: Path | None = None

    @property
    def day(self) -> str:
        """When it was said last, as a day; empty where nobody knows."""
        return f"{self.time:%Y-%m-%d}" if self.time else ""


class Said(NamedTuple):
    """One word on a photo of which different things are said."""

    photo: str
    label: str
    who: str
    time: datetime | None
    prediction: str


@dataclass
class SpokenOf:
    """What the words come to.

    Attributes:
        labelled: Photos with one label.
        conflicts: Photos of which different things are said, with all words.
        unnamed: Photos of which only a group was confirmed.
        untrusted: Words of people who are not trusted.
        unknown_labels: Photos with a label that is no class, by label.
        forgotten: Photos that somebody asked to have deleted, and that came again.
    """

    labelled: list[LabelledPhoto] = field(default_factory=list)
    conflicts: list[tuple[Said, ...]] = field(default_factory=list)
    unnamed: int = 0
    untrusted: int = 0
    unknown_labels: dict[str, int] = field(default_factory=dict)
    forgotten: int = 0

    def left_out(self) -> list[str]:
        """What is not taken, a line for each reason."""
        lines = left_out_lines(self.unknown_labels, self.unnamed, self.untrusted, self.forgotten)
        return [*lines, f"of {len(self.conflicts)} photos different things are said"] if self.conflicts else lines


def left_out_lines(unknown_labels: Mapping[str, int], unnamed: int, untrusted: int, forgotten: int = 0) -> list[str]:
    """What became of labels that are not taken, a line for each reason; the fields of ``SpokenOf``."""
    unknown = sorted(unknown_labels.items(), key=lambda item: (-item[1], item[0]))
    lines = [
        f"{count} photos of {label!r} are left out: no class yet (--new-class {label!r})" for label, count in unknown
    ]
    if unnamed:
        lines.append(f"{unnamed} photos are left out of which only a group was confirmed")
    if untrusted:
        lines.append(f"{untrusted} words are left out of people who are not trusted")
    if forgotten:
        lines.append(f"{forgotten} photos are left out that somebody asked to have deleted")
    return lines


def from_words(words: Iterable[Word], classes: Sequence[str], config: CollectConfig) -> SpokenOf:
    """Make labels of the words on photos that no cycle has taken yet.

    Args:
        words: All that stand.
        classes: Of the data.
        config: Whose words count, and which labels may become classes.
    """
    found = SpokenOf()
    by_photo: dict[str, list[Word]] = defaultdict(list)
    for word in words:
        if config.trusted and word.who not in config.trusted:
            found.untrusted += word.collected is None
        else:
            by_photo[word.photo].append(word)
    names = {plain(name): name for name in classes}
    for photo, said in by_photo.items():
        if all(word.collected is not None for word in said):
            continue
        named = [word for word in said if word.label is not None]
        labels = {plain(str(word.label)) for word in named}
        if not labels:
            found.unnamed += 1
        elif len(labels) > 1:
            words_on = (Said(photo, word.label or "", word.who, word.time, word.prediction) for word in said)
            found.conflicts.append(tuple(words_on))
        else:
            found.labelled.append(_labelled(photo, named, names))
    return admitted(found, classes, config)


def from_imported(labels: Iterable[ImportedLabel], classes: Sequence[str], config: CollectConfig) -> SpokenOf:
    """The same of what came back from a labelling tool."""
    found = SpokenOf()
    names = {plain(name): name for name in classes}
    by_photo: dict[str, list[ImportedLabel]] = defaultdict(list)
    for one in labels:
        if config.trusted and one.who not in config.trusted:
            found.untrusted += 1
        else:
            by_photo[one.sha256].append(one)
    for photo, said in by_photo.items():
        last = said[-1]
        if len({plain(one.label) for one in said}) > 1:
            found.conflicts.append(tuple(Said(photo, one.label, one.who, one.time, "") for one in said))
            continue
        found.labelled.append(
            LabelledPhoto(
                photo=photo,
                label=names.get(plain(last.label), last.label),
                who=tuple(dict.fromkeys(one.who for one in said if one.who)),
                time=last.time,
                verdict="imported",
                file=next((one.file for one in said if one.file is not None), None),
            )
        )
    return admitted(found, classes, config)


def admitted(found: SpokenOf, classes: Sequence[str], config: CollectConfig) -> SpokenOf:
    """Leave out labels that are no class, unless they may become one and enough photos have them."""
    known = {plain(name) for name in (*classes, NO_ANIMAL)}
    wanted = {plain(name) for name in config.new_classes}
    counts: dict[str, int] = defaultdict(int)
    for one in found.labelled:
        counts[plain(one.label)] += 1
    good = known | {name for name in wanted if counts[name] >= config.min_class}
    for one in found.labelled:
        if plain(one.label) not in good:
            found.unknown_labels[one.label] = found.unknown_labels.get(one.label, 0) + 1
    found.labelled = [one for one in found.labelled if plain(one.label) in good]
    return found


def plain(name: str) -> str:
    """Names that differ in case, and in what stands between words, are one."""
    folded = unicodedata.normalize("NFC", name).casefold()
    return " ".join(folded.replace("_", " ").replace("-", " ").split())


def _labelled(photo: str, said: Sequence[Word], names: Mapping[str, str]) -> LabelledPhoto:
    last = said[-1]
    return LabelledPhoto(
        photo=photo,
        label=names.get(plain(str(last.label)), str(last.label)),
        who=tuple(dict.fromkeys(word.who for word in said if word.who)),
        time=last.time,
        verdict=last.verdict,
        prediction=last.prediction,
        model=last.model,
        version=last.version,
        audit=last.audit,
        words=tuple(word.number for word in said),
    )
