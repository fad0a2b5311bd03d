"""What `animals monitor status` costs with few predictions and with many: the table in docs/measurements/serving.md.

    python -m benchmarks.monitor_cost sqlite:////tmp/few.db sqlite:////tmp/many.db

Both databases are emptied first. Times are those of this process alone, so that others on the machine disturb little.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from animal_classification.monitoring.status import seconds_of, status
from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.database import connect, writing
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.sum_updates import rebuild
from animal_classification.prediction_log.tables import predictions

ANIMALS, WORDS, TURNS, AT_ONCE = 22, 200, 40, 5000


def rows(count: int, until: datetime) -> Iterator[dict[str, Any]]:
    """Predictions of one day, in their order."""
    pick = random.Random(1)
    for number in range(count):
        label, probability = f"animal {pick.randrange(ANIMALS)}", 1 - pick.random() ** 4
        yield {
            "id": f"{number:036d}",
            "time": until - timedelta(days=1 - number / count),
            "model": "photos",
            "version": "1",
            "photo": hashlib.sha256(b"%d" % pick.randrange(count)).hexdigest(),
            "file": "a.jpg",
            "label": label,
            "label_id": label,
            "probability": probability,
            "known": 0.9,
            "unknown": pick.random() < 0.1,
            "answer": label,
            "level": "label",
            "labels": [label],
            "top": [[label, label, probability]],
            "latency": pick.lognormvariate(-3, 0.6),
            "doubt": 1 - probability,
        }


def filled(url: str, count: int, until: datetime) -> Engine:
    """A log with so many predictions."""
    engine = connect(url)
    migrate(engine, "base")
    migrate(engine)
    with writing(engine, patient=True) as connection:
        batch: list[dict[str, Any]] = []
        for number, row in enumerate(rows(count, until), start=1):
            batch.append(row)
            if len(batch) == AT_ONCE or number == count:
                connection.execute(insert(predictions), batch)
                batch = []
        started = time.process_time()
        rebuild(connection)
        print(f"{count:,} predictions; counted in {time.process_time() - started:.1f} s")
    for number in range(0, count, max(1, count // WORDS)):
        feedback.add(engine, Feedback(prediction=f"{number:036d}", verdict="confirmed"))
    return engine


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("few")
    parser.add_argument("many")
    parser.add_argument("--counts", type=int, nargs=2, default=(1_000, 1_000_000))
    given = parser.parse_args()
    until = datetime.now(UTC)
    engines = [filled(url, count, until) for url, count in zip((given.few, given.many), given.counts, strict=True)]
    place = LogLocation(folder=Path("there-is-none"))
    asked: dict[str, Callable[[Engine], object]] = {
        since: lambda engine, since=since: status(engine, place, seconds_of(since), now=until)  # type: ignore[misc]
        for since in ("1h", "24h", "7d", "30d")
    }
    asked["review"] = feedback.to_review
    for name, ask in asked.items():
        taken: list[list[float]] = [[], []]
        for _ in range(TURNS):
            for engine, times in zip(engines, taken, strict=True):
                started = time.process_time()
                ask(engine)
                times.append(1000 * (time.process_time() - started))
        print(f"{name:>8}", *(f"{statistics.median(times):8.1f} ms" for times in taken))


if __name__ == "__main__":
    main()
