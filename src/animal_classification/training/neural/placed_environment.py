"""A placement in Lightning's words."""

from __future__ import annotations

from lightning.fabric.plugins.environments import ClusterEnvironment

from animal_classification.training.placement import Placement


class PlacedEnvironment(ClusterEnvironment):
    """Processes that are there already, and have found each other.

    Args:
        placement: Of this one.
    """

    def __init__(self, placement: Placement) -> None:
        super().__init__()
        self._placement = placement

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self._placement.address

    @property
    def main_port(self) -> int:
        return self._placement.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._placement.world

    def set_world_size(self, size: int) -> None:
        """It is what it is."""

    def global_rank(self) -> int:
        return self._placement.rank

    def set_global_rank(self, rank: int) -> None:
        """It is what it is."""

    def local_rank(self) -> int:
        return self._placement.local_rank

    def node_rank(self) -> int:
        return self._placement.node
