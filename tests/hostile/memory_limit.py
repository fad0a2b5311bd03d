"""A limit on a server's memory: a real one where a control group can be made here, else it is only measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# Control groups of version 2 and of version 1: where they are, the file with the limit, and the one with the peak.
VERSIONS = (
    (ROOT, "", "memory.max", "memory.peak"),
    (ROOT / "memory", "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
)


@contextmanager
def limited(pid: int, size: int) -> Iterator[str]:
    """Limit a process to ``size`` bytes until the context ends; yields how."""
    for mount, controller, limit, _ in VERSIONS:
        for parent in (mount / _own(controller), mount):
            group = parent / f"animals-hostile-{pid}"
            try:
                group.mkdir()
            except OSError:
                continue
            try:
                (group / limit).write_text(str(size))
                (group / "cgroup.procs").write_text(str(pid))
            except OSError:
                _remove(group)
                continue
            try:
                yield f"control group, {size >> 20} MiB"
            finally:
                _remove(group)
            return
    yield f"measured against {size >> 20} MiB: no control group can be made here"


def peak_of(pid: int) -> int:
    """The most bytes that a process has held."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the kernel does not say")


def _own(controller: str) -> str:
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") or (not controller and not controllers):
            return path.lstrip("/")
    return ""


def _remove(group: Path) -> None:
    with suppress(OSError):
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
    with suppress(OSError):
        group.rmdir()
