"""Runs in Weights & Biases: online where there is a key, else in files that ``wandb sync`` takes later."""

from __future__ import annotations

import io
import netrc
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from animal_classification.tracking.run_state import Logged, recall, remember

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.training.run import Run

NAME = "wandb"
# Set before wandb is imported; what the user has set stays.
_ENVIRONMENT = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
# How long a server may keep the run waiting, at its beginning (its thread) and at its end. Where none is asked there is
# only this machine to wait for, however busy it is: W&B's own patience and the thread's are enough.
_SERVER_LIMITS = {"init_timeout": 15.0, "finish_timeout": 30.0, "finish_timeout_raises": True}


class WandbTracker:
    """One run. A number that an earlier part of the run has logged for a step is not logged again."""

    def __init__(self, run: Any, logged: Logged) -> None:
        self._run = run
        self._logged = logged
        self._step = logged.last_step()

    def log_config(self, config: Mapping[str, object]) -> None:
        self._run.config.update(dict(config), allow_val_change=True)

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        if new := self._logged.new(values, step):
            self._log({name: float(values[name]) for name in new}, step)
            self._logged.note(new, step)

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        import wandb
        from PIL import Image

        if self._logged.new([name], step):
            with Image.open(io.BytesIO(png)) as picture:
                self._log({name: wandb.Image(picture.convert("RGB"))}, step)
            self._logged.note([name], step)

    def log_bundle(self, bundle: Path) -> None:
        import wandb

        artifact = wandb.Artifact(f"bundle-{self._run.id}", type="model")
        # The run's own folder is not changed any more, so that no second copy is needed until it is sent.
        artifact.add_dir(str(bundle), policy="immutable", skip_cache=True)
        self._run.log_artifact(artifact)

    def close(self, *, failed: bool) -> None:
        self._logged.close()
        self._run.finish(exit_code=1 if failed else 0)

    def _log(self, values: dict[str, Any], step: int) -> None:
        self._step = max(self._step, step)  # a step that goes back would be dropped without an error
        self._run.log(values, step=self._step)


def open_wandb(config: Config, run: Run) -> WandbTracker:
    """Begin a run in W&B, or go on with the one that this folder began.

    Raises:
        Exception: Whatever W&B or the network raise.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import wandb

    folder = run.path.absolute()
    resumed = run.resumed and NAME in recall(folder)
    identifier = recall(folder)[NAME]["run_id"] if resumed else uuid.uuid4().hex[:8]
    mode = _mode(wandb.Settings().base_url)
    started = wandb.init(
        project=config.tracking.project,
        id=identifier,
        name=run.id,
        job_type="train",
        tags=[config.recipe.name],
        resume="allow",
        mode=mode,
        dir=str(folder),
        settings=_settings(mode),
    )
    if not resumed:
        remember(folder, NAME, {"run_id": identifier, "project": config.tracking.project})
    return WandbTracker(started, Logged(folder / "wandb" / "logged.jsonl", resumed=resumed))


def _mode(server: str) -> Any:
    """What ``WANDB_MODE`` says, else what is possible."""
    return os.environ.get("WANDB_MODE") or ("online" if has_key(server) else "offline")


def has_key(server: str) -> bool:
    """Whether the environment or a netrc file signs in at this server."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    home = Path.home()
    files = [Path(named)] if (named := os.environ.get("NETRC")) else [home / ".netrc", home / "_netrc"]
    for file in files:
        try:
            if netrc.netrc(str(file)).authenticators(urlsplit(server).netloc):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _settings(mode: str) -> Any:
    """Only what was logged: no statistics of the machine, no copy of console or code; and no server waits for ever."""
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=1.0,
        **({} if mode == "offline" else _SERVER_LIMITS),
    )
