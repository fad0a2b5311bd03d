"""Work on any number of items: a chunk at a time, on several threads, in order, with flat memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol, TypeVar

from animal_classification.common.limits import available_cpus

Item = TypeVar("Item")
Result = TypeVar("Result")

# Decoding and inferring take turns on a core, and each finds the caches full of the other's data: so the turns are
# long. The only place where the size of a chunk is chosen.
CHUNK = 24


class Executor(Protocol):
    """Where chunks are worked on: any ``concurrent.futures.Executor``, and so the clients of Dask, Ray and MPI.

    One that leaves the process pickles the work and the chunk.
    """

    def submit(
        self, work: Callable[[Sequence[Item]], Sequence[Result]], chunk: Sequence[Item], /
    ) -> Future[Sequence[Result]]:
        """Begin ``work(chunk)``, and return its future."""
        ...


def ordered_map(
    work: Callable[[Sequence[Item]], Sequence[Result]],
    items: Iterable[Item],
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> Generator[Result, None, None]:
    """Yield the results of ``work`` on chunks of ``items``, in the order of the items.

    At most four chunks a thread are taken from ``items`` ahead of what the caller has consumed, so memory does not grow
    with the input. Towards the end chunks become smaller, so that no thread has much to do when the others are done
    (guided self-scheduling, Polychronopoulos and Kuck 1987). Closing the generator drops what has not been started.

    Args:
        work: Takes a chunk and returns a result for each of its items; called from several threads at once.
        items: What to work on; read on the caller's thread.
        threads: Chunks that are worked on at once; the processors that this process may use by default.
        executor: Runs the chunks in place of threads of this process; it stays open.
        progress: Told how many results the caller has taken, after each of them.
        stopped: Asked after each result; the generator ends when it says yes.

    Raises:
        Exception: Whatever ``work`` raises; it ends the generator.
    """
    at_once = 2 * (threads or available_cpus())
    source = iter(items)
    ahead: deque[Item] = deque()
    pending: deque[Future[Sequence[Result]]] = deque()
    pool = None if executor else ThreadPoolExecutor(threads or available_cpus(), thread_name_prefix="animals")
    runner = executor or pool
    assert runner is not None
    done = 0
    try:
        while True:
            while len(pending) < at_once:
                ahead.extend(islice(source, at_once * CHUNK - len(ahead)))
                if not ahead:
                    break
                size = -(-len(ahead) // at_once)
                pending.append(runner.submit(work, [ahead.popleft() for _ in range(size)]))
            if not pending:
                return
            for result in pending.popleft().result():
                yield result
                done += 1
                if progress is not None:
                    progress(done)
                if stopped is not None and stopped():
                    return
    finally:
        for future in pending:
            future.cancel()
        if pool is not None:
            pool.shutdown(wait=True)
