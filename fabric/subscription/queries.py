"""Named queries: stored as they were sent, each in the names of the member that made it.

Another member's name is no name at all, so two members may use the same one and neither learns of the other's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, func, select
from sqlalchemy.engine import Connection

from fabric.query.errors import NoSuchName
from fabric.store.schema import named_query, subscription
from ledger import shape
from ledger.errors import Forbidden, InvalidInput

from .errors import NameTaken

LONGEST_NAME: Final = 200
LONGEST_QUERY_BYTES: Final = 65_536
MOST_PER_MEMBER: Final = 1000


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A named query; `text` is the query object as JSON, `extensions` the namespaces of its prefixes."""

    id: int
    member: str
    name: str
    text: str
    extensions: Mapping[str, str]
    created_ms: int

    @property
    def value(self) -> dict[str, Any]:
        """The query object as it was sent."""
        found: dict[str, Any] = json.loads(self.text)
        return found


def parse_definition(value: Any) -> tuple[str, dict[str, Any]]:
    """The name and the query object of a body `{name, query}`.

    What the query says is for `fabric.query.parameters`. Raises InvalidInput `bad-shape`, `bad-query-name`, `query-too-long`.
    """
    told = shape.members(value, "query definition", frozenset({"name", "query"}), frozenset())
    name, query = told["name"], told["query"]
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise _bad_name(f"expected a name of 1 to {LONGEST_NAME} characters, got another value")
    if not name.isprintable() or name.strip() != name or "/" in name or name in (".", ".."):
        # It is a segment of a path, and goes back to receivers as it is.
        raise _bad_name("expected a name of printable characters without '/', got another")
    if not isinstance(query, dict):
        raise InvalidInput("query: expected an object, got another value", rule="bad-shape", pointer="/query")
    if len(json.dumps(query)) > LONGEST_QUERY_BYTES:
        raise InvalidInput(
            f"query: expected at most {LONGEST_QUERY_BYTES} bytes of JSON, got more",
            rule="query-too-long",
            pointer="/query",
        )
    return name, query


def create(
    connection: Connection,
    member: str,
    name: str,
    query: Mapping[str, Any],
    extensions: Mapping[str, str],
    now_ms: int,
) -> None:
    """Keep a named query of a member. Raises NameTaken, Forbidden `too-many-queries`."""
    if _row(connection, member, name) is not None:
        raise NameTaken("expected a name that is not taken, got one of an earlier query", pointer="/name")
    count = select(func.count()).select_from(named_query).where(named_query.c.member == member)
    if connection.execute(count).scalar_one() >= MOST_PER_MEMBER:
        raise Forbidden(f"expected at most {MOST_PER_MEMBER} named queries", rule="too-many-queries")
    connection.execute(
        named_query.insert().values(
            member=member,
            name=name,
            query=json.dumps(query),
            extensions=json.dumps(dict(extensions)),
            created_at=now_ms,
        )
    )


def load(connection: Connection, member: str, name: str) -> NamedQuery:
    """A member's query of a name. Raises NoSuchName."""
    row = _row(connection, member, name)
    if row is None:
        raise NoSuchName("expected the name of a query of yours, got another", rule="no-such-name")
    return query_of(row)


def of_member(connection: Connection, member: str, after: str | None, limit: int) -> list[NamedQuery]:
    """A member's queries by name, at most `limit`, those behind the name `after`."""
    wanted = select(named_query).where(named_query.c.member == member)
    if after is not None:
        wanted = wanted.where(named_query.c.name > after)
    return [query_of(row) for row in connection.execute(wanted.order_by(named_query.c.name).limit(limit))]


def delete(connection: Connection, member: str, name: str) -> None:
    """Drop a query and all its subscriptions. Raises NoSuchName."""
    found = load(connection, member, name)
    connection.execute(subscription.delete().where(subscription.c.query == found.id))
    connection.execute(named_query.delete().where(named_query.c.id == found.id))


def exists(connection: Connection, query: int) -> bool:
    """Whether a query that had this row is still there; rows are never used again."""
    return connection.execute(select(named_query.c.id).where(named_query.c.id == query)).first() is not None


def query_of(row: Row[Any]) -> NamedQuery:
    """A query as a row of its table has it."""
    return NamedQuery(row.id, row.member, row.name, row.query, json.loads(row.extensions), row.created_at)


def _row(connection: Connection, member: str, name: str) -> Row[Any] | None:
    wanted = select(named_query).where(named_query.c.member == member, named_query.c.name == name)
    return connection.execute(wanted).one_or_none()


def _bad_name(message: str) -> InvalidInput:
    return InvalidInput(f"name: {message}", rule="bad-query-name", pointer="/name")
