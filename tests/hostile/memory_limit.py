"""A limit on a server's memory: a real one where a control group can be made here, else it is only measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.support.process_memory import family

ROOT = Path("/sys/fs/cgroup")
# Control groups of version 2 and of version 1: where they are, and the file with the limit.
VERSIONS = (
    (ROOT, "", "memory.max"),
    (ROOT / "memory", "memory", "memory.limit_in_bytes"),
)


@contextmanager
def limited(server: psutil.Process, size: int) -> Iterator[str]:
    """Limit a server's processes, together, to ``size`` bytes until the context ends; yields how."""
    pid = server.pid
    for mount, controller, limit in VERSIONS:
        for parent in (mount / _own(controller), mount):
            group = parent / f"animals-hostile-{pid}"
            try:
                group.mkdir()
            except OSError:
                continue
            if not (group / limit).exists():  # an ordinary folder: the kernel fills those that are control groups
                _remove(group)
                continue
            try:
                (group / limit).write_text(str(size))
                for process in family(server):
                    (group / "cgroup.procs").write_text(str(process.pid))
            except OSError:
                _remove(group)
                continue
            try:
                yield f"control group, {size >> 20} MiB"
            finally:
                _remove(group)
            return
    yield f"measured against {size >> 20} MiB: no control group can be made here"


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
