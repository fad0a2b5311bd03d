"""The trials of a study, shared out among workers so that exactly as many are finished as were asked for.

A trial is finished when it ran to its end or was pruned. Numbers are given out by the database, one by one: a new trial
may go on if fewer trials before it than were asked for have not failed, and is given up otherwise. Trials never come
back from failure, so no more than that can ever be finished, whoever starts at the same time.

A trial whose worker died is marked as failed, and its values are tried again: the training goes on from its checkpoint.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

    from animal_classification.sweep.worker_lock import Worker

WORKER, RUN, RETRY_OF, ATTEMPT, REASON = "worker", "run", "retry_of", "attempt", "reason"
ATTEMPTS = 3  # values at which a process dies so often are to blame themselves
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
POLL_SECONDS = 0.5


class Trials:
    """All trials of a study, as one worker sees them.

    Args:
        study: The study.
        storage: Where it is, to leave signs of life in.
        wanted: How many are to be finished.
        worker: This process.
        deadline: Of ``time.monotonic()``; none are begun after it.
    """

    def __init__(
        self, study: optuna.Study, storage: RDBStorage, *, wanted: int, worker: Worker, deadline: float | None
    ) -> None:
        self.study = study
        self._storage = storage
        self._wanted = wanted
        self._worker = worker
        self._deadline = deadline
        self._local = storage.url.startswith("sqlite")

    def __iter__(self) -> Iterator[optuna.Trial]:
        """Trials to do, until as many as asked for are finished, here or elsewhere, or the time is up."""
        while self._deadline is None or time.monotonic() < self._deadline:
            self._recover()
            trials = self.all()
            if sum(trial.state in FINISHED for trial in trials) >= self._wanted:
                return
            trial = self._take(trials)
            if trial is None:
                threading.Event().wait(POLL_SECONDS)  # others are at the last ones, and may die
            else:
                yield trial

    def all(self) -> list[FrozenTrial]:
        """As they stand now."""
        return self.study.get_trials(deepcopy=False)

    @contextlib.contextmanager
    def alive(self, trial: optuna.Trial) -> Iterator[None]:
        """Leave signs of life while the body runs."""
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(trial._trial_id, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _take(self, trials: Sequence[FrozenTrial]) -> optuna.Trial | None:
        """A trial that waits, or a new one if there is room."""
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
        """Mark a trial as failed, for a reason that trying again does not help."""
        trial.set_user_attr(REASON, reason)
        self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def _recover(self) -> None:
        """Have the trials of dead workers done again."""
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
        if worker is None:  # it died, or is, between two words to the database
            return self._local and self._worker.is_alone()
        return self._worker.is_gone(worker)

    def _beat(self, trial_id: int, done: threading.Event) -> None:
        interval: Any = self._storage.get_heartbeat_interval()
        while True:
            # One that does not get through is no reason to end a training; the next one may.
            with contextlib.suppress(Exception):
                self._storage.record_heartbeat(trial_id)
            if done.wait(interval):
                return
