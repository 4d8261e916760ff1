"""The record store's own promises: migrations, interning, bulk statements, credentials."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, inspect

from fabric.store import credentials
from fabric.store.bulk import select_in
from fabric.store.engine import reader_engine, writer_engine
from fabric.store.migrate import NewerDatabase, is_durable, migrate, projection_tables, target_metadata
from fabric.store.schema import DURABLE, metadata
from fabric.store.things import Interner
from ledger.errors import InvalidInput


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = writer_engine(tmp_path / "store.db")
    migrate(engine)
    return engine


def test_migrations_give_the_tables_that_the_code_uses(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_durable})
        assert compare_metadata(context, target_metadata()) == []  # type: ignore[arg-type]  # alembic takes a list, its stub does not say so
        assert {*projection_tables(), *(table.name for table in DURABLE)} <= set(
            inspect(connection).get_table_names()
        )


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        before = list(connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name"))
    migrate(engine)
    with engine.connect() as connection:
        assert list(connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name")) == before


def test_a_newer_database_is_refused_and_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerDatabase):
        migrate(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "9999"


def test_no_table_is_both_durable_and_a_projection() -> None:
    durable = {table.name for table in DURABLE}
    assert durable.isdisjoint(projection_tables())
    assert durable | set(projection_tables()) == set(metadata.tables)


def test_the_writer_syncs_and_forgets_and_a_reader_cannot_write(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        ]
        assert pragmas == ["wal", 2]
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1
    reader = reader_engine(tmp_path / "store.db")
    with reader.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM document")
    reader.dispose()


def test_a_thing_keeps_its_id_and_its_first_ranked_kind(engine: Engine) -> None:
    interner = Interner(size=2)
    with engine.begin() as connection:
        sitting = interner.sitting(connection)
        first = sitting.ids({"urn:a": "serial", "urn:b": "place"})
        assert sitting.ids({"urn:a": "lot", "urn:c": "class"})["urn:a"] == first["urn:a"]
    sitting.keep()
    with engine.begin() as connection:
        again = Interner().sitting(connection).ids({"urn:a": "serial", "urn:b": "party"})
        assert again == first
        kinds = {row.iri: row.kind for row in connection.exec_driver_sql("SELECT iri, kind FROM thing")}
    assert kinds == {"urn:a": "lot", "urn:b": "place", "urn:c": "class"}


def test_ids_of_a_transaction_that_was_rolled_back_are_not_remembered(engine: Engine) -> None:
    interner = Interner()
    with engine.connect() as connection:
        transaction = connection.begin()
        interner.sitting(connection).ids({"urn:lost": "lot"})
        transaction.rollback()
    with engine.begin() as connection:
        ids = interner.sitting(connection).ids({"urn:kept": "lot", "urn:lost": "lot"})
        stored = {row.iri: row.id for row in connection.exec_driver_sql("SELECT iri, id FROM thing")}
    assert stored == ids


@given(st.lists(st.integers(0, 5000), max_size=2000))
def test_a_long_list_is_asked_for_in_parts(values: list[int]) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE n (v INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO n VALUES (?)", [(value,) for value in range(3000)])
        found = [
            row.v
            for row in select_in(connection, "SELECT v FROM n WHERE v < ? AND v IN ({in})", set(values), 2500)
        ]
    engine.dispose()
    assert sorted(found) == sorted({value for value in values if value < 2500})


def test_only_hashes_of_api_keys_are_stored(engine: Engine) -> None:
    key = credentials.new_key(bytes(range(32)))
    with engine.begin() as connection:
        credentials.issue(connection, "farm", credentials.MEMBER, key, 1)
        found = credentials.find(connection, key)
        assert found is not None
        assert (found.member, found.role) == ("farm", "member")
        assert credentials.find(connection, key + "x") is None
        assert credentials.revoke(connection, "farm", 2) == 1
        assert credentials.find(connection, key) is None
        stored = connection.exec_driver_sql("SELECT * FROM credential").one()
    assert key.encode() not in b"".join(
        value if isinstance(value, bytes) else str(value).encode() for value in stored
    )


def test_one_key_speaks_for_one_principal(engine: Engine) -> None:
    key = credentials.new_key(bytes(range(32)))
    with engine.begin() as connection:
        row = credentials.issue(connection, "farm", credentials.MEMBER, key, 1)
        assert credentials.issue(connection, "farm", credentials.MEMBER, key, 2) == row
        with pytest.raises(InvalidInput):
            credentials.issue(connection, "mill", credentials.MEMBER, key, 3)


def test_a_weak_operator_key_is_told_from_a_strong_one() -> None:
    assert credentials.is_strong("lm_" + "abcdefghijkl" * 3)
    assert not credentials.is_strong("secret")
    assert not credentials.is_strong("a" * 64)
