"""Databases on a real server, started when the first test asks for one and stopped at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from fabric.store.engine import writer_engine
from fabric.store.migrate import migrate
from tests import simulator

from .server import NoServer, Server

# Tests ask SQLite for the hexadecimal text of bytes; so that the same tests run here, the server learns the word.
_HEX = "CREATE FUNCTION hex(bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT upper(encode($1, 'hex'))$$"


@dataclass
class Postgres:
    """The server, and new databases of this version's revision on it."""

    server: Server
    template: str
    given: list[str] = field(default_factory=list)

    def __call__(self) -> str:
        """The URL of a new database that `loomark migrate` was run on."""
        self.given.append(self.server.new_database(self.template))
        return self.given[-1]

    def empty(self) -> str:
        """The URL of a new database with nothing in it."""
        self.given.append(self.server.new_database())
        return self.given[-1]

    def drop(self, kept: int) -> None:
        """Drop the databases given since there were `kept`."""
        while len(self.given) > kept:
            self.server.drop(self.given.pop())


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
    postgres_server.drop(before)


@pytest.fixture(scope="module")
def consortia_on_postgres(postgres_server: Postgres) -> Iterator[Callable[[], str]]:
    """Every consortium that a module simulates keeps what it stores on the server."""
    before = len(postgres_server.given)
    simulator.databases.append(postgres_server)
    yield postgres_server
    simulator.databases.pop()
    postgres_server.drop(before)
