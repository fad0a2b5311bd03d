"""Check animals.csv, the names and groups of the 398 animals the built-in `photos` model knows.

The rule for the columns, which a reviewer applies and this script can only partly check:

- `name` is what a naturalist or a zoo visitor says today, in the singular; a word whose first everyday meaning is no
  animal gets a second word ("boxer dog", "kite bird"). A class whose training photos are broader than its WordNet
  species has a broader name.
- `group` is the broadest everyday word that an ordinary person would accept as a right answer for every member, when
  the species or breed is uncertain: lion -> cat, beetle -> insect; but a fox or a wolf is not answered "dog", nor a
  shark "fish". Where no such word holds several animals together, the animal is a group of its own. Groups follow
  WordNet: a class belongs to the nearest of SYNSETS above it, except in EXCEPTIONS.
- `subgroup` is the next finer word (dog > retriever; breeds mostly as the FCI sorts them), or the group again where
  none helps.
- `taxon` is the scientific name of the lowest rank that holds for the whole class, all dog breeds being Canis lupus
  familiaris.

Run: python tools/photos_model/check_taxonomy.py --wordnet /usr/share/wordnet [--photos DIR]
"""

import argparse
import csv
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

CLASSES: Final = 398
ANIMAL: Final = "n00015388"
FIVE_WORDS: Final = ("cat", "dog", "elephant", "horse", "lion")
WORDS: Final = r"[^\W\d_]+(?:[ '-][^\W\d_]+)*"  # letters; between them one space, hyphen or apostrophe
PATTERNS: Final = {
    "wordnet_id": r"n\d{8}",
    "name": WORDS,
    "group": WORDS,
    "subgroup": WORDS,
    "taxon": r"[A-Z][a-z]+( [a-z]+){0,2}",
}

# Group -> the WordNet synsets it stands for. A class belongs to the nearest one above it: "shark" goes before "fish".
SYNSETS: Final[Mapping[str, tuple[str, ...]]] = {
    "antelope": ("n02419796",),
    "ape": ("n02470325",),
    "armadillo": ("n02454379",),
    "bear": ("n02131653",),
    "bird": ("n01503061",),
    "camel": ("n02437136",),
    "cat": ("n02120997",),  # feline
    "cattle": ("n02402010", "n02407959", "n02410509"),  # bovine, Old World buffalo, bison
    "centipede": ("n01784675",),
    "coral": ("n01915811",),
    "crocodilian": ("n01696633",),
    "crustacean": ("n01974773",),
    "dog": ("n02084071",),
    "elephant": ("n02503517",),
    "fish": ("n02512053",),
    "fox": ("n02118333",),
    "frog": ("n01639765",),
    "goat": ("n02416519",),
    "harvestman": ("n01770081",),
    "hippopotamus": ("n02398521",),
    "horse": ("n02374149",),  # equine
    "hyena": ("n02117135",),
    "insect": ("n02159955",),
    "jellyfish": ("n01910747",),
    "lemur": ("n02496913",),
    "lizard": ("n01674464",),
    "llama": ("n02437616",),
    "marsupial": ("n01874434",),
    "meerkat": ("n02138441",),
    "mollusc": ("n01940736",),
    "mongoose": ("n02137549",),
    "monkey": ("n02484322",),
    "monotreme": ("n01871875",),
    "pig": ("n02395003",),  # swine
    "prehistoric animal": ("n01699831", "n01768244"),  # dinosaur, trilobite
    "rabbit": ("n02323902",),  # leporid
    "ray": ("n01495701",),
    "red panda": ("n02509815",),
    "rodent": ("n02329401",),
    "salamander": ("n01629276",),
    "scorpion": ("n01770393",),
    "sea anemone": ("n01914609",),
    "sea cow": ("n02073250",),
    "sea cucumber": ("n02321529",),
    "sea urchin": ("n02319095",),
    "seal": ("n02076196",),
    "shark": ("n01482330",),
    "sheep": ("n02411705", "n02414578"),  # sheep, wild sheep
    "skunk": ("n02445715",),
    "sloth": ("n02456962",),
    "snake": ("n01726692",),
    "spider": ("n01772222",),
    "starfish": ("n02317335",),
    "tick": ("n01776313",),
    "turtle": ("n01662784",),
    "weasel family": ("n02441326",),  # musteline mammal
    "whale": ("n02062430",),  # cetacean
    "wild dog": ("n02115335",),
    "wolf": ("n02114100",),
    "worm": ("n01922303",),
}

