"""What a container grants is found, in fake trees of ``/proc`` and ``/sys/fs/cgroup`` as kernels lay them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from animal_classification.common import limits
from animal_classification.common.limits import available_cpus, available_memory

GIB = 1 << 30
V2_MOUNT = "30 23 0:27 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "35 31 0:32 {root} /sys/fs/cgroup/{name} rw,relatime - cgroup cgroup rw,{controllers}"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 32 processors and 64 GiB."""
    write(tmp_path, {"proc/meminfo": f"MemTotal:       {64 * GIB // 1024} kB\nMemFree: 1 kB\n"})
    monkeypatch.setattr(limits, "_affinity", lambda: 32)
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def in_v2(root: Path, path: str, groups: dict[str, dict[str, str]], *, seen: str = "/") -> None:
    """A process in a group of cgroup v2; ``seen`` is what the mount shows."""
    write(root, {"proc/self/cgroup": f"0::{path}\n", "proc/self/mountinfo": V2_MOUNT.format(root=seen) + "\n"})
    for group, files in groups.items():
        write(root, {f"sys/fs/cgroup/{group}/{name}": text for name, text in files.items()})


def in_v1(root: Path, path: str, groups: dict[str, dict[str, str]], *, seen: str = "/") -> None:
    """The same for v1, as Docker on an older kernel: CPU under a double name."""
    controllers = {"cpu,cpuacct": "cpu,cpuacct", "memory": "memory"}
    mounts = [V1_MOUNT.format(root=seen, name=name, controllers=both) for name, both in controllers.items()]
    write(
        root,
        {
            "proc/self/cgroup": f"5:cpu,cpuacct:{path}\n4:memory:{path}\n1:name=systemd:/\n0::/\n",
            "proc/self/mountinfo": "23 1 0:20 / / rw - ext4 /dev/vda rw\n" + "\n".join(mounts) + "\n",
        },
    )
    for group, files in groups.items():
        for name, text in files.items():
            folder = "cpu,cpuacct" if name.startswith("cpu") else "memory"
            write(root, {f"sys/fs/cgroup/{folder}/{group}/{name}": text})


def test_a_machine_without_limits(root: Path) -> None:
    assert available_cpus(root) == 32
    assert available_memory(root) == 64 * GIB
    in_v2(root, "/user", {"user": {"cpu.max": "max 100000\n", "memory.max": "max\n", "memory.high": "max\n"}})
    assert available_cpus(root) == 32
    assert available_memory(root) == 64 * GIB
    in_v1(
        root,
        "/user",
        {
            "user": {
                "cpu.cfs_quota_us": "-1\n",
                "cpu.cfs_period_us": "100000\n",
                "memory.limit_in_bytes": "9223372036854771712\n",
            }
        },
    )
    assert available_cpus(root) == 32
    assert available_memory(root) == 64 * GIB


@pytest.mark.parametrize(("quota", "expected"), [(50_000, 1), (150_000, 2), (200_000, 2), (9_900_000, 32)])
def test_a_quota_is_rounded_up(root: Path, quota: int, expected: int) -> None:
    in_v2(root, "/pod", {"pod": {"cpu.max": f"{quota} 100000\n"}})
    assert available_cpus(root) == expected
    in_v1(root, "/pod", {"pod": {"cpu.cfs_quota_us": f"{quota}\n", "cpu.cfs_period_us": "100000\n"}})
    assert available_cpus(root) == expected


def test_the_least_of_all_groups_above_counts(root: Path) -> None:
    in_v2(
        root,
        "/kubepods/pod1/box",
        {
            "kubepods": {"cpu.max": "1600000 100000\n", "memory.max": f"{16 * GIB}\n"},
            "kubepods/pod1": {"cpu.max": "200000 100000\n", "memory.max": f"{2 * GIB}\n"},
            "kubepods/pod1/box": {"cpu.max": "max 100000\n", "memory.max": "max\n"},
        },
    )
    assert available_cpus(root) == 2
    assert available_memory(root) == 2 * GIB


def test_throttling_begins_at_the_high_mark(root: Path) -> None:
    in_v2(root, "/box", {"box": {"memory.max": f"{4 * GIB}\n", "memory.high": f"{3 * GIB}\n"}})
    assert available_memory(root) == 3 * GIB


@pytest.mark.parametrize("path", ["/", "/../../other"])
def test_a_namespace_shows_the_container_as_the_root(root: Path, path: str) -> None:
    in_v2(root, path, {".": {"cpu.max": "400000 100000\n", "memory.max": f"{GIB}\n"}})
    assert available_cpus(root) == 4
    assert available_memory(root) == GIB


@pytest.mark.parametrize("seen", ["/docker/3f90", "/"])
def test_v1_in_a_container_that_is_told_the_hosts_path(root: Path, seen: str) -> None:
    """The mount shows just the container's group, whose path on the host does not exist within."""
    files = {"cpu.cfs_quota_us": "300000\n", "cpu.cfs_period_us": "100000\n", "memory.limit_in_bytes": f"{2 * GIB}\n"}
    in_v1(root, "/docker/3f90", {".": files}, seen=seen)
    assert available_cpus(root) == 3
    assert available_memory(root) == 2 * GIB


def test_both_versions_side_by_side(root: Path) -> None:
    """A hybrid: v1 does the work, an empty v2 stands beside it."""
    in_v1(root, "/box", {"box": {"memory.limit_in_bytes": f"{2 * GIB}\n"}})
    with (root / "proc/self/mountinfo").open("a") as file:
        file.write("41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n")
    (root / "sys/fs/cgroup/unified").mkdir()
    assert available_memory(root) == 2 * GIB


def test_the_usual_places_where_mounts_are_not_told(root: Path) -> None:
    in_v2(root, "/box", {"box": {"memory.max": f"{GIB}\n"}})
    (root / "proc/self/mountinfo").unlink()
    assert available_memory(root) == GIB


@pytest.mark.parametrize("text", ["", "\n", "many", "-1", "0", "0 0", "100000", "1 2 3", "\xff"])
def test_nonsense_sets_no_limit(root: Path, text: str) -> None:
    in_v2(root, "/box", {"box": {"cpu.max": text, "memory.max": "lots" if text.isdigit() else text}})
    write(root, {"proc/self/cgroup": f"0::/box\n{text}\n:::\n0::\n"})
    assert available_cpus(root) == 32
    assert available_memory(root) == 64 * GIB


def test_no_proc_at_all(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) >= 1
    memory = available_memory(tmp_path)
    assert memory is None or memory > 0


@pytest.mark.skipif(os.name == "nt", reason="no such limit there")
def test_the_address_space_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (GIB, GIB))
    assert available_memory(root) == GIB


def test_this_process() -> None:
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)
    memory = available_memory()
    assert memory is None or memory > 1 << 20
