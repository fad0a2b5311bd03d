"""Runs a loop and kills it with SIGKILL at a given moment; started as a process of its own by the tests.

    python -m tests.support.loop_killer LOOP.YAML MOMENT COUNT

MOMENT is ``before`` (the step is done, nothing of it is written down), ``between`` (the database has the row, the file
has not) or ``after``; COUNT says of which transition, from 0. Without being killed it runs to the end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from animal_classification.loop.config import load_config
from animal_classification.loop.ledger import Ledger, Transition
from animal_classification.loop.runner import run_loop
from animal_classification.loop.workplace import open_workplace

MOMENTS = ("before", "between", "after")


def main(config: str, moment: str, count: int) -> None:
    """Run until the moment."""
    _deadly(moment, count)
    with open_workplace(load_config(Path(config))) as work:
        run_loop(work)


def _deadly(moment: str, count: int) -> None:
    append, write = Ledger.append, Ledger._write_line
    done = 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def appending(self: Ledger, transition: Transition) -> Transition:
        nonlocal done
        if done == count and moment == "before":
            die()
        row = append(self, transition)
        if done == count and moment == "after":
            die()
        done += 1
        return row

    def writing(self: Ledger, row: Transition) -> None:
        if done == count and moment == "between":
            die()
        write(self, row)

    Ledger.append = appending  # type: ignore[method-assign]
    Ledger._write_line = writing  # type: ignore[method-assign]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
