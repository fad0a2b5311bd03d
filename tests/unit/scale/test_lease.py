"""Leases: one owner, takeovers after a death, and how a file that ends the process is found."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.scale.lease import STRIKES, Claim, Lease, Leases, Suspicion, is_running, lease_name
from animal_classification.scale.storage import LocalFolder


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(str(tmp_path))


def leases(folder: LocalFolder, name: str, clock: Clock) -> Leases:
    return Leases(folder, name, heartbeat=20, clock=clock)


def taken(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def dies(folder: LocalFolder, claim: Claim) -> None:
    """Somebody saw the owner dead."""
    Leases(folder, "undertaker").bury(claim.lease.worker)


def test_of_many_one_gets_the_shard(folder: LocalFolder) -> None:
    clock = Clock()
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda number: leases(folder, f"w{number}", clock).claim(3), range(8)))
    assert sum(claim is not None for claim in claims) == 1


def test_an_owner_that_says_nothing_for_three_heartbeats_is_followed(folder: LocalFolder) -> None:
    clock = Clock()
    first = taken(leases(folder, "a", clock).claim(0))
    other = leases(folder, "b", clock)
    clock.now += 59
    assert other.claim(0) is None
    first.beat()
    clock.now += 59
    assert other.claim(0) is None
    clock.now += 2
    second = taken(other.claim(0))
    assert (second.number, second.suspicion.deaths) == (1, 1)
    assert leases(folder, "c", clock).claim(0) is None


def test_a_process_of_this_machine_that_is_gone_is_followed_at_once(folder: LocalFolder) -> None:
    clock = Clock()
    claim = taken(leases(folder, "a", clock).claim(0))
    child = os.fork() if hasattr(os, "fork") else 0
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    dead = replace(claim.lease, pid=child)
    folder.put(lease_name(0, 0), dead.encode())
    assert not is_running(child)
    assert leases(folder, "b", clock).claim(0) is not None
    elsewhere = replace(dead, host=f"not-{socket.gethostname()}")
    folder.put(lease_name(0, 1), elsewhere.encode())
    assert leases(folder, "c", clock).claim(0) is None


def test_giving_back_is_no_death_and_done_leaves_nothing(folder: LocalFolder) -> None:
    clock = Clock()
    taken(leases(folder, "a", clock).claim(0)).give_back()
    claim = taken(leases(folder, "b", clock).claim(0))
    assert claim.suspicion == Suspicion()
    claim.done()
    claim.beat()  # the heartbeat's thread may be late
    assert list(folder.names("lease")) == []


def test_a_file_that_is_no_lease_holds_nobody_up(folder: LocalFolder) -> None:
    folder.put(lease_name(0, 0), b"torn")
    assert taken(leases(folder, "a", Clock()).claim(0)).suspicion.deaths == 1


@given(count=st.integers(1, 3000), fatal=st.integers(0, 2999))
def test_the_file_that_ends_the_process_is_found_in_a_few_deaths(count: int, fatal: int) -> None:
    """Whatever the size of the shard: the search narrows to one file, which three deaths condemn; no other is."""
    fatal %= count
    suspicion, deaths = Suspicion(), 0
    while fatal not in suspicion.given_up:
        hand = next((low, high) for low, high in suspicion.ranges(count) if low <= fatal < high)
        same = hand == suspicion.within
        said = Lease("w", "h", 1, 0.0, deaths=suspicion.deaths, given_up=suspicion.given_up)
        if suspicion.deaths:
            said = replace(said, hand=hand, strikes=suspicion.strikes if same else 0)
        suspicion = Suspicion.after(said)
        deaths += 1
        assert deaths <= 4 + STRIKES
    assert suspicion.given_up == (fatal,)


@given(count=st.integers(0, 3000), low=st.integers(0, 2999), length=st.integers(1, 100), deaths=st.integers(0, 3))
def test_portions_cover_every_file_once(count: int, low: int, length: int, deaths: int) -> None:
    within = (low, low + length) if low + length <= count and deaths else None
    ranges = Suspicion(deaths, within).ranges(count)
    assert [place for start, end in ranges for place in range(start, end)] == list(range(count))


def test_a_kill_while_an_innocent_file_is_in_hand_condemns_nobody(folder: LocalFolder) -> None:
    clock = Clock()
    for number, hand in enumerate([(4, 5), (9, 10), (4, 5), (9, 10), (4, 5)]):
        claim = taken(leases(folder, f"w{number}", clock).claim(0))
        claim.take(hand)
        dies(folder, claim)
    assert taken(leases(folder, "last", clock).claim(0)).suspicion.given_up == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
fields = ("worker", "host", "pid", "time", "over", "dead", "deaths", "hand", "strikes", "given_up")


@given(
    said=json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(fields, json_values)),
    whole=st.booleans(),
)
def test_whatever_stands_in_a_lease_the_next_worker_goes_on(
    said: object, whole: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Yesterday ``{}`` or a text in the place of a lease ended every worker that came by."""
    folder = LocalFolder(str(tmp_path_factory.mktemp("batch")))
    good = {"worker": "w", "host": "h", "pid": 1, "time": 0.0}
    found = good | said if whole and isinstance(said, dict) else said
    folder.put(lease_name(0, 0), json.dumps(found).encode())
    clock = Clock()
    clock.now = 1e9
    lease = Lease.parse(folder.read(lease_name(0, 0)))
    claim = leases(folder, "a", clock).claim(0)
    if lease is None or leases(folder, "b", clock).is_gone(lease):
        ranges = taken(claim).suspicion.ranges(10)
        assert [place for low, high in ranges for place in range(low, high)] == list(range(10))
        taken(claim).done()


@pytest.mark.parametrize("ahead", ["1e300", "NaN", "Infinity", str(1000.0 + 100 * 3600)])
def test_a_clock_that_is_far_ahead_keeps_no_shard_for_ever(folder: LocalFolder, ahead: str) -> None:
    folder.put(
        lease_name(0, 0), b'{"worker": "w", "host": "elsewhere", "pid": 1, "time": %s, "hand": null}' % ahead.encode()
    )
    assert leases(folder, "a", Clock()).claim(0) is not None


def test_names_that_no_lease_has_are_no_leases(folder: LocalFolder) -> None:
    """Yesterday the number of the newest lease was taken for the number of files to delete."""
    for name in ("00000.99999999999", "lease", "00000.x", "٣٣٣٣٣.000", "99999999999999.000", "00000.000.tmp"):
        folder.put(f"lease/{name}", b"{}")
    clock = Clock()
    assert leases(folder, "a", clock).newest() == {}
    claim = taken(leases(folder, "a", clock).claim(0))
    claim.done()
    assert not folder.exists(lease_name(0, 0))
