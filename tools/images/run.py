"""Start what buildah built as an engine would with ``--read-only --tmpfs /tmp``: run.py [--volume HOST] IMAGE ARGUMENT…

The image's own user, environment, working folder and entry point, and the arguments after it. Needs Linux and root, for
the mounts; the process itself has none of it. HOST is what stands at /data and may be written to. ``--env NAME=VALUE``
adds to the environment. The network is the machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# In a mount namespace of its own, which ends with it: the root bound and made read-only, /tmp and /dev as an engine
# makes them; then no capability, no way to get one, and the image's user.
_SCRIPT = """
mount --make-rprivate /
mount --bind {root} {root}
mount -t tmpfs -o mode=1777,size=4g tmpfs {root}/tmp
mount -t tmpfs -o mode=755 tmpfs {root}/dev
for name in null zero random urandom; do : > {root}/dev/$name; mount --bind /dev/$name {root}/dev/$name; done
mkdir -p {root}/dev/shm; mount -t tmpfs -o mode=1777 tmpfs {root}/dev/shm
mount -t proc proc {root}/proc
{volumes}
mount -o remount,ro,bind {root}
{jail}
"""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--volume", type=Path)
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    asked = parser.parse_args(argv)
    config = configuration(asked.image)
    # Or what was started would stay, and its container.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with mounted(asked.image) as root:
        return subprocess.run(command(root, config, asked), check=False).returncode


def configuration(image: str) -> dict[str, Any]:
    """The image's ``config``: User, Env, WorkingDir, Entrypoint …"""
    text = subprocess.run(["buildah", "inspect", "--type", "image", image], check=True, capture_output=True).stdout
    config: dict[str, Any] = json.loads(text)["Docker"]["config"]
    return config


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The root of a container of the image, for as long as it is needed."""
    container = _output("buildah", "from", "--pull-never", image)
    try:
        yield Path(_output("buildah", "mount", container))
    finally:
        subprocess.run(["buildah", "rm", container], check=True, capture_output=True)


def command(root: Path, config: dict[str, Any], asked: argparse.Namespace) -> list[str]:
    """Words that start the image's entry point in namespaces of its own."""
    uid, _, gid = (config["User"] or "0").partition(":")
    volumes, net = "", ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs")
    for path in net:
        if (root / path[1:]).exists() and Path(path).exists():
            volumes += f"mount --bind {path} {root}{path}\n"
    if asked.volume:
        volumes += f"mount --bind {shlex.quote(str(asked.volume.resolve()))} {root}{config['WorkingDir']}\n"
    start = [*config["Entrypoint"], *(asked.arguments or config.get("Cmd") or [])]
    inside = ["env", "-i", *config["Env"], *asked.env, *start]
    jail = (
        f"chroot {root} /usr/bin/env -C {config['WorkingDir'] or '/'} setpriv --reuid {uid} --regid {gid or uid} "
        "--clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs -- "
        + shlex.join(inside)
        # The shell stays, as the first process of the namespace: who changes its user is not killed with its parent.
        + " || exit $?"
    )
    script = _SCRIPT.format(root=root, volumes=volumes, jail=jail)
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script]


def _output(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    os.environ.setdefault("STORAGE_DRIVER", "vfs")
    os.environ.setdefault("BUILDAH_ISOLATION", "chroot")
    sys.exit(main(sys.argv[1:]))
