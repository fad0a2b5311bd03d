"""Make known_animals.csv, the names by which a user's class or a line of a species list is placed in the tree of life.

It holds the 398 labels of the `photos` model with their other names in WordNet, their groups, and the animals of
known_animals_more.csv, which the model does not know and camera traps often meet. A name that WordNet gives to several
of the 398 is left out ("panther" is a jaguar and a cougar there), and a group stands for what its labels share.

Run: python tools/photos_model/known_animals.py --wordnet /usr/share/wordnet [--check]
"""

import argparse
import csv
import io
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
OUTPUT: Final = HERE.parents[1] / "src/animal_classification/taxonomy/known_animals.csv"
FIELDS: Final = ("names", "scientific_name", "class", "order", "family", "genus")
RANKS: Final = FIELDS[2:]
# Names whose first meaning is no animal.
NO_ANIMALS: Final = frozenset({"painter", "ounce", "sidewinder", "boxer", "crane", "kite", "silver", "horned pout"})


class Row(NamedTuple):
    """Names of one taxon, and its place."""

    names: tuple[str, ...]
    scientific_name: str
    ranks: tuple[str, ...]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_lemmas(wordnet: Path) -> dict[str, list[str]]:
    """Noun synset id -> its words."""
    lemmas = {}
    with (wordnet / "data.noun").open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("  "):  # the licence
                fields = line.split()
                count = int(fields[3], 16)
                lemmas[f"n{fields[0]}"] = [fields[4 + 2 * word].replace("_", " ") for word in range(count)]
    return lemmas


def more() -> Iterator[Row]:
    for row in read_rows(HERE / "known_animals_more.csv"):
        scientific = row["scientific_name"]
        genus = scientific.split()[0]
        ranks = (row["class"], row["order"], row["family"])
        named = " " in scientific or (row["family"] and scientific not in ranks)
        yield Row(tuple(row["names"].split("|")), scientific, (*ranks, genus if named else ""))


def labels(lemmas: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    animals = read_rows(HERE / "animals.csv")
    ranks = {row["wordnet_id"]: tuple(row[rank] for rank in RANKS) for row in read_rows(HERE / "lineages.csv")}
    for row in animals:
        others = [word for word in lemmas[row["wordnet_id"]] if word not in NO_ANIMALS]
        yield Row((row["name"], *others), row["taxon"], ranks[row["wordnet_id"]])


def groups() -> Iterator[Row]:
    """What the labels of each group share, where that is anything."""
    ranks = {row["wordnet_id"]: tuple(row[rank] for rank in RANKS) for row in read_rows(HERE / "lineages.csv")}
    members: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for row in read_rows(HERE / "animals.csv"):
        for group in dict.fromkeys((row["group"], row["subgroup"])):
            members[group].append((row["taxon"], ranks[row["wordnet_id"]]))
    for group, found in members.items():
        shared = _shared([place for _, place in found])
        taxa = {taxon for taxon, _ in found}
        scientific = taxa.pop() if len(taxa) == 1 else next((name for name in reversed(shared) if name), "")
        if scientific:
            yield Row((group,), scientific, shared)


def _shared(places: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    shared: list[str] = []
    for names in zip(*places, strict=True):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return (*shared, *[""] * (len(RANKS) - len(shared)))


def table(lemmas: Mapping[str, Sequence[str]]) -> list[Row]:
    """Each name once: that of the list made by hand, else of a label, else of a group, else of WordNet."""
    by_hand, of_labels = list(more()), list(labels(lemmas))
    taken: set[str] = set()
    rows = [_new(row, taken) for row in by_hand]
    firsts = [_new(row._replace(names=row.names[:1]), taken) for row in of_labels]
    rows += [_new(row, taken) for row in groups()]
    counts = Counter(word.casefold() for row in of_labels for word in set(row.names))
    for first, row in zip(firsts, of_labels, strict=True):
        only = tuple(word for word in dict.fromkeys(row.names[1:]) if counts[word.casefold()] == 1)
        rows.append(first._replace(names=first.names + _new(row._replace(names=only), taken).names))
    return sorted((row for row in rows if row.names), key=lambda row: row.names[0].casefold())


def _new(row: Row, taken: set[str]) -> Row:
    names = tuple(name for name in row.names if name.casefold() not in taken)
    taken.update(name.casefold() for name in names)
    return row._replace(names=names)


def as_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(("|".join(row.names), row.scientific_name, *row.ranks) for row in rows)
    return text.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the table of animals' names and lineages.")
    parser.add_argument(
        "--wordnet", type=Path, required=True, help="folder with WordNet 3.0's data.noun (Debian: wordnet-base)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the table is out of date")
    options = parser.parse_args(arguments)
    text = as_csv(table(read_lemmas(options.wordnet)))
    if options.check:
        current = OUTPUT.read_text(encoding="utf-8") == text
        print(f"{OUTPUT.name}: {'passed' if current else 'out of date; make it again'}")
        return 0 if current else 1
    OUTPUT.write_text(text, encoding="utf-8")
    print(f"wrote {OUTPUT.name}: {text.count(chr(10)) - 1} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
