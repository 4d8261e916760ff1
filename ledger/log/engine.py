"""Engines for the log's database: one that writes, others that can only read.

Everything about opening a database that SQLite and PostgreSQL do differently lives here: pragmas, how a
transaction begins, what a connection is told, and how a connection is kept from writing. On SQLite exactly one
connection writes and checkpoints the WAL: versions before 3.51.3 can corrupt a WAL database that several
connections write, and Pythons ship older ones. On PostgreSQL any node writes; who sequences is decided by a lock
(`ledger.log.lock`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from ..errors import InvalidInput, Unavailable

BUSY_TIMEOUT_MS: Final = 10_000
"""How long a connection waits for a lock before it gives up; only recovery after a crash should wait at all."""

_WRITER_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "mmap_size=0",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
)
_READER_PRAGMAS: Final = ("mmap_size=0", f"busy_timeout={BUSY_TIMEOUT_MS}")

POSTGRES_WRITERS: Final = 4
"""Connections of a PostgreSQL writer: one writes, the others decide and look on."""

# An answer is given once a commit survives a power cut, whatever the server's default is. Every hot table has the
# index that it is asked by, and a plan made while a table was small is kept: it must not be one that reads it all.
_POSTGRES: Final = {"synchronous_commit": "on", "enable_seqscan": "off", "jit": "off", "timezone": "UTC"}
_POSTGRES_READS: Final = {"default_transaction_read_only": "on"}
# A server that vanished without a word is noticed within seconds, from either end.
_NOTICED: Final = {"keepalives": 1, "keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3}
_NOTICED_THERE: Final = {
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
}


def writer_engine(database: Path | str) -> Engine:
    """The engine that writes: a path means SQLite, anything else is an SQLAlchemy URL.

    On SQLite the pool holds one connection, and a transaction takes the write lock when it begins, so that it
    cannot fail half-way on somebody else's lock. Raises InvalidInput for a URL of another database, Unavailable
    without the driver.
    """
    if is_postgres(database):
        return _postgres_engine(str(database), {}, "READ COMMITTED", pool_size=POSTGRES_WRITERS)
    return _sqlite_engine(
        f"file:{_quoted(database)}?uri=true", _WRITER_PRAGMAS, "BEGIN IMMEDIATE", pool_size=1
    )


def reader_engine(database: Path | str, *, pool_size: int = 8) -> Engine:
    """An engine whose connections cannot write, and whose transactions see one state of the database.

    Keep no read transaction over a second: on SQLite it holds the WAL.
    """
    if is_postgres(database):
        engine = _postgres_engine(str(database), _POSTGRES_READS, "REPEATABLE READ", pool_size=pool_size)
        event.listen(engine, "connect", _ask_for_anything)
        # The driver forgets its prepared statements with each rollback; a transaction that only read ends as well
        # by a commit, also one that failed.
        engine.dialect.do_rollback = engine.dialect.do_commit  # type: ignore[method-assign]
        return engine
    return _sqlite_engine(
        f"file:{_quoted(database)}?mode=ro&uri=true", _READER_PRAGMAS, "BEGIN", pool_size=pool_size
    )


def one_state(engine: Engine) -> dict[str, Any]:
    """Options of a connection of the writer's whose whole transaction sees one state of the database."""
    return {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}


def is_postgres(database: Path | str) -> bool:
    """Whether this names a PostgreSQL database. Raises InvalidInput where it names neither that nor SQLite."""
    if isinstance(database, Path) or "://" not in database:
        return False
    backend = _url(database).get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise InvalidInput(
            f"expected a database URL of sqlite or postgresql, got one of {backend}", rule="bad-setting"
        )
    return backend == "postgresql"


def lock_engine(database: str, name: str) -> Engine:
    """An engine of one connection that lives as long as a lock is held, and is noticed soon when it is lost.

    `name` is what the server calls the connection.
    """
    engine = _postgres_engine(database, _NOTICED_THERE, "AUTOCOMMIT", pool_size=1, pre_ping=False)

    @event.listens_for(engine, "do_connect")
    def call(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        options["application_name"] = name

    return engine


def _ask_for_anything(connection: Any, _record: Any) -> None:
    """Let a name with a NUL be asked for, and not be found: PostgreSQL's text holds none, so none is stored."""
    from psycopg.types.string import StrDumperUnknown

    class WithoutNul(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    connection.adapters.register_dumper(str, WithoutNul)


def _url(text: str) -> URL:
    # What the parser says could repeat the password.
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise InvalidInput("expected a database URL, got a text that is none", rule="bad-setting") from None


def _postgres_engine(
    database: str, told: dict[str, str], isolation: Any, *, pool_size: int, pre_ping: bool = True
) -> Engine:
    url = _url(database).set(drivername="postgresql+psycopg")
    given = url.query.get("options", "")
    settings = [f"-c {name}={value}" for name, value in (_POSTGRES | told).items()]
    options = " ".join([given if isinstance(given, str) else " ".join(given), *settings]).strip()
    try:
        return create_engine(
            url.difference_update_query(["options"]),
            isolation_level=isolation,
            pool_pre_ping=pre_ping,
            pool_size=pool_size,
            max_overflow=0,
            connect_args={"options": options, "connect_timeout": 10, **_NOTICED},
        )
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"expected the PostgreSQL driver, got no {error.name}: install loomark[postgres]"
        ) from error


def _quoted(database: Path | str) -> str:
    path = _url(database).database if isinstance(database, str) and "://" in database else str(database)
    return quote(path or "")


def _sqlite_engine(address: str, pragmas: tuple[str, ...], begin: str, *, pool_size: int) -> Engine:
    engine = create_engine(
        f"sqlite:///{address}",
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # The driver's own BEGIN comes too late (at the first write) and never before a SELECT.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        # Straight to the driver: going through SQLAlchemy costs as much as the short reads it begins.
        driver: Any = connection.connection.driver_connection
        driver.execute(begin)

    return engine
