"""A batch on many machines, simulated: from what one machine measured, and limits that Google and Amazon publish.

Time goes in steps. In each, every worker that has a shard goes on with it, as fast as its processor, its reads in
flight, the store's rate of requests and the network's bandwidth allow; the last two are shared by all. Shards are taken
as `animals batch` takes them: by whoever is free. First the simulation has to say what was measured here; only then
does it project. `python -m benchmarks.scale` prints the table for any processor time of a photo.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np

TOLERANCE = 0.05
WORKERS = (100, 1_000, 10_000)
PHOTOS = 10_000_000
SHARD = 2_000
STEPS = 50  # for the fastest shard
LONGEST_STEP = 5.0  # seconds
IDLE_STEP = 0.05
SEEDS = 5  # of which the median counts: one lost machine near the end decides how long it takes


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What the simulation takes for granted; each is printed.

    Attributes:
        cpu_ms: Processor time of a photo on one core, measured.
        start_seconds: Of a worker, until its model is loaded, measured.
        shard_seconds: For each shard beside its photos: plan read, lease, rows written.
        machine_seconds: Until a machine with the image is there.
        photo_bytes: Of a photo.
        reads_per_photo: 1 for single objects; bytes over 8 MB for tars.
        latency: Seconds of one read.
        ahead: Reads in flight of one worker.
        reads_per_second: That a store takes at the beginning.
        doubles_seconds: After which it takes twice as many; 0 for never.
        bytes_per_second: That all machines together may read.
        spread: Of the speeds of cores: the logarithm's standard deviation.
        taken_per_hour: Share of (spot) machines that are taken away within an hour.
        stale_seconds: After which the shard of a lost machine is taken by another.
    """

    cpu_ms: float
    start_seconds: float
    shard_seconds: float
    machine_seconds: float = 30.0
    photo_bytes: float = 110e3
    reads_per_photo: float = 1.0
    latency: float = 0.06
    ahead: int = 16
    reads_per_second: float = 5_000
    doubles_seconds: float = 1_200
    bytes_per_second: float = 25e9
    spread: float = 0.10
    taken_per_hour: float = 0.01
    stale_seconds: float = 60.0


HERE: dict[str, float] = {
    "machine_seconds": 0.0,
    "latency": 0.0,
    "reads_per_second": math.inf,
    "doubles_seconds": 0,
    "bytes_per_second": math.inf,
    "spread": 0.0,
    "taken_per_hour": 0.0,
}
"""One machine with the photos on its disk."""

SOURCES = {
    "reads_per_second, doubles_seconds": (
        "Google Cloud Storage, 'Request rate and access distribution guidelines': a bucket begins at about 5,000 reads "
        "a second, and load should double no faster than every 20 minutes"
    ),
    "Amazon": (
        "Amazon S3, 'Best practices design patterns: optimizing performance': at least 5,500 GET a second for each "
        "prefix; it grows with load, at a pace that is not published, so that none is assumed here"
    ),
    "bytes_per_second": (
        "Google Cloud Storage, 'Quotas and limits': 200 Gbit/s of reads for a project and region, by default"
    ),
}


@dataclass(frozen=True)
class Simulated:
    """What came out.

    Attributes:
        seconds: From the start to the last shard.
        efficiency: The photos' own processor time, over that of all workers until the end.
        cpu: Processor seconds that were used, starts included.
    """

    seconds: float
    efficiency: float
    cpu: float


