"""Faults that pass, and answers that do not."""

from __future__ import annotations

import pytest

from animal_classification.scale.retry import Retry, StoreFaultError


class Store:
    """Fails so often, then answers."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.slept: list[float] = []
        self.retry = Retry(sleep=self.slept.append, random=lambda: 0.5)

    def ask(self) -> str:
        if self.faults:
            raise self.faults.pop(0)
        return "answer"


def test_waits_double_with_some_chance_on_top() -> None:
    store = Store(*[ConnectionError("reset")] * 5)
    assert store.retry.call(store.ask, "read it") == ("answer", 6)
    assert store.slept == [1.25, 2.5, 5.0, 10.0, 20.0]


def test_after_the_last_wait_the_shard_fails_and_no_row_is_made_up() -> None:
    store = Store(*[TimeoutError()] * 6)
    with pytest.raises(StoreFaultError, match=r"cannot read it: no answer in 6 tries \(TimeoutError\); run the same"):
        store.retry.call(store.ask, "read it")


@pytest.mark.parametrize("answer", [FileNotFoundError("a"), FileExistsError("a"), PermissionError("a")])
def test_an_answer_is_no_fault(answer: OSError) -> None:
    store = Store(answer)
    with pytest.raises(type(answer)):
        store.retry.call(store.ask, "read it")
    assert store.slept == []


def test_nobody_waits_for_a_sign_in() -> None:
    kind = type("NoCredentialsError", (Exception,), {})
    store = Store(kind("Unable to locate credentials"))
    with pytest.raises(PermissionError):
        store.retry.call(store.ask, "read it")
    assert store.slept == []


def test_googles_refusal_is_an_answer() -> None:
    store = Store(OSError("Forbidden: gs://b/a\nno right"))
    with pytest.raises(PermissionError):
        store.retry.call(store.ask, "read it")
    assert store.slept == []
