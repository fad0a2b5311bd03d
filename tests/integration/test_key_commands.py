"""``animals keys`` in many processes at once, and by root for a server of another user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
if sys.platform == "win32":
    pytest.skip("forks and users of POSIX", allow_module_level=True)

from animal_classification.serving.middleware.api_keys import KeyRing, new_key, read_keys, write_keys

AT_ONCE = 50
NOBODY = 65534
# Each command in a process of its own, which the others' locks hold up; forked, so that the test costs one start.
COMMANDS = """
import json, os, sys
from animal_classification.cli.keys import command
import animal_classification.serving.middleware.api_keys
path, calls = sys.argv[1], json.loads(sys.argv[2])
ready, go = os.pipe()
children = []
for number, call in enumerate(calls):
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(ready, 1)  # until all are there
        os.dup2(os.open(f"{path}.{number}", os.O_WRONLY | os.O_CREAT, 0o600), 1)
        try:
            command.main([*call, "--file", path])
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code or 0)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
    children.append(child)
os.close(go)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
sys.exit(any(codes))
"""
SERVER = """
import os, pathlib, sys
from animal_classification.serving.middleware import api_keys as keys
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
keys.LOOK_EVERY = 0.0
looks = []
ring = keys.KeyRing(pathlib.Path(sys.argv[1]), on_look=looks.append)
for text in sys.stdin:
    found = ring.find(text.strip())
    print("holds" if found else "does not hold", looks[-1], flush=True)
"""


def test_fifty_creates_and_fifty_revokes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old = [new_key(f"old {number}", ("predict",)) for number in range(AT_ONCE)]
    write_keys(path, [key for _, key in old])
    calls = [call for (_, key) in old for call in (["create", f"for {key.id}"], ["revoke", key.id])]
    words = [sys.executable, "-c", COMMANDS, str(path), json.dumps(calls)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is revoked") == AT_ONCE
    ring = KeyRing(path)
    handed_out = [(tmp_path / f"keys.json.{number}").read_text().strip() for number in range(0, 2 * AT_ONCE, 2)]
    assert [text for text in handed_out if ring.find(text) is None] == [], "handed out, and not in the file"
    assert [key.name for text, key in old if ring.find(text)] == [], "said to be revoked, and still there"
    assert len(read_keys(path)) == AT_ONCE


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter."""
    path = Path(tempfile.mkdtemp(prefix="animals-keys-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_root_revokes_for_a_server_of_another_user(folder: Path) -> None:
    path = folder / "keys.json"
    (leaked, leaked_key), (other, other_key) = new_key("leaked", ("admin",)), new_key("other", ("predict",))
    write_keys(path, [leaked_key, other_key])
    os.chown(path, NOBODY, NOBODY)
    path.chmod(0o400)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER.format(nobody=NOBODY), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def ask(text: str) -> str:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(f"{text}\n")
        server.stdin.flush()
        return server.stdout.readline().strip()

    try:
        assert ask(leaked) == "holds True"
        revoke = ["keys", "revoke", leaked_key.id, "--file", str(path)]
        words = [sys.executable, "-m", "animal_classification.cli", *revoke]
        revoked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        assert "is revoked" in revoked.stderr
        assert ask(leaked) == "does not hold True", "yesterday it went on: the server could not read root's file"
        assert ask(other) == "holds True"
        os.chown(path, 0, 0)
        assert ask(other) == "holds False", "a file taken away: what was read before holds on, and the metric says so"
        os.chown(path, NOBODY, NOBODY)
        assert ask(leaked) == "does not hold True"
    finally:
        server.stdin.close()
        server.stdout.close()
        server.wait(20)
