"""``animals`` in processes that start at once: PyTorch and Lightning are imported, then each call is a fork.

Run as a script: for each line of JSON on stdin (the words after ``animals``) it forks, prints the child's number,
waits, and prints how it ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Forks:
    """Starts processes, one at a time."""

    def __init__(self, log: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, words: Sequence[str]) -> int:
        """The new process's number."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(list(words)) + "\n")
        self.process.stdin.flush()
        return self._number()

    def wait(self) -> int:
        """How the last one ended: its exit code, or minus the signal."""
        return self._number()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def _number(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


def serve(log: str) -> None:
    import animal_classification.training.neural.cnn
    import animal_classification.training.neural.finetune.recipe
    import animal_classification.training.neural.lightning_module
    import animal_classification.training.train  # noqa: F401
    from animal_classification.cli.main import main

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.argv = ["animals", *json.loads(line)]
            os._exit(main())
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
