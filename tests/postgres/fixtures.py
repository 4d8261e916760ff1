"""Databases on a real server, started when the first test asks for one and stopped at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import inspect

from fabric.store.engine import writer_engine
from fabric.store.migrate import migrate
from tests import simulator

from .server import NoServer, Server

# Tests ask SQLite for the hexadecimal text of bytes; so that the same tests run here, the server learns the word.
_HEX = "CREATE FUNCTION hex(bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT coalesce(upper(encode($1, 'hex')), '')$$"


@dataclass
class Postgres:
    """The server, and new databases of this version's revision on it."""

    server: Server
    template: str
    given: list[str] = field(default_factory=list)
    free: list[str] = field(default_factory=list)
    unlike: set[str] = field(default_factory=set)

    def __call__(self) -> str:
        """The URL of a database that `loomark migrate` was run on and that holds nothing yet."""
        found = self.free.pop() if self.free else self.server.new_database(self.template)
        self.given.append(found)
        return found

    def empty(self) -> str:
        """The URL of a new database with nothing in it."""
        self.given.append(self.server.new_database())
        self.unlike.add(self.given[-1])
        return self.given[-1]

    def take_back(self, kept: int) -> None:
        """Empty the databases given since there were `kept`: faster than to make others in their place."""
        while len(self.given) > kept:
            url = self.given.pop()
            if url in self.unlike:
                self.server.drop(url)
                continue
            self.server.run(_LEAVE.format(url.rpartition("/")[2]))
            engine = writer_engine(url)
            with engine.begin() as connection:
                tables = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
                connection.exec_driver_sql(f"TRUNCATE {', '.join(map(_quoted, tables))} RESTART IDENTITY")
            engine.dispose()
            self.free.append(url)


_LEAVE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"


def _quoted(name: str) -> str:
    return f'"{name}"'


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for the run; skips, with the reason, where there is none."""
    try:
        started = Server.started()
        with started as server:
            template = server.new_database()
            engine = writer_engine(template)
            migrate(engine)
            with engine.begin() as connection:
                connection.exec_driver_sql(_HEX)
            engine.dispose()
            yield Postgres(server, template)
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """New databases, dropped after the test."""
    before = len(postgres_server.given)
    yield postgres_server
    postgres_server.take_back(before)


@pytest.fixture(scope="module")
def consortia_on_postgres(postgres_server: Postgres) -> Iterator[Callable[[], str]]:
    """Every consortium that a module simulates keeps what it stores on the server."""
    before = len(postgres_server.given)
    simulator.databases.append(postgres_server)
    yield postgres_server
    simulator.databases.pop()
    postgres_server.take_back(before)
