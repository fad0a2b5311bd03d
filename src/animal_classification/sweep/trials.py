"""The trials of a study, divided among workers so that exactly as many finish as were asked for.

A trial is finished when it ran to its end or was pruned. The database gives out their numbers one by one: a new trial
runs if fewer earlier trials than were asked for have not failed, and is given up otherwise. A failed trial stays
failed, so no more than that can ever finish, however many workers start at the same time.

A trial whose worker died is marked as failed and its values are tried again: training continues from its checkpoint.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import optuna
from optuna.trial import TrialState

from animal_classification.common.file_lock import lock
from animal_classification.common.text_files import cannot_write
from animal_classification.tracking.tracker import NoTracker

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial


WORKER, RUN, RETRY_OF, ATTEMPT, REASON = "worker", "run", "retry_of", "attempt", "reason"
ATTEMPTS = 3  # a process that dies so often with the same values dies because of them
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
POLL_SECONDS = 0.5


class Trials:
    """All trials of a study, as one worker sees them.

    Args:
        study: The study.
        storage: Where it is kept; gets heartbeats.
        wanted: How many trials to finish.
        worker: This process.
        deadline: Of ``time.monotonic()``; no trial starts after it.
    """

    def __init__(
        self, study: optuna.Study, storage: RDBStorage, *, wanted: int, worker: Worker, deadline: float | None
    ) -> None:
        self.study = study
        self._storage = storage
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._wanted = wanted
        self._worker = worker
        self._deadline = deadline
        self._local = storage.url.startswith("sqlite")

    def __iter__(self) -> Iterator[optuna.Trial]:
        """Trials to run, until enough are finished, here or elsewhere, or the time is up."""
        while self._deadline is None or time.monotonic() < self._deadline:
            self._recover()
            trials = self.all()
            if sum(trial.state in FINISHED for trial in trials) >= self._wanted:
                return
            trial = self._take(trials)
            if trial is None:
                threading.Event().wait(POLL_SECONDS)  # other workers run the last ones, and may die
            else:
                yield trial

    def all(self) -> list[FrozenTrial]:
        """As they stand now."""
        return self.study.get_trials(deepcopy=False)

    @contextlib.contextmanager
    def alive(self, trial: optuna.Trial) -> Iterator[None]:
        """Send heartbeats while the body runs."""
        done = threading.Event()
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial.number)
        thread = threading.Thread(target=self._beat, args=(trial_id, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _take(self, trials: Sequence[FrozenTrial]) -> optuna.Trial | None:
        """A waiting trial, or a new one if more are needed."""
        waiting = any(trial.state is TrialState.WAITING for trial in trials)
        if not waiting and sum(trial.state is not TrialState.FAIL for trial in trials) >= self._wanted:
            return None
        trial = self.study.ask()
        trial.set_user_attr(WORKER, self._worker.id)
        before = [other for other in self.all() if other.number < trial.number]
        if sum(other.state is not TrialState.FAIL for other in before) >= self._wanted:
            self.give_up(trial, "another worker was quicker")
            return None
        return trial

    def give_up(self, trial: optuna.Trial, reason: str) -> None:
        """Mark a trial as failed for good."""
        trial.set_user_attr(REASON, reason)
        self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def _recover(self) -> None:
        """Queue the trials of dead workers again."""
        for trial in self.all():
            if trial.state is TrialState.RUNNING and self._is_abandoned(trial):
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        optuna.storages.fail_stale_trials(self.study)
        trials = self.all()
        tried_again = {trial.user_attrs.get(RETRY_OF) for trial in trials}
        for trial in trials:
            attempt = trial.user_attrs.get(ATTEMPT, 1)
            died = trial.state is TrialState.FAIL and REASON not in trial.user_attrs and attempt < ATTEMPTS
            if died and trial.params and trial.number not in tried_again:
                run = trial.user_attrs.get(RUN, trial.number)
                again = {RETRY_OF: trial.number, RUN: run, ATTEMPT: attempt + 1}
                self.study.enqueue_trial(trial.params, user_attrs=again)

    def _is_abandoned(self, trial: FrozenTrial) -> bool:
        worker = trial.user_attrs.get(WORKER)
        if worker is None:  # between the two calls that create a trial and name its worker
            return self._local and self._worker.is_alone()
        return self._worker.is_gone(worker)

    def _beat(self, trial_id: int, done: threading.Event) -> None:
        interval: Any = self._storage.get_heartbeat_interval()
        while True:
            # A lost heartbeat is no reason to end a training; the next one may get through.
            with contextlib.suppress(Exception):
                self._storage.record_heartbeat(trial_id)
            if done.wait(interval):
                return


class Worker:
    """This process at work on a study, alive as long as it holds the lock on its file.

    The system unlocks it when the process ends, even by ``kill -9``, and never before. Only processes with the same
    folder see it; others rely on heartbeats.

    Args:
        folder: For the files of all workers of the study.
    """

    def __init__(self, folder: Path) -> None:
        self.id = uuid.uuid4().hex
        self._folder = folder
        self._path = folder / f"{self.id}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        except OSError as error:
            raise cannot_write(folder, error, "choose another output=") from error
        # A worker that checks whether it is free locks it for a moment. A disk without locks leaves only heartbeats.
        for _ in range(1000):
            if _lock(self._file):
                break

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After an exception the file stays without its lock: a trial may have to be run again."""
        self._file.close()
        if kind is None:
            self._path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Delete the files of dead workers, when no trial of theirs has to be run again."""
        for path in self._folder.glob("*.lock"):
            if path != self._path and _is_free(path):
                path.unlink(missing_ok=True)

    def is_gone(self, other: str) -> bool:
        """That worker is dead."""
        return other != self.id and _is_free(self._folder / f"{other}.lock")

    def is_alone(self) -> bool:
        """No other worker of this folder is alive."""
        return all(_is_free(path) for path in self._folder.glob("*.lock") if path != self._path)


class PruningCallback(NoTracker):
    """A tracker that reports one metric of each epoch to a trial, and ends a trial that is worse than most.

    Args:
        trial: The trial.
        metric: Its name.
        earlier: An interrupted attempt at the same trial, whose reports are taken over.

    Raises:
        TrialPruned: From ``log_metrics``: others were better at the same epoch, or the metric is not a finite number.
    """

    def __init__(self, trial: optuna.Trial, metric: str, earlier: FrozenTrial | None = None) -> None:
        self._trial = trial
        self._metric = metric
        self._reported: set[int] = set()
        self.last: float | None = None
        for step, value in sorted(earlier.intermediate_values.items()) if earlier else ():
            self._report(value, step)

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        value = values.get(self._metric)
        if value is None:
            return
        if not math.isfinite(value):
            raise optuna.TrialPruned(f"{self._metric} is {value} in epoch {step}")
        self._report(float(value), step)
        if not self._metric.startswith("test/") and self._trial.should_prune():  # a test comes when all is done
            raise optuna.TrialPruned(f"{self._metric} is {value:.4g} in epoch {step}, worse than most")

    def _report(self, value: float, step: int) -> None:
        self.last = value
        if step not in self._reported:
            self._reported.add(step)
            self._trial.report(value, step)


def _is_free(path: Path) -> bool:
    try:
        with path.open("r+b") as file:
            return _lock(file)
    except OSError:
        return False


def _lock(file: BinaryIO) -> bool:
    """Lock it, unless another process has it or the disk knows no locks."""
    with contextlib.suppress(OSError):
        return lock(file.fileno())
    return False