# Class -> its group and why WordNet's place for it is not followed.
EXCEPTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "n01871265": ("elephant", "WordNet's tusker is any tusked mammal; the photos are of elephants"),
    "n02510455": ("bear", "WordNet 3.0 files the giant panda with the raccoons; it is a bear (Ursidae)"),
}


class Animal(NamedTuple):
    wordnet_id: str
    name: str
    group: str
    subgroup: str
    taxon: str


def read_animals(path: Path) -> list[Animal]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    if not rows or tuple(rows[0]) != Animal._fields:
        raise ValueError(f"{path}: the first line must be {','.join(Animal._fields)}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(Animal._fields):
            raise ValueError(f"{path}:{number}: {len(row)} columns, expected {len(Animal._fields)}")
    return [Animal(*row) for row in rows[1:]]


def read_hypernyms(wordnet: Path) -> dict[str, list[str]]:
    """Noun synset id -> the ids one step up (`@` and `@i` pointers of data.noun)."""
    hypernyms = {}
    with (wordnet / "data.noun").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("  "):  # the licence
                continue
            fields = line.split(" | ", 1)[0].split()
            first = 4 + 2 * int(fields[3], 16)  # words in pairs, a count, then four fields a pointer
            pointers = fields[first + 1 : first + 1 + 4 * int(fields[first])]
            parents = [f"n{pointers[i + 1]}" for i in range(0, len(pointers), 4) if pointers[i] in {"@", "@i"}]
            hypernyms[f"n{fields[0]}"] = parents
    return hypernyms


def levels_above(synset: str, hypernyms: Mapping[str, Sequence[str]]) -> Iterator[set[str]]:
    """The synset itself, then its hypernyms one step up, two steps up, and so on."""
    level, seen = {synset}, set[str]()
    while level:
        yield level
        seen |= level
        level = {parent for child in level for parent in hypernyms[child]} - seen


def groups_in_wordnet(synset: str, hypernyms: Mapping[str, Sequence[str]]) -> set[str]:
    """The groups of the nearest synsets above (one, unless the table is ambiguous; none where it has a gap)."""
    group_of = {member: group for group, members in SYNSETS.items() for member in members}
    for level in levels_above(synset, hypernyms):
        if found := {group_of[member] for member in level & group_of.keys()}:
            return found
    return set()


def check_shape(animals: Sequence[Animal]) -> Iterator[str]:
    if len(animals) != CLASSES:
        yield f"{len(animals)} rows, expected {CLASSES}"
    ids = [animal.wordnet_id for animal in animals]
    if ids != sorted(ids):
        yield "the rows are not in order of wordnet_id, which is the order of the model's classes"
    for column, values in (("wordnet_id", ids), ("name", [animal.name.casefold() for animal in animals])):
        yield from (f"{column} {value!r} occurs {n} times" for value, n in Counter(values).items() if n > 1)


def check_characters(animals: Sequence[Animal]) -> Iterator[str]:
    for animal in animals:
        for column, value in animal._asdict().items():
            if not re.fullmatch(PATTERNS[column], value):
                yield f"{animal.wordnet_id}: {column} {value!r} does not match {PATTERNS[column]}"


def check_levels(animals: Sequence[Animal]) -> Iterator[str]:
    """A subgroup has one group, and a word at two levels means the same animals at both."""
    groups_of: dict[str, set[str]] = defaultdict(set)
    members: dict[str, set[str]] = defaultdict(set)
    for animal in animals:
        groups_of[animal.subgroup].add(animal.group)
        members[animal.subgroup].add(animal.wordnet_id)
        members[animal.group].add(animal.wordnet_id)
    groups = {animal.group for animal in animals}
    for subgroup, owners in groups_of.items():
        if len(owners) > 1:
            yield f"subgroup {subgroup!r} is in more than one group: {', '.join(sorted(owners))}"
        if subgroup in groups and subgroup not in owners:
            yield f"subgroup {subgroup!r} has the name of a group it is not in"
    for animal in animals:
        if members.get(animal.name, {animal.wordnet_id}) != {animal.wordnet_id}:
            yield f"{animal.wordnet_id}: {animal.name!r} is also a group or subgroup of other animals"


def check_five_words(animals: Sequence[Animal]) -> Iterator[str]:
    known = {word for animal in animals for word in (animal.name, animal.group, animal.subgroup)}
    yield from (f"{word!r} is no name, group or subgroup" for word in FIVE_WORDS if word not in known)


def check_wordnet(animals: Sequence[Animal], hypernyms: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for animal in animals:
        where = f"{animal.wordnet_id} ({animal.name})"
        if animal.wordnet_id not in hypernyms:
            yield f"{where}: WordNet has no such noun"
            continue
        if not any(ANIMAL in level for level in levels_above(animal.wordnet_id, hypernyms)):
            yield f"{where}: not an animal in WordNet"
        found = groups_in_wordnet(animal.wordnet_id, hypernyms)
        expected = found
        if animal.wordnet_id in EXCEPTIONS:
            expected = {EXCEPTIONS[animal.wordnet_id][0]}
            if expected == found:
                yield f"{where}: WordNet agrees, so the exception is not needed"
        if {animal.group} != expected:
            yield f"{where}: group is {animal.group!r}, not {' or '.join(sorted(expected)) or 'one of SYNSETS'}"


def check_tables(animals: Sequence[Animal], hypernyms: Mapping[str, Sequence[str]]) -> Iterator[str]:
    groups, ids = {animal.group for animal in animals}, {animal.wordnet_id for animal in animals}
    yield from (f"group {group!r} has no synset in SYNSETS" for group in sorted(groups - SYNSETS.keys()))
    yield from (f"SYNSETS has {group!r}, which no animal is in" for group in sorted(SYNSETS.keys() - groups))
    yield from (f"EXCEPTIONS has {key}, which is no row" for key in sorted(EXCEPTIONS.keys() - ids))
    members = Counter(member for synsets in SYNSETS.values() for member in synsets)
    yield from (f"SYNSETS: WordNet has no noun {member}" for member in members if member not in hypernyms)
    yield from (f"SYNSETS: {member} stands for {n} groups" for member, n in members.items() if n > 1)


def check_photos(animals: Sequence[Animal], folder: Path) -> Iterator[str]:
    """Photos are named <WordNet id>_<name>.JPEG, one for each class."""
    photos = {path.name.split("_", 1)[0] for path in folder.glob("n*_*.JPEG")}
    ids = {animal.wordnet_id for animal in animals}
    yield from (f"{key}: no photo in {folder}" for key in sorted(ids - photos))
    yield from (f"{key}: a photo in {folder} but no row" for key in sorted(photos - ids))


def find_errors(animals: Sequence[Animal], wordnet: Path, photos: Path | None) -> Iterator[str]:
    hypernyms = read_hypernyms(wordnet)
    for check in (check_shape, check_characters, check_levels, check_five_words):
        yield from check(animals)
    yield from check_tables(animals, hypernyms)
    yield from check_wordnet(animals, hypernyms)
    if photos is not None:
        yield from check_photos(animals, photos)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check the names and groups of the built-in model's animals.")
    parser.add_argument(
        "--animals", type=Path, default=Path(__file__).with_name("animals.csv"), help="the table to check"
    )
    parser.add_argument(
        "--wordnet", type=Path, required=True, help="folder with WordNet 3.0's data.noun (Debian: wordnet-base)"
    )
    parser.add_argument("--photos", type=Path, help="folder with one photo for each class, <WordNet id>_<name>.JPEG")
    options = parser.parse_args(arguments)
    try:
        animals = read_animals(options.animals)
        errors = list(find_errors(animals, options.wordnet, options.photos))
    except (OSError, ValueError) as error:
        errors = [str(error)]
    if errors:
        print("\n".join(errors), file=sys.stderr)
        return 1
    groups, subgroups = {animal.group for animal in animals}, {animal.subgroup for animal in animals}
    print(f"{options.animals}: {len(animals)} animals in {len(groups)} groups, {len(subgroups)} subgroups: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
