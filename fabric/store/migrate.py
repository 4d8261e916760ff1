"""Bringing a database to this version: durable tables by migration, projections by version.

`migrate` runs alembic from revision 0001 in one transaction, over the log's tables and the fabric's durable
ones. `create_projections` makes the tables of projections that are missing; `stale_projections` says which
must be rebuilt. A database of a newer Loomark is refused, never guessed at.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, select
from sqlalchemy.engine import Connection

from ledger.errors import LoomarkError
from ledger.log.lock import MIGRATING, take_turns
from ledger.log.schema import metadata as log_metadata

from .bulk import insert_rows
from .schema import DURABLE, metadata, projection

_SCRIPTS: Final = Path(__file__).parent / "migrations"


class NewerDatabase(LoomarkError):
    """The database was written by a newer Loomark."""


class OlderDatabase(LoomarkError):
    """The database is of an older Loomark, or empty, and whoever runs it has to say when it may be changed."""


def target_metadata() -> list[MetaData]:
    """What the durable tables should look like: the log's and the fabric's."""
    return [log_metadata, metadata]


def is_durable(thing: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    """Whether alembic looks after an object: everything but projections."""
    durable = {table.name for table in DURABLE} | set(log_metadata.tables)
    table = name if kind == "table" else thing.table.name
    return table in durable


def migrate(engine: Engine, to: str = "head") -> None:
    """Bring the durable tables to this version, or to revision `to`, in one transaction.

    Raises NewerDatabase; then nothing was changed. Of several that come at once, the others wait and find it done.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    with engine.begin() as connection:
        take_turns(connection, MIGRATING)
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        if to == "head":
            create_projections(connection)


def revision(engine: Engine) -> str | None:
    """The revision of a database's durable tables; None in an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def require_current(engine: Engine) -> None:
    """Refuse a database of another revision than this version's. Raises NewerDatabase, OlderDatabase."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        _refuse_newer(connection, scripts)
    found, newest = revision(engine), scripts.get_current_head()
    if found != newest:
        raise OlderDatabase(
            f"expected a database of revision {newest}, got {found or 'an empty one'}: stop all nodes on it and run"
            " `loomark migrate` once"
        )


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise NewerDatabase(f"expected a database of revision {max(known)} or older, got {min(unknown)}")


def projection_tables() -> list[str]:
    """The names of all tables that are projections."""
    durable = {table.name for table in DURABLE}
    return [table.name for table in metadata.sorted_tables if table.name not in durable]


def create_projections(connection: Connection) -> None:
    """Create the tables of projections that do not exist yet."""
    metadata.create_all(connection, tables=[metadata.tables[name] for name in projection_tables()])


def drop_projections(connection: Connection) -> None:
    """Drop all tables of projections, in the shape this version or an older one gave them."""
    metadata.drop_all(connection, tables=[metadata.tables[name] for name in projection_tables()])


def stale_projections(connection: Connection, versions: Mapping[str, int]) -> list[str]:
    """Names of projections whose stored version is absent or another one than asked for."""
    stored = {row.name: row.version for row in connection.execute(select(projection))}
    return sorted(name for name, version in versions.items() if stored.get(name) != version)


def mark_projections(connection: Connection, versions: Mapping[str, int]) -> None:
    """Record that the projections have these versions."""
    connection.execute(projection.delete())
    insert_rows(connection, projection, ("name", "version"), list(versions.items()))
