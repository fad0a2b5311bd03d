"""A PostgreSQL of one's own: Debian's programs, a folder that goes away, a user who is not root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port


class Postgres:
    """A server that listens on this machine only, stopped until :meth:`start` is called."""

    def __init__(self) -> None:
        programs = _programs()
        if programs is None:
            pytest.skip("PostgreSQL is not installed (make postgres, or Debian: apt-get install postgresql)")
        if os.name != "posix":
            pytest.skip("PostgreSQL is started as Debian's is")
        pytest.importorskip("psycopg")
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="animals-pg-", dir="/tmp"))  # where another user may go
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self._folder, "nobody", "nogroup")
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        encoding = ("-E", "UTF8", "--locale", "C")
        self._run("initdb", "-D", self._folder / "data", "-U", "animals", "-A", "trust", "-N", *encoding)

    @property
    def url(self) -> str:
        return f"postgresql://animals@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        words: list[Any] = [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
        words += ["-h", "127.0.0.1", "-k", self._folder]
        self._process = subprocess.Popen(words, **self._options())
        deadline = time.monotonic() + 30
        while not self.answers():
            assert self._process.poll() is None, "PostgreSQL did not start"
            assert time.monotonic() < deadline, "PostgreSQL did not answer"
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT ends connections in an orderly way, SIGQUIT as a crash does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def answers(self) -> bool:
        import psycopg

        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(self.url, connect_timeout=2),
        ):
            return True
        return False

    def database(self, name: str, encoding: str, *, icu: str = "") -> str:
        """The URL of a new database with that encoding, which compares text as it is usual in a language."""
        self.rows(f"DROP DATABASE IF EXISTS {name}", alone=True)
        order = f" LOCALE_PROVIDER icu ICU_LOCALE '{icu}'" if icu else ""
        self.rows(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0{order}", alone=True)
        return self.url.rpartition("/")[0] + f"/{name}"

    def rows(self, query: str, url: str = "", *, alone: bool = False) -> list[tuple[Any, ...]]:
        """What a query finds; ``alone`` without a transaction around it."""
        import psycopg

        with psycopg.connect(
            url or self.url, connect_timeout=5, autocommit=alone, client_encoding="utf8"
        ) as connection:
            cursor = connection.execute(query)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *words: Any) -> None:
        subprocess.run([self._programs / program, *words], check=True, **self._options())

    def _options(self) -> dict[str, Any]:
        return {"cwd": self._folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **self._user}


class PgBouncer:
    """A pooler before a database, which gives each transaction any of a few sessions; Debian's package."""

    def __init__(self, postgres: Postgres, sessions: int = 2) -> None:
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        if not Path(program).is_file():
            pytest.skip("PgBouncer is not installed (make postgres, or Debian: apt-get install pgbouncer)")
        self._folder = Path(tempfile.mkdtemp(prefix="animals-pgbouncer-", dir="/tmp"))
        user: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses, too
            user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self._folder, "nobody", "nogroup")
        self.port = free_port()
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": sessions,
            "logfile": self._folder / "log",
            "server_login_retry": 1,
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={postgres.port} user=animals", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self._folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        words: list[Any] = [program, "-q", self._folder / "pgbouncer.ini"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
        self._wait()

    @property
    def url(self) -> str:
        return f"postgresql://animals@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process.poll() is None, "PgBouncer did not start"
            assert time.monotonic() < deadline, "PgBouncer did not answer"
            time.sleep(0.02)


def _programs() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: Debian keeps them off the path."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None
