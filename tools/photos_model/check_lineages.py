"""Check lineages.csv, the class, order, family and genus of the 398 animals the built-in `photos` model knows.

The rule for the columns:

- They follow WordNet 3.0's groups (`data.noun`, member holonyms, as biologists drew them in the 1990s), but for the
  names in RENAMED, which are other names of the same animals, and the pairs in MOVED, which a later revision took from
  one taxon to another. Where WordNet is silent, the table stands alone.
- They end where the animal's own rank does: "quail" are Galliformes of several families, so the family is empty.
- A genus has one family, a family one order, an order one class.
- The genus is the first word of a species' name, and a taxon of one word stands in its own column.

Run: python tools/photos_model/check_lineages.py --wordnet /usr/share/wordnet
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

RANKS: Final = ("class", "order", "family", "genus")
FIELDS: Final = ("wordnet_id", *RANKS)
CHECKED: Final = RANKS[:3]  # the genus comes with the species' name, which animals.csv has
MAX_STEPS: Final = 14

# What WordNet calls a taxon -> its name today.
RENAMED: Final[Mapping[str, str]] = {
    "Acarina": "Ixodida",  # of the mites, the ticks
    "Argiopidae": "Araneidae",
    "Callithricidae": "Callitrichidae",
    "Cetacea": "Artiodactyla",  # whales stand among the even-toed ungulates
    "Chamaeleontidae": "Chamaeleonidae",
    "Chelonia": "Testudines",
    "Crotalidae": "Viperidae",
    "Crustacea": "Malacostraca",  # now a subphylum; all of ours are of this class
    "Danaidae": "Nymphalidae",
    "Homaridae": "Nephropidae",
    "Hydrophidae": "Elapidae",
    "Isospondyli": "Salmoniformes",
    "Madreporaria": "Scleractinia",
    "Marsupialia": "Diprotodontia",  # now several orders; all of ours are of this one
    "Osteichthyes": "Actinopterygii",
    "Phalangida": "Opiliones",
    "Phasmida": "Phasmatodea",
    "Plataleidae": "Threskiornithidae",
    "Plectognathi": "Tetraodontiformes",
    "Pongidae": "Hominidae",
    "Salientia": "Anura",
    "Satyridae": "Nymphalidae",
    "Scorpionida": "Scorpiones",
    "Tetraonidae": "Phasianidae",
    "Urodella": "Caudata",
}

# (WordNet's taxon, ours): animals of the first that are of the second today.
MOVED: Final = frozenset(
    {
        ("Boidae", "Pythonidae"),
        ("Carcharhinidae", "Galeocerdonidae"),  # the tiger shark
        ("Cebidae", "Atelidae"),  # howler and spider monkeys
        ("Cebidae", "Pitheciidae"),  # titi monkeys
        ("Chaetodontidae", "Pomacanthidae"),  # angelfish are no butterflyfish
        ("Charadriidae", "Scolopacidae"),  # the turnstone
        ("Ciconiiformes", "Pelecaniformes"),  # herons and spoonbills
        ("Ciconiiformes", "Phoenicopteriformes"),
        ("Coraciiformes", "Bucerotiformes"),
        ("Dictyoptera", "Blattodea"),
        ("Dictyoptera", "Mantodea"),
        ("Edentata", "Cingulata"),
        ("Edentata", "Pilosa"),
        ("Falconiformes", "Accipitriformes"),
        ("Fringillidae", "Cardinalidae"),  # the indigo bunting
        ("Fringillidae", "Passerellidae"),  # juncos
        ("Ganoidei", "Acipenseriformes"),
        ("Ganoidei", "Lepisosteiformes"),
        ("Gekkonidae", "Eublepharidae"),
        ("Gruiformes", "Otidiformes"),
        ("Iguanidae", "Dactyloidae"),  # anoles
        ("Mustelidae", "Mephitidae"),
        ("Phalangeridae", "Phascolarctidae"),
        ("Procyonidae", "Ailuridae"),
        ("Procyonidae", "Ursidae"),  # the giant panda
        ("Psittacidae", "Cacatuidae"),
        ("Psittacidae", "Psittaculidae"),
        ("Rajiformes", "Myliobatiformes"),
        ("Turdidae", "Pycnonotidae"),  # WordNet's bulbul is a nightingale; the photos are not
        ("Viverridae", "Herpestidae"),
    }
)

# Families that stand in no order: their place among the spiny-rayed fish is not settled.
NO_ORDER: Final = frozenset({"Pomacanthidae", "Pomacentridae"})

# Taxa of one word that are none of the four ranks -> the finest rank above them, and what it is.
BETWEEN: Final[Mapping[str, str]] = {
    "Amphiprioninae": "Pomacentridae",
    "Anatinae": "Anatidae",
    "Anisoptera": "Odonata",
    "Anthophila": "Hymenoptera",
    "Antilopini": "Bovidae",
    "Arini": "Psittacidae",
    "Astacidea": "Decapoda",
    "Botaurinae": "Ardeidae",
    "Callicebinae": "Pitheciidae",
    "Carduelinae": "Fringillidae",
    "Cebinae": "Cebidae",
    "Cercopithecini": "Cercopithecidae",
    "Cicadoidea": "Hemiptera",
    "Coliadinae": "Pieridae",
    "Colobini": "Cercopithecidae",
    "Cricetinae": "Cricetidae",
    "Curculionoidea": "Coleoptera",
    "Dynastinae": "Scarabaeidae",
    "Ensifera": "Orthoptera",
    "Hippotigris": "Equus",
    "Hydrophiinae": "Elapidae",
    "Hystricomorpha": "Rodentia",
    "Loriini": "Psittaculidae",
    "Lutrinae": "Mustelidae",
    "Medusozoa": "",
    "Mustelinae": "Mustelidae",
    "Natricinae": "Colubridae",
    "Nematoda": "",
    "Paguroidea": "Decapoda",
    "Platyhelminthes": "",
    "Presbytini": "Cercopithecidae",
    "Satyrinae": "Nymphalidae",
    "Scarabaeoidea": "Coleoptera",
    "Zygoptera": "Odonata",
}


class Placed(NamedTuple):
    """One animal, its scientific name and its place."""

    wordnet_id: str
    name: str
    taxon: str
    ranks: dict[str, str]


class Synset(NamedTuple):
    words: list[str]
    kinds_of: list[str]
    members_of: list[str]


def read_placed(animals: Path, lineages: Path) -> list[Placed]:
    rows = _read(lineages)
    if rows and tuple(rows[0]) != FIELDS:
        raise ValueError(f"{lineages}: the first line must be {','.join(FIELDS)}")
    ranks = {row["wordnet_id"]: {rank: row[rank] for rank in RANKS} for row in rows}
    named = _read(animals)
    ids = [row["wordnet_id"] for row in named]
    if [row["wordnet_id"] for row in rows] != ids:
        raise ValueError(f"{lineages} does not have the animals of {animals}, in their order")
    return [Placed(row["wordnet_id"], row["name"], row["taxon"], ranks[row["wordnet_id"]]) for row in named]


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_synsets(wordnet: Path) -> dict[str, Synset]:
    """Noun synset id -> its words, hypernyms (`@`, `@i`) and what it is a member of (`#m`)."""
    synsets = {}
    with (wordnet / "data.noun").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("  "):  # the licence
                continue
            fields = line.split(" | ", 1)[0].split()
            count = int(fields[3], 16)
            first = 4 + 2 * count
            pointers = fields[first + 1 : first + 1 + 4 * int(fields[first])]
            synsets[f"n{fields[0]}"] = Synset(
                [fields[4 + 2 * word] for word in range(count)],
                _targets(pointers, ("@", "@i")),
                _targets(pointers, ("#m",)),
            )
    return synsets


def _targets(pointers: Sequence[str], symbols: Sequence[str]) -> list[str]:
    return [f"n{pointers[i + 1]}" for i in range(0, len(pointers), 4) if pointers[i] in symbols]


def ranks_in_wordnet(synset: str, synsets: Mapping[str, Synset]) -> dict[str, str]:
    """The ranks of the nearest groups that the animal, or a kind above it, is a member of."""
    found: dict[str, str] = {}
    level, seen = [synset], set[str]()
    while level:
        for one in level:
            for group in synsets[one].members_of:
                for rank, name in _chain(group, synsets):
                    found.setdefault(rank, name)
        seen.update(level)
        level = [above for one in level for above in synsets[one].kinds_of if above not in seen]
    return found


def _chain(group: str, synsets: Mapping[str, Synset]) -> Iterator[tuple[str, str]]:
    """`genus_Canis`, `family_Canidae` ... from a group up to the kingdom."""
    for _ in range(MAX_STEPS):
        for word in synsets[group].words:
            rank, _, name = word.partition("_")
            if name and rank.lower() in RANKS:
                yield rank.lower(), name
        if not synsets[group].members_of:
            return
        group = synsets[group].members_of[0]


def check_ends(animals: Sequence[Placed]) -> Iterator[str]:
    """The place ends at the animal's own rank, and has no gap above it."""
    for animal in animals:
        where = f"{animal.wordnet_id} ({animal.name})"
        words = animal.taxon.split()
        finest = next((name for name in reversed(animal.ranks.values()) if name), "")
        own = words[0] if len(words) > 1 else BETWEEN.get(animal.taxon, animal.taxon)
        if finest != own:
            yield f"{where}: {animal.taxon} should end at {own or 'no rank'}, not {finest or 'no rank'}"
        names = list(animal.ranks.values())
        inner = names[: len(names) - names[::-1].index(finest)] if finest else []
        if "" in inner and not (animal.ranks["family"] in NO_ORDER and inner.count("") == 1 and not inner[1]):
            yield f"{where}: a rank above {finest} is empty"


