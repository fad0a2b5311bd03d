"""How many processors and how much memory this process may use: what its container grants, not what the machine has.

Sources: cgroup v2 (`cpu.max`, `memory.max`, `memory.high`; kernel documentation, admin-guide/cgroup-v2), cgroup v1
(`cpu.cfs_quota_us`, `cpu.cfs_period_us`, `memory.limit_in_bytes`; admin-guide/cgroup-v1), proc(5) for
``/proc/self/cgroup`` and ``/proc/self/mountinfo``, getrlimit(2). A limit of any ancestor holds for its descendants, so
every group up to the root counts; within a cgroup namespace those that are visible.

What cannot be read sets no limit: these functions never raise.
"""

# Imported where it is used: Windows has no such module.

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path("/")
# Without a limit, cgroup v1 says the largest multiple of the page size that fits into 63 bits.
_UNLIMITED = 1 << 62


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A folder of cgroup files.

    Attributes:
        path: The folder.
        version: 1 or 2.
    """

    path: Path
    version: int

    def numbers(self, name: str) -> list[int]:
        """The numbers in a file, in order; empty where there is no file, or something else in it."""
        with suppress(OSError, ValueError):
            return [int(word) for word in (self.path / name).read_text("ascii").split()]
        return []


def available_cpus(root: Path = ROOT) -> int:
    """Processors that this process may use, at least 1: the affinity mask, or less where a cgroup has a quota.

    A quota of one and a half processors counts as two: with one thread, half a processor would be left unused.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    quotas = (math.ceil(quota) for quota in _quotas(root))
    return max(1, min([_affinity(), *quotas]))


def available_memory(root: Path = ROOT) -> int | None:
    """Bytes of memory that this process may use, or ``None`` where nothing says.

    The least of physical memory, RLIMIT_AS, and the limits of all cgroups above the process.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    known = [*_memory_limits(root), *_address_space(), *_physical(root)]
    return min(known, default=None)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Processors that each cgroup grants, as a fraction."""
    for group in groups(root, "cpu"):
        if group.version == 2:
            limit = group.numbers("cpu.max")  # "max 100000" where there is none
        else:
            limit = group.numbers("cpu.cfs_quota_us")[:1] + group.numbers("cpu.cfs_period_us")[:1]
        if len(limit) == 2 and limit[0] > 0 and limit[1] > 0:
            yield limit[0] / limit[1]


def _memory_limits(root: Path) -> Iterator[int]:
    for group in groups(root, "memory"):
        names = ("memory.max", "memory.high") if group.version == 2 else ("memory.limit_in_bytes",)
        for name in names:
            limit = group.numbers(name)
            if len(limit) == 1 and 0 < limit[0] < _UNLIMITED:
                yield limit[0]


def _address_space() -> Iterator[int]:
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield limit


def _physical(root: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemTotal:"):
                yield int(line.split()[1]) * 1024
                return
    if {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(getattr(os, "sysconf_names", ())):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def groups(root: Path, controller: str) -> list[ControlGroup]:
    """The cgroups that bound this process, the innermost first; v1 and v2 where both are mounted.

    Args:
        root: Where ``proc`` and ``sys`` are.
        controller: ``cpu`` or ``memory``.
    """
    found = []
    for number, controllers, path in _membership(root):
        version = 2 if number == "0" and not controllers else 1
        if version == 2 or controller in controllers:
            for mount, within in _mounts(root, version, controller):
                found += [ControlGroup(folder, version) for folder in _upwards(mount, within, path)]
    return found


def _membership(root: Path) -> Iterator[tuple[str, Sequence[str], str]]:
    """Hierarchy, controllers and path of each line ``4:cpu,cpuacct:/docker/3f90``."""
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        yield number, [name for name in controllers.split(",") if name], path


def _mounts(root: Path, version: int, controller: str) -> Iterator[tuple[Path, str]]:
    """Where a hierarchy is mounted, and which of its folders is what one sees there."""
    seen = False
    for line in _lines(root / "proc/self/mountinfo"):
        # 35 31 0:32 /docker/3f90 /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
        front, _, back = line.partition(" - ")
        place, kind = front.split(), back.split()
        if len(place) < 5 or len(kind) < 3:
            continue
        fits = kind[0] == "cgroup2" if version == 2 else kind[0] == "cgroup" and controller in kind[2].split(",")
        if fits:
            seen = True
            yield root / _unescaped(place[4]).lstrip("/"), _unescaped(place[3])
    if not seen:
        usual = root / "sys/fs/cgroup"
        yield usual if version == 2 else usual / controller, "/"


def _upwards(mount: Path, within: str, path: str) -> list[Path]:
    """The folders from ``path`` up to the mount that are there.

    In a container the mount often shows just the container's own group, while ``path`` is that of the host, and with a
    namespace a process can stand outside of what it sees (``/../x``): then the mount itself is all that there is.
    """
    inner = PurePosixPath(path)
    if inner.is_relative_to(within):
        inner = PurePosixPath("/") / inner.relative_to(within)
    parts = () if ".." in inner.parts else inner.parts[1:]
    folders = [mount.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]
    return [folder for folder in folders if folder.is_dir()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []


def _unescaped(text: str) -> str:
    """A path of mountinfo, where blanks are octal numbers."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
