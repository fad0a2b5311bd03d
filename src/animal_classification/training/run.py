"""A run's folder: what was asked for, on what, with what; checkpoints while it runs; the bundle at its end.

    runs/<name>-<recipe>-<fingerprint>/
        config.yaml          the whole resolved configuration
        run.json             data version, code version, seed, environment, state (running, finished)
        lock                 held while a process works here
        checkpoints/         what a killed run continues from; deleted at the end
        metrics.csv          where the csv tracker is on
        bundle/              the model

The fingerprint is a hash of configuration, data, code (version, and commit of a checkout) and pretrained weights: the
same command finds its unfinished run again, and says so where other code began it. A finished run is never changed: the
same command then makes a folder with a number at its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from animal_classification import __version__
from animal_classification.common.file_lock import lock
from animal_classification.common.limits import available_cpus
from animal_classification.common.text_files import cannot_write, replace_text
from animal_classification.config.compose import as_yaml
from animal_classification.config.schema import Config
from animal_classification.errors import OutputError

INFO = "run.json"
LOCK = "lock"
# A run may go on with another number of processes: they compute the same.
_NO_PART_OF_WHAT_IS_COMPUTED: Any = {
    "output": True,
    "sweep": True,
    "tracking": True,
    "trainer": {"devices": True, "nodes": True},
}
_LONGEST_HOLDER = 1000  # bytes
_LIBRARIES = ("numpy", "openvino", "onnxruntime", "torch", "timm", "lightning")


@dataclass(frozen=True)
class Run:
    """A folder in the output folder.

    Attributes:
        path: The folder.
        resumed: It held unfinished work of the same run.
        notes: What a person should know, a line each.
    """

    path: Path
    resumed: bool
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def bundle(self) -> Path:
        """Where the model goes."""
        return self.path / "bundle"

    @property
    def checkpoints(self) -> Path:
        """For the recipe to keep what it can go on from."""
        return self.path / "checkpoints"

    @property
    def finished(self) -> bool:
        """It is done."""
        return self.info.get("state") == "finished"

    @property
    def info(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        info: dict[str, Any] = json.loads((self.path / INFO).read_text(encoding="utf-8"))
        return info

    def note(self, **facts: Any) -> None:
        """Add to ``run.json``, in one step.

        Raises:
            OutputError: The system refuses.
        """
        _write_json(self.path / INFO, {**self.info, **facts})

    def finish(self, **facts: Any) -> None:
        """Say that it is done; nothing will go on from here."""
        self.note(state="finished", **facts)
        with contextlib.suppress(OSError):  # an open file cannot be deleted on Windows
            (self.path / LOCK).unlink(missing_ok=True)
        shutil.rmtree(self.checkpoints, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What determines the model, besides the configuration.

    Attributes:
        data_version: Of the photos, divided.
        code: Version, and commit of a checkout.
        ingredients: Hashes of pretrained weights, by name.
    """

    data_version: str
    code: Mapping[str, str | None]
    ingredients: Mapping[str, str] = field(default_factory=dict)