def check_parents(animals: Sequence[Placed]) -> Iterator[str]:
    for rank, above in zip(RANKS[:0:-1], RANKS[-2::-1], strict=True):
        parents: dict[str, set[str]] = defaultdict(set)
        for animal in animals:
            if animal.ranks[rank]:
                parents[animal.ranks[rank]].add(animal.ranks[above])
        yield from (f"{rank} {name} stands in several: {found}" for name, found in parents.items() if len(found) > 1)


def check_wordnet(animals: Sequence[Placed], synsets: Mapping[str, Synset]) -> Iterator[str]:
    used: set[object] = set()
    for animal in animals:
        said = ranks_in_wordnet(animal.wordnet_id, synsets)
        for rank in CHECKED:
            theirs, ours = said.get(rank, ""), animal.ranks[rank]
            if not theirs or not ours or theirs == ours:
                continue
            used.update({theirs, (theirs, ours)})
            if RENAMED.get(theirs) != ours and (theirs, ours) not in MOVED:
                yield f"{animal.wordnet_id} ({animal.name}): {rank} is {ours}, in WordNet {theirs}"
    yield from (f"RENAMED: {name} is not needed" for name in sorted(RENAMED.keys() - used))
    yield from (f"MOVED: {pair} is not needed" for pair in sorted(MOVED - used))


def main(arguments: Sequence[str] | None = None) -> int:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description="Check the lineages of the built-in model's animals.")
    parser.add_argument("--animals", type=Path, default=here / "animals.csv", help="their names and taxa")
    parser.add_argument("--lineages", type=Path, default=here / "lineages.csv", help="the table to check")
    parser.add_argument("--wordnet", type=Path, help="folder with WordNet 3.0's data.noun (Debian: wordnet-base)")
    options = parser.parse_args(arguments)
    try:
        animals = read_placed(options.animals, options.lineages)
        errors = [*check_ends(animals), *check_parents(animals)]
        if options.wordnet is not None:
            errors += check_wordnet(animals, read_synsets(options.wordnet))
    except (OSError, ValueError) as error:
        errors = [str(error)]
    if errors:
        print("\n".join(errors), file=sys.stderr)
        return 1
    counts = ", ".join(f"{rank} of {sum(bool(animal.ranks[rank]) for animal in animals)}" for rank in RANKS)
    print(f"{options.lineages}: {len(animals)} animals; {counts}: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
