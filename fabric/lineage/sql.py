"""Lineage over SQL: facts from `event` and `line`, derived rows into the tables of `schema`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.engine import Connection

from .fact import Fact, HolderOf


class NewFact(NamedTuple):
    """A fact of a capture that was just given its log index (`fact.seq`), keys still IRIs.

    `class_id` and `partial` are visibility classes; `duplicate_of` a record id.
    """

    fact: Fact
    class_id: int
    partial: int | None = None
    duplicate_of: int | None = None


def index_facts(
    connection: Connection, new: Sequence[NewFact], ids: Mapping[str, int], holder_of: HolderOf
) -> None:
    """Insert the facts' `event` and `line` rows, void what they declare void, and derive what they touch.

    Called inside the transaction that sequences, with facts in any order. `ids` has the thing id of every
    thing, lot, place and party of the facts (`iris_of`). Never commits.
    """
    raise NotImplementedError


def rebuild(connection: Connection, holder_of: HolderOf) -> None:
    """Empty the lineage tables and derive them again from all `event` and `line` rows. Never commits."""
    raise NotImplementedError
