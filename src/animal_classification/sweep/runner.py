"""``run_sweep``: from a configuration to a study with as many finished trials as were asked for."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from animal_classification.errors import AnimalsError, MissingExtraError, UsageError
from animal_classification.sweep.search_space import Space, Value, Vary, check, size, space_of, suggest
from animal_classification.sweep.storage import opened, quiet
from animal_classification.sweep.study_identity import Identity, asked_for, note_down, other_studies
from animal_classification.sweep.worker_lock import Worker
from animal_classification.training.run import code_version

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from animal_classification.config.schema import Config, SweepConfig
    from animal_classification.sweep.trials import Trials
    from animal_classification.tracking.tracker import Tracker

MADE_FOR, BUNDLE, METRICS, SECONDS, SAME_AS = "made_for", "bundle", "metrics", "seconds", "same_as"
FAILURES_IN_A_ROW = 3


class TrialResult(Protocol):
    """What a sweep needs of a training's result."""

    @property
    def bundle(self) -> Path: ...

    @property
    def metrics(self) -> Mapping[str, float]: ...

    @property
    def seconds(self) -> float: ...


class Train(Protocol):
    """``training.training.train``."""

    def __call__(self, config: Config, *, listeners: Sequence[Tracker]) -> TrialResult: ...


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What is to be found out.

    Attributes:
        config: What does not change.
        vary: Makes the configuration of a trial.
        space: What changes.
        folder: For the study's files.
        name: The study's.
        wanted: How many trials are to be finished.
        minimise: Whether less is better.
        identity: Of the study: other photos or other code make another one.
    """

    config: Config
    vary: Vary
    space: Space
    folder: Path
    name: str
    wanted: int
    minimise: bool
    identity: Identity

    @property
    def settings(self) -> SweepConfig:
        """How it is searched."""
        return self.config.sweep


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """A study, and what went on in this process.

    Attributes:
        sweep: What was asked.
        trials: All of the study, by number.
        seconds: How long this process was at it.
        notes: What a person should know, a line each.
    """

    sweep: Sweep
    trials: tuple[FrozenTrial, ...]
    seconds: float
    notes: tuple[str, ...]


Tell = Callable[[str], None]


def plan(vary: Vary, *, version_of: Callable[[Config], str] = lambda _: "") -> Sweep:
    """What a configuration asks for, checked.

    Args:
        vary: Makes the configuration of a trial.
        version_of: Says which version the photos of a configuration are now; asked when everything else is right.

    Raises:
        UsageError: The space and the configuration do not go together.
        MissingExtraError: Optuna is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("animals sweep", "sweep") from error
    config = vary({})
    space = space_of(config)
    check(space, vary)
    settings = config.sweep
    study = settings.study
    if study is not None and (Path(study).name != study or study in (".", "..")):
        raise UsageError(f"sweep.study is {study!r}; it names a folder, so it must hold no slash")
    wanted = settings.trials if settings.sampler != "grid" else int(min(settings.trials, size(space)))
    minimise = settings.direction == "minimize" or (settings.direction == "auto" and settings.metric.endswith("loss"))
    identity = Identity(asked=asked_for(config, space), data=version_of(config), code=code_version())
    name = study or f"sweep-{config.recipe.name}-{identity.mark[:8]}"
    return Sweep(
        config=config,
        vary=vary,
        space=space,
        folder=Path(config.output) / name,
        name=name,
        wanted=wanted,
        minimise=minimise,
        identity=identity,
    )


def run_sweep(sweep: Sweep, train: Train, *, tell: Tell = lambda _: None) -> SweepOutcome:
    """Train until as many trials are finished as were asked for, here or by other workers of the same study.

    Args:
        sweep: From ``plan``.
        train: Trains one configuration.
        tell: Told a line for each trial that is done.

    Raises:
        UsageError: The study was made for something else; or a configuration cannot be trained at all.
        Exception: Several trials failed one after the other; the last one's.
    """
    import optuna

    from animal_classification.sweep.trials import Trials

    begun = time.monotonic()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seconds = sweep.settings.seconds
    deadline = None if seconds is None else begun + seconds
    with quiet(), opened(sweep.settings.storage, sweep.folder) as storage, Worker(sweep.folder / "workers") as worker:
        study = _study(sweep, storage)
        note_down(sweep.folder, sweep.identity)
        trials = Trials(study, storage, wanted=sweep.wanted, worker=worker, deadline=deadline)
        _run(sweep, trials, train, tell)
        found = tuple(study.get_trials())
        if not any(trial.state is optuna.trial.TrialState.RUNNING for trial in found):
            worker.tidy()
    return SweepOutcome(sweep=sweep, trials=found, seconds=time.monotonic() - begun, notes=_notes(sweep, found))


def _run(sweep: Sweep, trials: Trials, train: Train, tell: Tell) -> None:
    failures = 0
    for trial in trials:
        try:
            with trials.alive(trial):
                tell(_attempt(sweep, trials, trial, train))
            failures = 0
        except Exception as error:  # whatever it is, other values may do
            reason = str(error) if isinstance(error, AnimalsError) else f"{type(error).__name__}: {error}"
            trials.give_up(trial, reason)
            failures += 1
            tell(f"trial {trial.number} failed: {reason}")
            if isinstance(error, UsageError) or failures == FAILURES_IN_A_ROW:
                raise