def open_run(config: Config, *, name: str, data_version: str, ingredients: Mapping[str, str] | None = None) -> Run:
    """The unfinished run of the same configuration, data, code and ingredients, or a new one.

    Raises:
        OutputError: The output folder cannot be written.
    """
    origin = Origin(data_version=data_version, code=code_version(), ingredients=ingredients or {})
    mark = fingerprint(config, origin)
    base = Path(config.output) / f"{name}-{config.recipe.name}-{mark[:8]}"
    number = 1
    while True:
        path = base if number == 1 else base.with_name(f"{base.name}-{number}")
        state = _state(path)
        if state == "running":
            return Run(path, resumed=True)
        if state is None:
            break
        number += 1
    notes = _unfinished(base.parent, f"{name}-{config.recipe.name}-", config, origin)
    facts = {
        "state": "running",
        "fingerprint": mark,
        "seed": config.seed,
        "data": {"path": config.data.path, "version": data_version},
        "code": dict(origin.code),
        "ingredients": dict(origin.ingredients),
        "environment": environment(),
        "command": sys.argv[1:],
    }
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "config.yaml").write_text(as_yaml(config), encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error, "choose another output=") from error
    _write_json(path / INFO, facts)
    return Run(path, resumed=False, notes=notes)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock a run's folder for this process while the block lasts; the system unlocks it however the process ends.

    `Run.finish` deletes the file, so after locking it one must check whether the run is finished. Where the disk knows
    no locks, nothing is locked.

    Raises:
        OutputError: Another process has it, or it cannot be written.
    """
    path = folder / LOCK
    try:
        file = path.open("a+b")
    except OSError as error:
        raise cannot_write(path, error, "choose another output=") from error
    with file:
        if not lock(file.fileno(), needed=False):
            raise _in_use(folder, file)
        with contextlib.suppress(OSError):  # a full disk: others do not learn who holds it
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%X} UTC".encode())
            file.flush()
        yield


def fingerprint(config: Config, origin: Origin) -> str:
    """SHA-256 of everything that determines the model."""
    asked = config.model_dump(mode="json", by_alias=True, exclude=_NO_PART_OF_WHAT_IS_COMPUTED)
    text = json.dumps([asked, origin.data_version, dict(origin.code), dict(origin.ingredients)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _in_use(folder: Path, file: BinaryIO) -> OutputError:
    file.seek(0)
    holder = file.read(_LONGEST_HOLDER).decode("utf-8", "replace") or "another process"
    return OutputError(
        f"{str(folder)!r} is being trained by {holder}: wait until it is done, or choose another output= or seed="
    )


def _unfinished(folder: Path, beginning: str, config: Config, origin: Origin) -> tuple[str, ...]:
    """Runs of the same configuration and data that another version of the code began and did not finish.

    They are left alone: a model trained half by one version and half by another could not be reproduced.
    """
    notes = []
    for path in sorted(folder.glob(f"{beginning}*/{INFO}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            found = json.loads(path.read_text(encoding="utf-8"))
            began = found["code"]
            if (
                found["state"] == "running"
                and began != origin.code
                and found["fingerprint"] == fingerprint(config, replace(origin, code=began))
            ):
                which = (began["git"] or "")[:8] or began["version"]
                notes.append(
                    f"{path.parent} is an unfinished run of the same, begun by {which}; this is other code, so a new "
                    "run begins (to go on with that one, go back to its code)"
                )
    return tuple(notes)


def code_version() -> dict[str, str | None]:
    """This package's version, and the commit of its checkout if it runs from one."""
    return {"version": __version__, "git": _git_commit()}


def environment() -> dict[str, Any]:
    """What a person needs to know to run it again."""
    libraries = {}
    for library in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            libraries[library] = metadata.version(library)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": available_cpus(),
        "libraries": libraries,
    }


def _git_commit() -> str | None:
    """The commit, if this file belongs to a checkout; an installed package may lie in another project's."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        for words in (("ls-files", "--error-unmatch", Path(__file__).name), ("rev-parse", "HEAD")):
            done = subprocess.run(  # noqa: S603 - fixed words
                ["git", *words],  # noqa: S607 - whichever git the user has
                cwd=Path(__file__).parent,
                capture_output=True,
                text=True,
                timeout=5,
                check=True,
            )
        return done.stdout.strip()
    return None


def _state(path: Path) -> str | None:
    """``running``, ``finished``, ``damaged``, or ``None`` without a run."""
    try:
        return str(json.loads((path / INFO).read_text(encoding="utf-8")).get("state"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:  # true of every number that could be tried next
        raise OutputError(f"cannot read {str(path)!r}: {error.strerror}; choose another output=") from error
    except (OSError, ValueError):
        return "damaged"


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    replace_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", path)
