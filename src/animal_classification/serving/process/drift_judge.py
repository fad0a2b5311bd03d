"""Judges drift beside a running server: on a thread of its own, every some minutes, in one process of all.

A round reads at most 2,000 rows for a window and holds no lock that an answer waits for. The thread keeps the priority
of the others: one of a lower priority that holds the interpreter's lock when a busy system takes its core away would
hold up every answer until it runs again.
"""

# Imported where it is used: the judge loads SQLAlchemy and Alembic, which a server without a log does not need.

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from animal_classification.common.durations import seconds_of
from animal_classification.errors import AnimalsError
from animal_classification.prediction_log.database import is_there
from animal_classification.prediction_log.database_errors import LogDatabaseError
from animal_classification.serving.observability.json_logs import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from animal_classification.monitoring.log_judge import LogJudge, ServedVersion
    from animal_classification.prediction_log.drift_records import DriftRecord
    from animal_classification.prediction_log.writer import PredictionLog
    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.serving.observability.prediction_logging import PredictionLogger
    from animal_classification.serving.service import ModelService
    from animal_classification.settings import Settings

NO_REFERENCE, LOG_UNAVAILABLE, FAILED = "no-reference", "log-unavailable", "failed"


@dataclass(frozen=True, kw_only=True)
class JudgePlan:
    """What is judged.

    Attributes:
        every: Seconds between two rounds.
        size: Photos of a window.
        sources: Cameras or sites that are judged by themselves, beside all together.
    """

    every: float
    size: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Round:
    """What came of one round.

    Attributes:
        verdicts: New ones.
        waiting: Windows that have too few photos yet.
        failures: For each model that could not be judged its name, the reason in a word, and in a sentence.
        busy: Another process judges, or has just judged.
    """

    verdicts: tuple[DriftRecord, ...] = ()
    waiting: int = 0
    failures: tuple[tuple[str, str, str], ...] = ()
    busy: bool = False


class DriftRounds:
    """Judges all models of a server, once in a round. Rounds exclude each other.

    Args:
        log: The prediction log.
        plan: What is judged.
        served: The models that answer at this moment.
        metrics: Where failures are counted.
    """

    def __init__(
        self,
        log: PredictionLog,
        plan: JudgePlan,
        served: Callable[[], Sequence[ServedVersion]],
        metrics: ServerMetrics,
    ) -> None:
        self._log = log
        self._plan = plan
        self._served = served
        self._metrics = metrics
        self._judge: LogJudge | None = None
        self._one_at_a_time = threading.Lock()

    def run(self) -> Round:
        """One round.

        Raises:
            LogDatabaseError: The database cannot be used now.
        """
        from animal_classification.monitoring.judge_lock import judging

        if not is_there(self._log.place.database):
            return Round()
        if not self._one_at_a_time.acquire(blocking=False):
            return Round(busy=True)
        try:
            with judging(self._log.database(), self._log.place) as mine:
                return self._judge_all() if mine else Round(busy=True)
        finally:
            self._one_at_a_time.release()

    def _judge_all(self) -> Round:
        verdicts: list[DriftRecord] = []
        failures: list[tuple[str, str, str]] = []
        waiting = 0
        for served in self._served():
            for source in ("", *self._plan.sources):
                try:
                    found = self._of_log().judge_newest(self._log.database(), served, source)
                except LogDatabaseError:
                    raise
                except AnimalsError as error:
                    failures.append((served.model, self._failed(error), str(error)))
                    break
                waiting += found is None
                verdicts += [] if found is None else [found]
        for verdict in verdicts:
            _tell(verdict)
        return Round(tuple(verdicts), waiting, tuple(failures))

    def _of_log(self) -> LogJudge:
        from animal_classification.monitoring.log_judge import LogJudge, WindowRules

        if self._judge is None:
            patience = timedelta(seconds=max(3600.0, self._plan.every))
            self._judge = LogJudge(self._log.place, WindowRules(size=self._plan.size, patience=patience))
        return self._judge

    def _failed(self, error: AnimalsError) -> str:
        from animal_classification.monitoring.drift.judge import NoReferenceError

        reason = NO_REFERENCE if isinstance(error, NoReferenceError) else FAILED
        self._metrics.drift_failed(reason)
        return reason


class DriftThread:
    """Runs rounds until it is closed.

    Args:
        rounds: What to run.
        every: Seconds between two.
        metrics: Where failures are counted.
    """

    def __init__(self, rounds: DriftRounds, every: float, metrics: ServerMetrics) -> None:
        self._rounds = rounds
        self._every = every
        self._metrics = metrics
        self._told: set[tuple[str, str]] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="animals-drift", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 1.0) -> None:
        """Judge no more; what is being judged may be left undone, and is judged by the next process."""
        self._closing.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closing.wait(self._every):
            try:
                self._tell_failures(self._rounds.run())
            except LogDatabaseError as error:
                self._metrics.drift_failed(LOG_UNAVAILABLE)
                logging.getLogger(__name__).warning("drift is not judged now: %s", error)
            except Exception:  # a bug must not end the monitor
                self._metrics.drift_failed(FAILED)
                logging.getLogger(__name__).exception("drift could not be judged; it is tried again")

    def _tell_failures(self, done: Round) -> None:
        for model, _, why in done.failures:
            if (model, why) not in self._told:  # once, and not every quarter of an hour
                self._told.add((model, why))
                logging.getLogger(__name__).warning("drift of %s is not judged: %s", model, why)


def rounds_of(service: ModelService, predictions: PredictionLogger, settings: Settings) -> DriftRounds:
    """The rounds of a server with these settings, over the models that answer when a round begins."""

    def served() -> list[ServedVersion]:
        from animal_classification.monitoring.log_judge import ServedVersion

        answering = [slot.current for _, slot in list(service.models)]
        return [
            ServedVersion(bundle=one.predictor.bundle, model=one.info.name, version=one.info.version)
            for one in answering
        ]

    every = seconds_of(settings.drift_every) if settings.drift_every else 0.0
    plan = JudgePlan(every=every, size=settings.drift_window, sources=settings.drift_sources)
    return DriftRounds(predictions.log, plan, served, service.metrics)


def judging_thread(rounds: DriftRounds | None, settings: Settings, metrics: ServerMetrics) -> DriftThread | None:
    """The thread that runs them; ``None`` where drift is not judged by itself."""
    if rounds is None or not settings.drift_every:
        return None
    return DriftThread(rounds, seconds_of(settings.drift_every), metrics)


def _tell(verdict: DriftRecord) -> None:
    """A line in the log; as JSON its ``event`` is ``drift``, which Google Cloud's metric on the logs reads."""
    if verdict.kind == "none":
        return
    told: dict[str, Any] = {
        "event": "drift",
        "model": verdict.model,
        "version": verdict.version,
        "source": verdict.source,
        "kind": verdict.kind,
        "confirmed": verdict.confirmed,
        "score": round(verdict.value, 4),
        "says": verdict.explain,
    }
    sure = "confirmed" if verdict.confirmed else "seen once"
    words = "drift of %s %s (%s, %s): %s"
    arguments = (verdict.model, verdict.version, verdict.source or "all sources", sure, verdict.explain)
    logging.getLogger(__name__).warning(words, *arguments, extra={FIELDS: told})
