"""``animals monitor forget``: deletes single photos from the log, and from the loops that learn from it."""

# Imported where they are used: SQLAlchemy and NumPy take 100 ms each to load, and --help needs neither. What a loop
# needs is loaded where there is one: a machine that only serves need not have it.

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cli.log_options import log_options, log_place, opened
from animal_classification.cli.options import json_option
from animal_classification.cli.output import print_notes
from animal_classification.common.console import printable
from animal_classification.common.hashes import hash_file
from animal_classification.errors import UsageError
from animal_classification.prediction_log.photo_store import is_hash, photos_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from animal_classification.loop.collected_photos import CollectedPhotos
    from animal_classification.loop.config import LoopConfig
    from animal_classification.loop.forgetting import ForgottenInLoop
    from animal_classification.prediction_log.forget_requests import ForgetRequests
    from animal_classification.prediction_log.forgetting import Forgotten
    from animal_classification.prediction_log.location import LogLocation

LOOP_FILE = "loop.yaml"


@click.command()
@click.argument("photos", metavar="PHOTO...", nargs=-1, required=True)
@click.option(
    "--loop",
    "loops",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The configuration of a loop that learns from this log; repeatable.  [default: {LOOP_FILE}, if it is here]",
)
@click.option("--why", default="", help="For the ledger of the loops, where it stays for ever: name nobody.")
@log_options
@json_option
def forget(
    *,
    photos: tuple[str, ...],
    loops: tuple[Path, ...],
    why: str,
    log_folder: str | None,
    log_url: str | None,
    as_json: bool,
) -> None:
    """Delete all that is kept of single photos: the photo, its predictions, what people said, and rows that wait.

    PHOTO is the SHA-256 of the photo's bytes in hex, as the log, the review and labels.csv have it; the id of a
    prediction; or a file that has these bytes.

    A loop's collected photo goes as well, with its labels and its rows in manifests; the loop never collects it again.
    What cannot be taken back is told: models that have learned from it, earlier versions of the data.

    A server may run meanwhile. Safe to say again. Exits with 1 where nothing is kept of any of them.
    """
    from animal_classification.prediction_log.forget_requests import one_at_a_time

    configs = _loop_configs(loops)
    with ExitStack() as stack:
        places = _places(log_folder, log_url, configs)
        # SQLite has its folder, if anything is kept.
        stack.enter_context(one_at_a_time(places[0].folder, make=bool(places[0].url)))
        work = _ForgetWork.open(stack, places, configs)
        requests = work.begin(photos)
        done = work.forget_in_logs()
        if not as_json:
            _tell(done)
        found = [_forget_in(config, work.hashes, why) for config in configs]
        unseen = work.unseen_loops()
        if not done.held:
            requests.end()
    in_loops = [one for one in found if one.photos]
    if as_json:
        click.echo(json.dumps(asdict(done) | {"loops": [asdict(one) for one in found], "unseen": unseen}))
    else:
        _tell_of_loops(in_loops)
    if not (done or in_loops or as_json):
        which = work.hashes[0] if len(photos) == 1 else f"these {len(photos)} photos"
        click.echo(printable(f"animals: nothing is kept of {which} in {work.places}"), err=True)
    if done.held:
        click.echo("animals: a server that cannot reach the database may still write a row; forget again", err=True)
    print_notes(
        f"the loop of {where} has collected from this log, too; forget again with its --loop" for where in unseen
    )
    if done.held or unseen or not (done or in_loops):
        raise click.exceptions.Exit(1)


