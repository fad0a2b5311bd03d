"""A process that takes part in the fits of a training that another process leads.

`animals train` starts it for ``trainer.devices``, and becomes it on a machine that is not the first.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from animal_classification.config.schema import TrainerConfig
from animal_classification.errors import AnimalsError
from animal_classification.training.neural.device import prepare_torch
from animal_classification.training.neural.fit import run_fit
from animal_classification.training.neural.image_cache import DecodeTask
from animal_classification.training.neural.team import following, placement_from

if TYPE_CHECKING:
    from animal_classification.training.placement import Placement


def follow(trainer: TrainerConfig, placement: Placement) -> None:
    """Take part until the leader says that it is over.

    Raises:
        AnimalsError: A process of the team ended, or a photo vanished.
    """
    with following(trainer, placement, __name__) as team:
        while (task := team.receive()) is not None:
            if isinstance(task, DecodeTask):
                task.decode(team.shard)
                team.wait()
            else:
                prepare_torch(task.config.trainer, placement.local_world)
                run_fit(task, team)


def main() -> int:
    """Started by a leader on the same machine, with its trainer configuration on standard input."""
    trainer = TrainerConfig.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_leader, daemon=True).start()
    try:
        follow(trainer, placement_from(os.environ))
    except AnimalsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _end_with_the_leader() -> None:
    """However it ends, the system closes its end of the pipe."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
