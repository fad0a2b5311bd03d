"""Which of a table's columns are the path, the label, the split and the group, and what its cells then say.

Nothing is chosen silently: ``ColumnChoice.note`` says which columns were taken, and which others were there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from animal_classification.data.sources.listing import SPLIT_WORDS, Columns, split_name
from animal_classification.data.tabular import Table, plain_name
from animal_classification.errors import UsageError
from animal_classification.imaging import is_photo_name

# The first that a table has, with anything in it, is taken; case, spaces, hyphens and underscores do not count.
ALIASES = {
    "path": (
        *("path", "file_path", "file", "file_name", "image", "image_path", "img", "img_path", "photo"),
        *("image_file", "image_id", "relative_path"),
    ),
    "label": (
        *("label", "labels", "class", "class_name", "label_name", "species", "animal", "category", "target"),
        *("common_name", "scientific_name", "y"),
    ),
    "split": ("split", "set", "subset", "partition", "dataset_split"),
    # A place before a sequence: the frames of one place share their background, and a model can learn that instead.
    "group": (
        *("group", "group_id", "site", "site_id", "location", "location_id", "location_name", "station", "station_id"),
        *("camera", "camera_id", "deployment", "deployment_id", "individual", "individual_id"),
        *("sequence", "sequence_id", "seq_id", "burst", "burst_id", "event", "event_id"),
    ),
}
# Where a class stands beside these it is a class of animals: Mammalia, Aves.
_RANKS = ("order", "family", "genus")
_TAXONOMY = (
    *("label", "labels", "class_name", "label_name", "species", "scientific_name", "common_name", "animal"),
    *("category", "target", "genus", "family", "order", "class"),
)
NONE = "none"
MISSING = ("NA", "N/A", "NaN", "null")
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class ColumnChoice:
    """The columns of one table.

    Attributes:
        table: Whose.
        path: Position of the photo's path.
        folder: Of the folder that the path is in, where it stands by itself, as in exports of Timelapse.
        label: Of the label; ``None`` where there is none and none was needed.
        genus: Of the genus, where ``label`` holds the second half of a species' name only.
        split: Of the split, if any.
        group: Of the group, if any.
        others: For each meaning, other columns that would do.
        missing: Words that mean an empty cell, in lower case.
    """

    table: Table
    path: int
    folder: int | None
    label: int | None
    genus: int | None
    split: int | None
    group: int | None
    others: dict[str, tuple[str, ...]]
    missing: frozenset[str]

    def path_of(self, row: Sequence[str]) -> str:
        """The path as it is written; empty where none is."""
        path, folder = self._text(row, self.path) or "", self._text(row, self.folder)
        return f"{folder}/{path}" if path and folder else path

    def label_of(self, row: Sequence[str]) -> str:
        """The label; empty where there is none."""
        label = self._text(row, self.label)
        if label is None or self.genus is None or " " in label:
            return label or ""
        genus = self._text(row, self.genus)
        return f"{genus} {label}" if genus else ""

    def split_of(self, row: Sequence[str]) -> str | None:
        """The split.

        Raises:
            UsageError: The cell holds none.
        """
        return split_name(self._text(row, self.split) or "", self.table.where)

    def group_of(self, row: Sequence[str]) -> str | None:
        """The group."""
        return self._text(row, self.group)

    def note(self) -> str:
        """Which columns were taken, and what else was there, in a line."""
        name = self.table.columns.__getitem__
        folder = f" in {name(self.folder)!r}" if self.folder is not None else ""
        parts = [f"path is {name(self.path)!r}{folder}"]
        for meaning, column in (("label", self.label), ("group", self.group), ("split", self.split)):
            if column is None:
                parts.append(f"no column for the {meaning}{self._also(meaning, 'not taken')}")
                continue
            genus = f" after {name(self.genus)!r}" if meaning == "label" and self.genus is not None else ""
            parts.append(f"{meaning} is {name(column)!r}{genus}{self._also(meaning, 'also there')}")
        taken = {self.path, self.folder, self.label, self.genus, self.group, self.split}
        named = {other for names in self.others.values() for other in names}
        rest = [column for index, column in enumerate(self.table.columns) if index not in taken and column not in named]
        unread = f"; not read: {_listed(rest)}" if rest else ""
        return f"{self.table.where}: {', '.join(parts)}{unread}"

    def _also(self, meaning: str, how: str) -> str:
        names = self.others.get(meaning, ())
        return f" ({how}: {_listed(names)})" if names else ""

    def _text(self, row: Sequence[str], column: int | None) -> str | None:
        return None if column is None else _filled(row[column], self.missing)


def choose_columns(
    table: Table, wanted: Columns, *, path: str | None = None, label_needed: bool = True
) -> ColumnChoice:
    """Find out what a table's columns mean.

    Args:
        table: With its rows: a column without anything in it is not taken.
        wanted: The names that the caller gave; ``none`` for a split or group that is not to be read.
        path: The column for the path where the caller named none.
        label_needed: Whether to refuse a table without labels.

    Raises:
        UsageError: A column that is wanted, or needed, is not there; names those that are.
    """
    return _Choosing(table, _missing_words(wanted.missing)).run(wanted, path or wanted.path, label_needed)


@dataclass(frozen=True)
class _Choosing:
    """One table, and the words that mean that nothing is there."""

    table: Table
    missing: frozenset[str]

    def run(self, wanted: Columns, path: str | None, label_needed: bool) -> ColumnChoice:
        taxonomy = self._is_taxonomy()
        labels = _TAXONOMY if taxonomy else ALIASES["label"]
        found = {
            "path": self._choose("path", wanted.path or path, ALIASES["path"], needed=True),
            "label": self._choose("label", wanted.label, labels, needed=label_needed),
            "split": self._choose("split", wanted.split, ALIASES["split"], fits=self._holds_splits),
            "group": self._choose("group", wanted.group, ALIASES["group"], fits=self._holds_groups),
        }
        columns = {meaning: column for meaning, (column, _) in found.items()}
        position = columns["path"]
        assert position is not None
        return ColumnChoice(
            table=self.table,
            path=position,
            folder=self._folder(position),
            label=columns["label"],
            genus=self._genus(columns["label"]) if taxonomy else None,
            split=columns["split"],
            group=columns["group"],
            others={meaning: others for meaning, (_, others) in found.items()},
            missing=self.missing,
        )

    def _choose(
        self,
        meaning: str,
        wanted: str | None,
        aliases: Iterable[str],
        *,
        needed: bool = False,
        fits: Callable[[int], bool] = lambda _: True,
    ) -> tuple[int | None, tuple[str, ...]]:
        """The column for a meaning, and others that bear one of its names."""
        plain = [plain_name(column) for column in self.table.columns]
        named = [plain.index(alias) for alias in dict.fromkeys(map(plain_name, aliases)) if alias in plain]
        if wanted is not None:
            chosen = self._wanted(meaning, wanted, optional=meaning in ("split", "group"))
        else:
            filled = [column for column in named if any(self._values(column))]
            chosen = next((column for column in filled if fits(column)), None)
            if chosen is None and needed:
                chosen = next(iter(named), None)
        if chosen is None and needed:
            raise UsageError(
                f"{self.table.where} has no column for the {meaning}{self.table.names_near(aliases)}; "
                f"rename one, or name it with --{meaning}-column"
            )
        return chosen, tuple(self.table.columns[column] for column in named if column != chosen)

    def _wanted(self, meaning: str, wanted: str, *, optional: bool) -> int | None:
        if wanted in self.table.columns:
            return self.table.columns.index(wanted)
        if optional and wanted == NONE:
            return None
        raise UsageError(f"{self.table.where} has no column {wanted!r}{self.table.names_near((wanted,))}")

    def _folder(self, path: int) -> int | None:
        """The column of folders beside one of names: Timelapse has File and RelativePath."""
        plain = [plain_name(column) for column in self.table.columns]
        if plain[path] not in ("file", "filename") or "relativepath" not in plain:
            return None
        folder = plain.index("relativepath")
        whole = any(is_photo_name(value) for value in self._values(folder) if value)
        return None if whole else folder

    def _is_taxonomy(self) -> bool:
        plain = {plain_name(column) for column in self.table.columns}
        return "class" in plain and sum(rank in plain for rank in _RANKS) > 1

    def _genus(self, label: int | None) -> int | None:
        """The genus, where the label is the second half of a species' name, as Wildlife Insights writes it."""
        plain = [plain_name(column) for column in self.table.columns]
        if label is None or plain[label] != "species" or "genus" not in plain:
            return None
        half = all(" " not in value for value in self._values(label) if value)
        return plain.index("genus") if half else None

    def _holds_splits(self, column: int) -> bool:
        """A column called set may hold anything; one called split is held to its word."""
        return "split" in plain_name(self.table.columns[column]) or any(
            value.casefold() in SPLIT_WORDS for value in self._values(column) if value
        )

    def _holds_groups(self, column: int) -> bool:
        """Not where it holds addresses of files: Wildlife Insights calls them location."""
        return not any("://" in value for value in self._values(column) if value)

    def _values(self, column: int) -> Iterable[str | None]:
        return (_filled(row[column], self.missing) for row in self.table.rows)


def _missing_words(words: str | None) -> frozenset[str]:
    if words is None:
        return frozenset(word.casefold() for word in MISSING)
    return frozenset() if words == NONE else frozenset(word.strip().casefold() for word in words.split(","))


def _filled(cell: str, missing: frozenset[str]) -> str | None:
    text = cell.strip()
    return None if not text or text.casefold() in missing else text


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
