"""The same promises of erasure on PostgreSQL, and no trace of what was erased in its table files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from fabric.store.bulk import fetch
from tests.fabric.erasure.conftest import *  # noqa: F403
from tests.fabric.erasure.conftest import FARM, Erasing
from tests.fabric.erasure.search import forms
from tests.fabric.erasure.test_no_trace import secrets, telling
from tests.fabric.erasure.test_projections import (
    test_erasing_many_at_once_equals_erasing_one_after_the_other,  # noqa: F401
)
from tests.fabric.erasure.test_rules import (
    test_what_is_due_is_listed_first_and_erased_when_told,  # noqa: F401
)
from tests.postgres.fixtures import Postgres


def table_files(erasing: Erasing, server: Postgres) -> dict[str, bytes]:
    """Every file of the tables of a consortium's database, as they are on disk."""
    url = erasing.sim.database
    assert url is not None
    server.server.run("CHECKPOINT")
    with erasing.sim.node.reading.connect() as connection:
        name = make_url(url).database
        ((number,),) = fetch(connection, "SELECT oid FROM pg_database WHERE datname = ?", name)
        ((data,),) = fetch(connection, "SHOW data_directory")
    folder = Path(data) / "base" / str(number)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def held(files: dict[str, bytes], number: int) -> set[str]:
    """What of the secrets of an event some file holds."""
    told = secrets(number).values()
    return {one for one in told if any(form in data for form in forms(one) for data in files.values())}


def test_no_table_file_holds_what_was_erased(
    erasing: Erasing, consortia_on_postgres: Callable[[], Any]
) -> None:
    sim = erasing.sim
    assert isinstance(consortia_on_postgres, Postgres)
    names = sim.names(sim.capture("farm", [telling(sim, number, FARM) for number in range(6)]))[1:]
    assert held(table_files(erasing, consortia_on_postgres), 1) >= {secrets(1)["serial"], secrets(1)["place"]}
    erasing.erase("farm", names[1])
    erasing.erase("farm", names[2], units=["/ilmd", "/readPoint"])
    erasing.settle()
    files = table_files(erasing, consortia_on_postgres)
    assert held(files, 1) == set()
    assert held(files, 2).isdisjoint({secrets(2)[name] for name in ("field", "nested", "place")})
    assert held(files, 3) >= {secrets(3)["serial"], secrets(3)["place"]}
