"""A worker as a process of its own: ``python -m`` this module, with its task on stdin, as JSON.

It says on stdout what it has done, a JSON object a line. Exit codes: 0 all shards have their rows; 1 some failed, and
one of the reasons is in the last line; 143 told to end.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

from animal_classification.common.console import drop_stdout
from animal_classification.errors import AnimalsError
from animal_classification.predict.job import Listener
from animal_classification.scale.lease import HEARTBEAT_SECONDS, Leases
from animal_classification.scale.plan import load_plan
from animal_classification.scale.shard_job import ShardJob
from animal_classification.scale.storage import LocalFolder, open_folder
from animal_classification.scale.worker import BatchWorker

ENDED = 143
LOCAL_POLL_SECONDS = 0.25
BUCKET_POLLS = 4  # in a heartbeat


@dataclass(frozen=True, kw_only=True)
class WorkerTask:
    """What a worker is told.

    Attributes:
        url: The batch.
        name: Of the worker, in its leases.
        start: The share of the shards after which it begins, from 0 to 1.
        threads: That decode and infer.
        engine: What runs the model.
        heartbeat: Seconds between two signs of life.
    """

    url: str
    name: str
    start: float = 0.0
    threads: int = 1
    engine: str = "auto"
    heartbeat: float = HEARTBEAT_SECONDS

    def encode(self) -> str:
        return json.dumps(asdict(self))


class StopListener(Listener):
    """Stops at the next photo when the process is told to end."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def is_stopped(self) -> bool:
        return self.stop.is_set()

    def sleep(self, seconds: float) -> None:
        """Sleep until the time is over, or the process is told to end."""
        self.stop.wait(seconds)

    def obey(self, _: int, __: FrameType | None) -> None:
        """A handler of signals."""
        self.stop.set()


def build(task: WorkerTask, listener: Listener) -> BatchWorker:
    """A worker with its model loaded.

    Raises:
        AnimalsError: The plan or its model cannot be used.
    """
    folder = open_folder(task.url)
    plan = load_plan(folder)
    request = plan.request(engine=task.engine, threads=task.threads)
    job = ShardJob.load(folder, plan, request, listener=listener, heartbeat=task.heartbeat)
    poll = LOCAL_POLL_SECONDS if isinstance(folder, LocalFolder) else task.heartbeat / BUCKET_POLLS
    return BatchWorker(job, Leases(folder, task.name, task.heartbeat), task.start, poll)


def main() -> int:
    """Do the task on stdin."""
    listener = StopListener()
    signal.signal(signal.SIGTERM, listener.obey)
    signal.signal(signal.SIGINT, listener.obey)
    try:
        worker = build(WorkerTask(**json.loads(sys.stdin.readline())), listener)
        worker.sleep = listener.sleep
        worker.told = lambda shard, rows: _say(shard=shard, rows=rows)
        _say(ready=time.process_time())
        result = worker.run()
    except AnimalsError as error:
        _say(error=str(error))
        return 1
    if result.stopped:
        return ENDED
    if result.failed:
        _say(failed=len(result.failed), error=next(iter(result.failed.values())))
        return 1
    return 0


def _say(**what: Any) -> None:
    try:
        print(json.dumps(what), flush=True)  # noqa: T201 - the line is the answer to the parent
    except BrokenPipeError:
        # The parent was killed. What is done is safe, and who starts the next run finds the rest.
        drop_stdout()
        raise SystemExit(ENDED) from None


if __name__ == "__main__":
    sys.exit(main())