@dataclass
class _ForgetWork:
    """Logs and loops to forget photos in.

    Attributes:
        logs: Each with its database, where that is there.
        configs: Of the loops.
        hashes: SHA-256 of the photos.
    """

    logs: Sequence[tuple[LogLocation, Engine | None]]
    configs: Sequence[LoopConfig]
    hashes: tuple[str, ...] = field(default=())

    @classmethod
    def open(cls, stack: ExitStack, places: Sequence[LogLocation], configs: Sequence[LoopConfig]) -> _ForgetWork:
        """Open the databases, until the stack is closed."""
        from animal_classification.prediction_log.deletion import database_of

        return cls([(place, stack.enter_context(opened(database_of(place)))) for place in places], configs)

    @property
    def places(self) -> str:
        """The logs' folders."""
        return ", ".join(str(place.folder) for place, _ in self.logs)

    def begin(self, words: Sequence[str]) -> ForgetRequests:
        """Find out which photos are meant, and write it down."""
        from animal_classification.prediction_log.forget_requests import ForgetRequests

        loops = _collected(self.configs)
        begun = ForgetRequests.read(self.logs[0][0].folder)
        meant = {word: begun.photos.get(word) or self._photos_of(word, loops) for word in dict.fromkeys(words)}
        for loop in loops:
            for word, photos in meant.items():
                hashes = loop.hashes_of(photos)
                meant[word] = tuple(dict.fromkeys((*photos, *hashes, *hashes.values())))
        requests = begun.begin(meant)
        self.hashes = requests.all_photos
        return requests

    def _photos_of(self, word: str, loops: Sequence[CollectedPhotos]) -> tuple[str, ...]:
        """SHA-256 of the photo that is meant; of a kept photo its name, too, because it may have been made smaller."""
        from animal_classification.prediction_log.feedback import prediction

        if is_hash(word.lower()):
            return (word.lower(),)
        try:
            return (*([Path(word).name] if is_hash(Path(word).name) else []), hash_file(Path(word)))
        except (OSError, ValueError) as error:
            rows = (prediction(engine, word) for _, engine in self.logs if engine is not None)
            found = next((str(row["photo"]) for row in rows if row is not None), None)
            found = found or next((photo for loop in loops if (photo := loop.of_prediction(word))), None)
            if found is None:
                reason = error.strerror if isinstance(error, OSError) else error
                raise UsageError(
                    f"{word!r} is neither the SHA-256 of a photo (64 digits in hex), nor the id of a prediction that "
                    f"is kept, nor a file that can be read ({reason})"
                ) from error
            return (found,)

    def forget_in_logs(self) -> Forgotten:
        """Delete the photos from all logs."""
        from dataclasses import replace

        from animal_classification.monitoring.baselines import BaselineStore, forget_in_baselines
        from animal_classification.prediction_log.forgetting import Forgotten
        from animal_classification.prediction_log.forgetting import forget as forget_photos

        done = Forgotten()
        for place, engine in self.logs:
            found = forget_photos(place, engine, photos_at(place.photos), self.hashes)
            found = replace(found, baselines=forget_in_baselines(BaselineStore(place), engine, self.hashes))
            sums = {one.name: getattr(done, one.name) + getattr(found, one.name) for one in fields(done)}
            done = Forgotten(**{**sums, "held": done.held or found.held})
        return done

    def unseen_loops(self) -> list[str]:
        """Loops that have collected from these logs, were not named, and may have one of the photos."""
        from animal_classification.loop.ledger import collected_folders, cycle_number

        unseen = []
        for _, engine in self.logs:
            for cycle, folder in collected_folders(engine).items() if engine is not None else ():
                named = any(cycle_number(config.model, cycle) is not None for config in self.configs)
                if not named and (not folder.is_dir() or _cycle_has(folder, self.hashes)):
                    unseen.append(f"{cycle} ({folder})")
        return unseen


def _loop_configs(files: tuple[Path, ...]) -> list[LoopConfig]:
    here = [Path(LOOP_FILE)] if Path(LOOP_FILE).is_file() else []
    if not (files or here):
        return []
    from animal_classification.loop.config import load_config

    return [load_config(file) for file in (files or here)]


def _collected(configs: Sequence[LoopConfig]) -> list[CollectedPhotos]:
    if not configs:
        return []
    from animal_classification.loop.collected_photos import CollectedPhotos

    return [CollectedPhotos.of(config.home, config.model) for config in configs]


def _cycle_has(folder: Path, photos: Sequence[str]) -> bool:
    from animal_classification.loop.collected_photos import cycle_has

    return cycle_has(folder, photos)


def _places(folder: str | None, url: str | None, configs: Sequence[LoopConfig]) -> list[LogLocation]:
    """The log that the options name, and those of the loops, each once."""
    named = [log_place(folder, url)] if folder is not None or url is not None or not configs else []
    if not configs:
        return named
    from animal_classification.loop.workplace import log_place as log_place_of

    return list(dict.fromkeys([*named, *map(log_place_of, configs)]))


def _forget_in(config: LoopConfig, photos: Sequence[str], why: str) -> ForgottenInLoop:
    from animal_classification.loop.forgetting import forget_in_loop
    from animal_classification.loop.workplace import open_workplace

    with open_workplace(config) as work:
        return forget_in_loop(work, photos, why)


def _tell(done: Forgotten) -> None:
    if done:
        click.echo(
            f"animals: deleted {done.predictions} predictions, {done.words} words on them, {done.photos} kept photos "
            f"and {done.waiting} rows that waited"
            + (f", and {done.baselines} photos of accepted baselines" if done.baselines else "")
        )


def _tell_of_loops(loops: Sequence[ForgottenInLoop]) -> None:
    for one in loops:
        where = f"its data of {', '.join(one.cycles)}" if one.cycles else "what it keeps"
        click.echo(printable(f"animals: deleted {one.photos} photos from the loop of {one.model}: from {where}"))
        click.echo(printable(f"animals: the loop does not collect them again; its ledger says so in {one.ledger}"))
        print_notes(_cannot_be_undone(one))


def _cannot_be_undone(one: ForgottenInLoop) -> list[str]:
    notes = []
    if one.learned:
        notes.append(
            f"not undone: {', '.join(one.learned)} learned from them, and keep what they learned until they are deleted"
        )
    if one.tested:
        notes.append(f"not undone: {', '.join(one.tested)} were tested on them: numbers, and a reference for drift")
    notes += [f"not deleted: {file} is your own file; delete it yourself" for file in one.own]
    if one.to_commit:
        notes.append(f"the data are DVC's; to commit them: {one.to_commit}")
        notes.append(
            "not deleted: earlier versions in DVC's cache and remotes; this deletes all but the current one: "
            "dvc gc --workspace --cloud"
        )
    return notes
