"""Which connection gives way when there are too many."""

from __future__ import annotations

import pytest

from animal_classification.serving.process.waiting_connections import IDLE_SECONDS, WaitingConnections


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiting(clock: Clock) -> WaitingConnections[str]:
    return WaitingConnections(clock)


def test_nobody_waits(waiting: WaitingConnections[str]) -> None:
    assert waiting.pop() is None


def test_the_one_that_rests_longest_goes_first(waiting: WaitingConnections[str], clock: Clock) -> None:
    for name in ("half", "half too", "silent"):
        waiting.add(name, idle=False)
    waiting.add("kept", idle=True)
    waiting.add("kept later", idle=True)
    clock.now = IDLE_SECONDS
    assert [waiting.pop() for _ in range(3)] == ["kept", "kept later", "half"]


def test_a_crowd_pushes_out_its_own(waiting: WaitingConnections[str]) -> None:
    waiting.add("honest, between two requests", idle=True)
    for number in range(100):
        waiting.add(f"silent {number}", idle=False)
    assert {waiting.pop() for _ in range(99)} == {f"silent {number}" for number in range(99)}


def test_a_crowd_that_has_asked_once_pushes_out_its_own(waiting: WaitingConnections[str]) -> None:
    waiting.add("honest, just connected", idle=False)
    for number in range(100):
        waiting.add(f"idle {number}", idle=True)
    assert {waiting.pop() for _ in range(99)} == {f"idle {number}" for number in range(99)}


def test_progress_makes_young(waiting: WaitingConnections[str]) -> None:
    waiting.add("honest, sends a photo", idle=False)
    waiting.add("half a body", idle=False)
    waiting.add("honest, sends a photo", idle=False)
    assert waiting.pop() == "half a body"


def test_who_is_answered_does_not_wait(waiting: WaitingConnections[str]) -> None:
    waiting.add("answered", idle=False)
    waiting.discard("answered")
    waiting.add("answered too", idle=True)
    waiting.discard("answered too")
    assert waiting.pop() is None


def test_who_has_just_said_something_is_passed_over(waiting: WaitingConnections[str]) -> None:
    for name in ("half", "half too", "half as well"):
        waiting.add(name, idle=False)
    assert waiting.pop(lambda name: name != "half too") == "half too"
    assert waiting.pop(lambda name: name == "half as well") == "half"
    assert waiting.pop(lambda _: True) == "half as well", "somebody must"
    assert waiting.pop(lambda _: True) is None
