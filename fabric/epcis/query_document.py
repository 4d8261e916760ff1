"""Events as documents: EPCISQueryDocument and EPCISDocument of EPCIS 2.0 in JSON (docs/spec/xml.md has the same in XML).

An event keeps its body as RFC 8785 bytes. What names its extensions have is kept too: the `@context` stands at the
top where all events were sent with one and the same, and beside each event's own members where they were not,
because two of them may bind one prefix to different namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.canonical import canonical
from ontology import read_table

from .contexts import GS1_PREFIXES
from .xml_document import CONTEXT

SCHEMA_VERSION: Final = "2.0"

UNNAMED_QUERY: Final = "SimpleEventQuery"
"""The name of a query that has none: that of the standard's own query for events, because a name is required."""

STANDARD: Final = frozenset(
    url
    for row in read_table("contexts.toml")["context"]
    if row["data"] == "contexts/epcis.toml"
    for url in row["urls"]
)
"""All addresses of the standard's context, editions that say the same of names among them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One event as its reader may see it: translated, with `recordTime`, without `@context`; `context` as sent."""

    event: Mapping[str, Any]
    context: Sequence[Any]


def json_query_document(
    shown: Sequence[Shown], *, created: str, query_name: str | None, subscription_id: str | None = None
) -> bytes:
    """An EPCISQueryDocument of the events, which may be none; `created` is its time of creation (RFC 3339)."""
    return b"".join(
        json_query_document_parts(
            shown, created=created, query_name=query_name, subscription_id=subscription_id
        )
    )


def json_document(shown: Sequence[Shown], *, created: str) -> bytes:
    """An EPCISDocument of the events, such as another repository captures."""
    return b"".join(_parts(shown, "EPCISDocument", created, b'"epcisBody":{"eventList":[', b"]}}"))


def json_query_document_parts(
    shown: Sequence[Shown], *, created: str, query_name: str | None, subscription_id: str | None = None
) -> Iterator[bytes]:
    """The bytes of an EPCISQueryDocument in pieces, an event at a time."""
    named = b'"queryName":' + canonical(UNNAMED_QUERY if query_name is None else query_name)
    if subscription_id is not None:
        named += b',"subscriptionID":' + canonical(subscription_id)
    begin = b'"epcisBody":{"queryResults":{%b,"resultsBody":{"eventList":[' % named
    return _parts(shown, "EPCISQueryDocument", created, begin, b"]}}}}")


def _parts(shown: Sequence[Shown], kind: str, created: str, begin: bytes, end: bytes) -> Iterator[bytes]:
    top = shared_context(shown)
    frame = {
        "@context": [CONTEXT] if top is None else top,
        "creationDate": created,
        "schemaVersion": SCHEMA_VERSION,
        "type": kind,
    }
    yield b"%b,%b" % (canonical(frame)[:-1], begin)
    written = _with_contexts(shown) if top is None else (canonical(one.event) for one in shown)
    for number, event in enumerate(written):
        yield b"," + event if number else event
    yield end


def shared_context(shown: Sequence[Shown]) -> list[Any] | None:
    """The `@context` of a document whose events were all sent with one; None where they were not.

    It is as sent; the standard's own goes before one that names it by no address.
    """
    if not shown:
        return [CONTEXT]
    first = shown[0].context
    if any(one.context is not first and list(one.context) != list(first) for one in shown):
        return None
    return [*first] if any(_is_standard(entry) for entry in first) else [CONTEXT, *first]


def own_context(context: Iterable[Any]) -> list[Any]:
    """What an event adds to the standard's context above it.

    The standard protects its terms. A second address for them, or one of its prefixes bound to something else,
    which means nothing, would make a document of many events unreadable for JSON-LD, and so is left out.
    """
    entries = [_without_protected(entry) for entry in context if not _is_standard(entry)]
    return [entry for entry in entries if entry != {}]


def _without_protected(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return {name: iri for name, iri in entry.items() if GS1_PREFIXES.get(name, iri) == iri}


def _with_contexts(shown: Sequence[Shown]) -> Iterator[bytes]:
    for one in shown:
        body, own = canonical(one.event), own_context(one.context)
        yield b'{"@context":%b,%b' % (canonical(own), body[1:]) if own else body


def _is_standard(entry: Any) -> bool:
    return isinstance(entry, str) and entry in STANDARD