def _attempt(sweep: Sweep, trials: Trials, trial: optuna.Trial, train: Train) -> str:
    """Do a trial to its end, good or bad; returns what to say of it."""
    import optuna
    from optuna.trial import TrialState

    from animal_classification.sweep.pruning_callback import PruningCallback

    values = suggest(trial, sweep.space)
    everything = trials.all()
    same = _done_before(everything, trial)
    if same is not None:
        for name in (BUNDLE, METRICS):
            trial.set_user_attr(name, same.user_attrs[name])
        trial.set_user_attr(SAME_AS, same.number)
        trials.study.tell(trial, same.value)
        return f"trial {trial.number}: the same as trial {same.number}"
    config = _config(sweep, trial, values)
    try:
        watcher = PruningCallback(trial, sweep.settings.metric, _earlier(everything, trial))
        result = train(config, listeners=[watcher])
        value = _value(sweep.settings.metric, result.metrics, watcher.last)
    except optuna.TrialPruned as why:
        trials.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        for checkpoints in Path(config.output).glob("*/checkpoints"):
            shutil.rmtree(checkpoints, ignore_errors=True)  # nothing will go on from them
        return f"trial {trial.number} pruned: {why}"
    trial.set_user_attr(BUNDLE, str(result.bundle))
    trial.set_user_attr(METRICS, dict(result.metrics))
    trial.set_user_attr(SECONDS, round(result.seconds, 2))
    trials.study.tell(trial, value, skip_if_finished=True)
    return f"trial {trial.number}: {sweep.settings.metric} {value:.4g}"


def _config(sweep: Sweep, trial: optuna.Trial, values: Mapping[str, Value]) -> Config:
    """The trial's configuration: with a folder of its own, and without what only a run by itself is worth."""
    from animal_classification.sweep.trials import RUN

    number = trial.user_attrs.get(RUN, trial.number)
    trackers = [name for name in sweep.config.tracking.to if name not in ("auto", "mlflow")]
    return sweep.vary(
        {
            **values,
            "output": str(sweep.folder / "trials" / f"{number:04d}"),
            "tracking.to": trackers,
            "tracking.register": False,
        }
    )


def _value(metric: str, metrics: Mapping[str, float], last: float | None) -> float:
    """What the trial is worth: the metric of the model that came out, else the last one on the way.

    Raises:
        UsageError: The recipe has no such metric.
        TrialPruned: It is no number.
    """
    import optuna

    value = metrics.get(metric, last)
    if value is None:
        raise UsageError(f"sweep.metric: the recipe reports no {metric!r}; it reports {', '.join(sorted(metrics))}")
    if not math.isfinite(value):
        raise optuna.TrialPruned(f"{metric} is {value}")
    return float(value) + 0.0  # -0.0 is 0.0


def _done_before(trials: Sequence[FrozenTrial], trial: optuna.Trial) -> FrozenTrial | None:
    """A trial of the same values that ran to its end: training is deterministic, so it would be the same again."""
    from optuna.trial import TrialState

    return next(
        (other for other in trials if other.state is TrialState.COMPLETE and other.params == trial.params), None
    )


def _earlier(trials: Sequence[FrozenTrial], trial: optuna.Trial) -> FrozenTrial | None:
    """The attempt at this trial that was interrupted."""
    from animal_classification.sweep.trials import RETRY_OF

    number = trial.user_attrs.get(RETRY_OF)
    return next((other for other in trials if other.number == number), None)


def _study(sweep: Sweep, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """The study of that name, or a new one.

    Raises:
        UsageError: There is one of that name for something else.
    """
    import optuna

    from animal_classification.sweep.samplers import pruner, sampler

    study = optuna.create_study(
        study_name=sweep.name,
        storage=storage,
        sampler=sampler(sweep.settings, sweep.space, sweep.config.seed),
        pruner=pruner(sweep.settings),
        direction="minimize" if sweep.minimise else "maximize",
        load_if_exists=True,
    )
    mine = sweep.identity.as_text()
    made_for = study.user_attrs.get(MADE_FOR, mine)
    if made_for != mine:
        theirs = Identity.from_text(made_for)
        what = sweep.identity.differences(theirs) if theirs else "another configuration or space, by an older version"
        raise UsageError(
            f"study {sweep.name!r} was made for {what}; take back what was changed, or give another sweep.study="
        )
    study.set_user_attr(MADE_FOR, mine)
    return study


def _notes(sweep: Sweep, trials: Sequence[FrozenTrial]) -> tuple[str, ...]:
    others = tuple(other_studies(sweep.folder, sweep.identity))
    return (*others, *_notes_on_points(sweep, trials))


def _notes_on_points(sweep: Sweep, trials: Sequence[FrozenTrial]) -> tuple[str, ...]:
    points, repeats = size(sweep.space), sum(SAME_AS in trial.user_attrs for trial in trials)
    if sweep.wanted < sweep.settings.trials:
        return (f"the grid has {sweep.wanted} points, so there are {sweep.wanted} trials",)
    if repeats:
        of = f"; the space has only {points:.0f} points" if points < sweep.wanted else ""
        return (f"{repeats} of {len(trials)} trials had values of earlier ones and took their results{of}",)
    return ()