def simulate(photos: int, shard: int, workers: int, given: Assumptions, *, seed: int = 1) -> Simulated:
    """One batch."""
    chance = np.random.default_rng(seed)
    speeds = np.exp(chance.normal(0.0, given.spread, workers)) if given.spread else np.ones(workers)
    per_second = np.minimum(1000 / given.cpu_ms * speeds, _in_flight(given))
    ready = np.full(workers, given.machine_seconds + given.start_seconds)
    left = np.zeros(workers)  # photos of the shard in hand, its own overhead counted as photos
    queue = photos // shard + (photos % shard > 0)
    extra = given.shard_seconds * 1000 / given.cpu_ms
    last = photos - (queue - 1) * shard
    waiting: list[float] = []  # when shards of lost machines become free
    now, done, taken, starts, used = 0.0, 0, 0, workers, 0.0
    while done < queue:
        idle = np.flatnonzero((left <= 0) & (ready <= now))
        free = queue - taken
        back = sum(when <= now for when in waiting)
        count = min(len(idle), free + back)
        if count:
            given_again = min(back, count)
            waiting = sorted(waiting)[given_again:]
            chosen = chance.permutation(idle)[:count]
            left[chosen] = shard + extra
            taken += count - given_again
            if taken == queue and count > given_again:
                left[chosen[-1]] = last + extra
        busy = np.flatnonzero((left > 0) & (ready <= now))
        if not len(busy):
            now += IDLE_STEP
            continue
        rates = per_second[busy] * min(1.0, _shared(given, now, float(per_second[busy].sum())))
        step = min(shard / float(rates.max()) / STEPS, LONGEST_STEP)
        progress = np.minimum(rates * step, left[busy])
        used += float((progress / speeds[busy]).sum()) * given.cpu_ms / 1000
        left[busy] -= progress
        finished = busy[left[busy] <= 1e-9]
        left[finished] = 0
        done += len(finished)
        if given.taken_per_hour:
            lost = given.taken_per_hour / 3600 * step
            gone = busy[(chance.random(len(busy)) < lost) & (left[busy] > 0)]
            left[gone] = 0
            ready[gone] = now + given.machine_seconds + given.start_seconds
            starts += len(gone)
            waiting += [now + given.stale_seconds] * len(gone)
        now += step
    useful = photos * given.cpu_ms / 1000
    return Simulated(now, useful / (workers * now), used + starts * given.start_seconds)


def _in_flight(given: Assumptions) -> float:
    """Photos a second that a worker's reads in flight bring."""
    return math.inf if not given.latency else given.ahead / given.latency / given.reads_per_photo


def _shared(given: Assumptions, now: float, wanted: float) -> float:
    """The part of what all want together that the store and the network give."""
    grown = 2 ** (now / given.doubles_seconds) if given.doubles_seconds else 1.0
    photos = min(given.reads_per_second * grown / given.reads_per_photo, given.bytes_per_second / given.photo_bytes)
    return photos / wanted if wanted > 0 else 1.0


def packed(given: Assumptions) -> Assumptions:
    """The same with tars of 2,000 photos, read in blocks of 8 MB."""
    return replace(given, reads_per_photo=given.photo_bytes / (8 * 1024 * 1024))


def calibrated(turns: Sequence[Mapping[str, Any]]) -> Assumptions:
    """The measured inputs: from the turns with the most workers, of processes."""
    most = max(turn["workers"] for turn in turns)
    used = [turn for turn in turns if turn["workers"] == most]
    start = median(turn["start_cpu"] / turn["workers"] for turn in used)
    each = median((turn["cpu"] - turn["start_cpu"]) / turn["photos"] for turn in used) * 1000
    return Assumptions(cpu_ms=each, start_seconds=start, shard_seconds=0.0, **HERE)  # type: ignore[arg-type]


def check(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """What the simulation says of the turns it was not calibrated with, beside what was measured: processor seconds.

    The first half of the turns gives the inputs; it has to foretell the others.
    """
    half = max(1, len(turns) // 2)
    given = calibrated(turns[:half])
    found = []
    for turn in turns[half:]:
        told = simulate(turn["photos"], max(1, turn["photos"] // turn["shards"]), turn["workers"], given)
        found.append({"workers": turn["workers"], "measured": turn["cpu"], "simulated": told.cpu})
    return found


def project(report: Mapping[str, Any]) -> dict[str, Any]:
    """Ten million photos on many workers, in single objects and in tars; says whether it may be believed."""
    local = [turn for turn in report["turns"] if turn["runner"] == "local"]
    checked = check(local)
    worst = max(abs(one["simulated"] / one["measured"] - 1) for one in checked)
    given = replace(
        Assumptions(cpu_ms=calibrated(local).cpu_ms, start_seconds=calibrated(local).start_seconds, shard_seconds=0.5)
    )
    return {"check": checked, "worst": worst, "assumptions": asdict(given), "rows": rows(given)}


def rows(given: Assumptions, workers: Sequence[int] = WORKERS) -> list[dict[str, Any]]:
    """The table."""
    found = []
    for count in workers:
        for name, each in (("single objects", given), ("packed", packed(given))):
            for store, here in (("Google", each), ("Amazon", replace(each, reads_per_second=5_500, doubles_seconds=0))):
                told = [simulate(PHOTOS, SHARD, count, here, seed=seed) for seed in range(SEEDS)]
                middle = sorted(told, key=lambda one: one.seconds)[SEEDS // 2]
                found.append({"workers": count, "how": name, "store": store, **asdict(middle)})
    return found
