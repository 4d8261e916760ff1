"""Both databases come to the same tables: from nothing, and from the version before with what it held."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, MetaData, insert, inspect, select

from fabric.capture.node import NodeSettings, migrate_database, open_node
from fabric.capture.pool import InlinePreparer
from fabric.store.engine import writer_engine
from fabric.store.migrate import (
    NewerDatabase,
    OlderDatabase,
    is_durable,
    migrate,
    require_current,
    revision,
    target_metadata,
)
from ledger.log.schema import metadata as log_metadata

from .fixtures import Postgres

FIRST = "0001"
COMMENTS = ("modify_comment", "add_table_comment", "remove_table_comment")


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives an empty database of either sort."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / 'loomark.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.empty


def differences(engine: Engine) -> list[Any]:
    """How the durable tables differ from what the code uses; comments apart, which only one database keeps."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": is_durable, "compare_server_default": True}
        )
        found: list[Any] = compare_metadata(context, target_metadata())  # type: ignore[arg-type]  # alembic takes a list, its stub does not say so
    flat = [one for each in found for one in (each if isinstance(each, list) else [each])]
    return [one for one in flat if one[0] not in COMMENTS]


def test_from_nothing(address: Callable[[], str]) -> None:
    engine = writer_engine(address())
    assert revision(engine) is None
    with pytest.raises(OlderDatabase, match="loomark migrate"):
        require_current(engine)
    migrate(engine)
    require_current(engine)
    assert differences(engine) == []
    tables = set(inspect(engine).get_table_names())
    migrate(engine)
    assert set(inspect(engine).get_table_names()) == tables
    engine.dispose()


ROWS: dict[str, list[dict[str, Any]]] = {
    "head": [{"id": 1, "origin": "log.example/old", "size": 2, "root": bytes(32)}],
    "entry": [{"idx": index, "leaf": bytes([index]) * 32, "data": b"entry %d" % index} for index in range(2)],
    "seal": [
        {"idx": 1, "first": 0, "time": "2026-01-01T00:00:00.000Z", "changes_before": 0, "changes_after": 1}
    ],
    "registry_change": [{"idx": 0, "number": 0}],
    "checkpoint": [{"size": 2, "root": bytes(32), "time": "2026-01-01T00:00:00.000Z", "note": b"a note"}],
    "statement": [
        {
            "id": number,
            "member": "farm",
            "statement_id": f"{number:032x}",
            "type": "capture",
            "envelope": envelope,
            "payload_sha256": bytes([number]) * 32,
            "idx": index,
            "state": state,
            "rule": rule,
            "reason": reason,
            "staged_at": 1_790_000_000_000 + number,
        }
        for number, envelope, index, state, rule, reason in (
            (1, None, 0, "sequenced", None, None),
            (2, b"{}", None, "staged", None, None),
            (3, b"{}", None, "refused", "no-authority", "because"),
        )
    ],
    "document": [
        {
            "id": 7,
            "member": "farm",
            "sha256": bytes(range(32)),
            "media_type": "application/ld+json",
            "size": 5,
            "body": b"\x00\xffbody",
            "received_at": 1_790_000_000_000,
        }
    ],
    "capture": [
        {
            "id": 3,
            "document": 7,
            "member": "farm",
            "statement": 1,
            "custody": 1,
            "commitment": bytes(32),
            "salt": bytes(32),
            "records": 1,
            "idx": 0,
            "created_at": 1,
        }
    ],
    "record": [
        {
            "id": 2**40,
            "capture": 3,
            "position": 0,
            "kind": 0,
            "member": "farm",
            "event_id": "urn:x:é",
            "declares": 0,
            "duplicate_of": None,
            "commitment": bytes(32),
            "digest": bytes(32),
            "salt": bytes(32),
            "body": b'{"a":"\xc3\xa9"}',
        }
    ],
    "job": [{"id": "ab" * 16, "member": "farm", "document": 7, "capture": 3, "notes": None, "created_at": 1}],
    "credential": [
        {"id": 1, "member": "farm", "role": "member", "hash": bytes(32), "created_at": 1, "revoked_at": None}
    ],
}


def read(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables above, in the columns that the first version had."""
    found: dict[str, list[dict[str, Any]]] = {}
    tables = MetaData()
    tables.reflect(engine, only=list(ROWS))
    with engine.connect() as connection:
        for name, rows in ROWS.items():
            columns = [tables.tables[name].c[column] for column in rows[0]]
            order = next(iter(tables.tables[name].primary_key))
            found[name] = [dict(row._mapping) for row in connection.execute(select(*columns).order_by(order))]
    return found


def test_from_the_first_version_with_what_it_held(address: Callable[[], str]) -> None:
    engine = writer_engine(address())
    migrate(engine, FIRST)
    assert revision(engine) == FIRST
    tables = MetaData()
    tables.reflect(engine)
    assert {table.name for table in log_metadata.sorted_tables} <= set(tables.tables) | {"statement_body"}
    with engine.begin() as connection:
        for name, rows in ROWS.items():
            connection.execute(insert(tables.tables[name]), rows)
    before = read(engine)
    assert before == ROWS
    with pytest.raises(OlderDatabase):
        require_current(engine)
    migrate(engine)
    require_current(engine)
    assert differences(engine) == []
    assert read(engine) == before
    engine.dispose()


def test_a_newer_database_is_refused_and_left_alone(address: Callable[[], str]) -> None:
    engine = writer_engine(address())
    migrate(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for change in (migrate, require_current):
        with pytest.raises(NewerDatabase):
            change(engine)
    assert revision(engine) == "9999"
    engine.dispose()


def test_two_that_migrate_at_once_do_it_once(postgres: Postgres) -> None:
    url = postgres.empty()
    command = [sys.executable, "-c", _MIGRATE, url]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [one.wait(120) for one in both] == [0, 0]
    engine = writer_engine(url)
    require_current(engine)
    assert differences(engine) == []
    engine.dispose()


_MIGRATE = """
import sys
from fabric.store.engine import writer_engine
from fabric.store.migrate import migrate
engine = writer_engine(sys.argv[1])
migrate(engine)
engine.dispose()
"""


def test_a_node_opens_an_old_database_only_after_its_operator_migrated_it(
    tmp_path: Path, postgres: Postgres
) -> None:
    settings = NodeSettings(tmp_path / "node", database=postgres.empty())
    engine = writer_engine(str(settings.database))
    migrate(engine, FIRST)
    with pytest.raises(OlderDatabase, match="loomark migrate"):
        open_node(settings, preparer=InlinePreparer())
    assert revision(engine) == FIRST
    before, after = migrate_database(settings)
    assert (before, after) == (FIRST, revision(engine))
    engine.dispose()
    with open_node(settings, preparer=InlinePreparer()) as node:
        assert node.state()["writable"] is True
        assert node.log.size == 2
