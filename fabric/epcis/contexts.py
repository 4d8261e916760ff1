"""JSON-LD contexts of EPCIS documents, read without a network (design: meaning, section 2).

EPCIS fields are read by their literal names, so all a context can do is give meaning to extension names:
it may bind prefixes to absolute IRIs and type prefixed terms, nothing else. Addresses of contexts resolve
against a table; an address that is not in the table is accepted, and what it may define is left unresolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ledger.canonical import canonical, parse_json
from ledger.errors import InvalidInput
from ontology import read_table

from .identifiers import is_absolute_uri
from .remembered import LONGEST, Remembered

_EPCIS = read_table("contexts/epcis.toml")

GS1_PREFIXES: Mapping[str, str] = _EPCIS["prefixes"]
"""Prefixes that the EPCIS context protects; they keep this meaning whatever a document says."""

EPCIS_TERMS = frozenset(_EPCIS["terms"])
"""Unprefixed names that mean something in EPCIS; no document may give them another meaning."""

_SCHEMES = frozenset({"http", "https", "urn", "did", "tag"})
_TERM_TYPES = frozenset({"@id", "@vocab"})
# A committed context writes an address as {"url", "sha256"}; an object of prefixes must not look like one.
_TAKEN = frozenset({"url", "sha256"})
_MOST_SETTLED = 4_096


class Reporter(Protocol):
    """Where a check puts what it finds; `where` is an RFC 6901 pointer from the record's own."""

    def refuse(self, where: str, rule: str, expected: str, got: object) -> None:
        """Records something that makes the document unacceptable."""

    def warn(self, where: str, rule: str, expected: str, got: object) -> None:
        """Records something that is accepted, and worth telling."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the table knows of one address: the digest of the publisher's bytes, and what they define."""

    sha256: str | None
    prefixes: Mapping[str, str]
    types: Mapping[str, str]
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContextTable:
    """The contexts that resolve locally, by address."""

    known: Mapping[str, Known]

    def with_added(self, url: str, sha256: str, document: bytes) -> ContextTable:
        """This table and one more context, as its publisher wrote it. Raises InvalidInput.

        Only prefixes and the types of prefixed terms are taken from it.
        """
        value = parse_json(document)
        if not isinstance(value, dict) or "@context" not in value:
            raise InvalidInput("expected a JSON-LD document with an @context", rule="bad-context")
        entries = as_entries(value["@context"])
        defined = _definitions([entry for entry in entries if isinstance(entry, dict)])
        imports = tuple(entry for entry in entries if isinstance(entry, str))
        return replace(self, known={**self.known, url: Known(sha256, *defined, imports)})

    def digest(self, url: str) -> str | None:
        """The digest listed for an address, or None when its meaning is not bound."""
        entry = self.known.get(url)
        return entry.sha256 if entry else None


def packaged_contexts() -> ContextTable:
    """The table that comes with this software (`ontology/contexts.toml`)."""
    known = {}
    for row in read_table("contexts.toml")["context"]:
        data = read_table(row["data"])
        types = {name: term["type"] for name, term in data["terms"].items() if ":" in name and "type" in term}
        entry = Known(row["sha256"], data["prefixes"], types, tuple(row.get("imports", ())))
        known.update(dict.fromkeys(row["urls"], entry))
    return ContextTable(known)


PACKAGED = packaged_contexts()


@dataclass(slots=True)
class EffectiveContext:
    """What is in force at an event: prefixes, types of prefixed terms, and addresses left unresolved.

    `settled` remembers names already found good, because a document repeats the same few.
    """

    prefixes: dict[str, str]
    types: dict[str, str]
    unresolved: tuple[str, ...]
    settled: set[str] = field(default_factory=set)

    def is_declared(self, name: str) -> bool:
        """Whether an extension name has a declared prefix, is an absolute IRI, or cannot be told."""
        if name in self.settled:
            return True
        prefix, _, rest = name.partition(":")
        good = bool(rest) and (prefix in self.prefixes or prefix in _SCHEMES or rest.startswith("//"))
        good = good or (bool(rest) and bool(prefix) and bool(self.unresolved))
        if good and len(name) <= LONGEST and len(self.settled) < _MOST_SETTLED:
            self.settled.add(name)
        return good

    def expand(self, name: str) -> str | None:
        """The IRI of a prefixed name or absolute IRI; None if its prefix is not known here."""
        prefix, colon, rest = name.partition(":")
        if not colon:
            return None
        if prefix in self.prefixes and not rest.startswith("//"):
            return self.prefixes[prefix] + rest
        return name if prefix in _SCHEMES or rest.startswith("//") else None


def as_entries(context: Any) -> list[Any]:
    """The entries of an `@context` value: a list as it is, anything else as the only entry."""
    return context if isinstance(context, list) else [context]


def committed_context(
    entries: Sequence[Any], table: ContextTable, sent: Mapping[str, str | None] | None = None
) -> list[Any]:
    """The effective context as a record commits to it: each address as ``{"url", "sha256"}``.

    `sent` are digests that a member's signed capture carries; they go before the table's.
    """
    return [
        {"url": entry, "sha256": sent[entry] if sent and entry in sent else table.digest(entry)}
        if isinstance(entry, str)
        else entry
        for entry in entries
    ]


def effective_context(committed: Sequence[Any], table: ContextTable = PACKAGED) -> EffectiveContext:
    """What a committed `@context` list puts in force."""
    return _EFFECTIVE[canonical(list(committed)), HeldTable(table)]


class HeldTable:
    """A table as an argument of a cached function: equal only to itself."""

    def __init__(self, table: ContextTable) -> None:
        self.table = table

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeldTable) and other.table is self.table

    def __hash__(self) -> int:
        return id(self.table)


def _effective(key: tuple[bytes, HeldTable]) -> EffectiveContext:
    entries, held = key
    prefixes: dict[str, str] = {}
    types: dict[str, str] = {}
    unresolved: list[str] = []
    for entry in parse_json(entries):
        if "url" in entry and "sha256" in entry:
            _resolve(entry["url"], held.table, prefixes, types, unresolved)
        else:
            own_prefixes, own_types = _definitions([entry])
            prefixes |= own_prefixes
            types |= own_types
    prefixes |= GS1_PREFIXES
    context = EffectiveContext(prefixes, {}, tuple(dict.fromkeys(unresolved)))
    context.types = {
        context.expand(name) or name: context.expand(kind) or kind for name, kind in types.items()
    }
    return context


def _size(key: tuple[bytes, HeldTable]) -> int:
    return len(key[0])


_EFFECTIVE = Remembered(_effective, 512, 32_768, _size)


def _resolve(
    url: str, table: ContextTable, prefixes: dict[str, str], types: dict[str, str], unresolved: list[str]
) -> None:
    pending, seen = [url], set()
    while pending:
        here = pending.pop()
        if here in seen:
            continue
        seen.add(here)
        known = table.known.get(here)
        if known is None:
            unresolved.append(here)
            continue
        prefixes |= known.prefixes
        types |= known.types
        pending.extend(known.imports)


def _definitions(entries: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    prefixes: dict[str, str] = {}
    types: dict[str, str] = {}
    for entry in entries:
        for name, value in entry.items():
            if isinstance(value, str) and ":" not in name and is_absolute_uri(value):
                prefixes[name] = value
            elif isinstance(value, dict) and ":" in name and isinstance(value.get("@type"), str):
                types[name] = value["@type"]
    return prefixes, types


def resolve_name(context: Sequence[Any], name: str, table: ContextTable = PACKAGED) -> str | None:
    """The IRI of an extension name under a committed `@context`.

    None while a context it may come from is not resolved. Raises InvalidInput (``undeclared-prefix``).
    """
    effective = effective_context(context, table)
    iri = effective.expand(name)
    if iri is None and not effective.unresolved:
        raise InvalidInput(
            f"expected a declared prefix, got {name.partition(':')[0]!r}", rule="undeclared-prefix"
        )
    return iri


def check_context(context: Any, where: str, report: Reporter) -> bool:
    """Checks one `@context` as submitted; `where` is its pointer. True if nothing was refused."""
    good = True
    for place, entry in _placed(context, where):
        if isinstance(entry, str):
            if not is_absolute_uri(entry):
                good = False
                report.refuse(place, "context-url", "an absolute URL", entry)
        elif isinstance(entry, dict):
            for name, value in entry.items():
                problem = _entry_problem(name, value)
                if problem:
                    good = False
                    report.refuse(f"{place}/{escape(name)}", *problem)
                elif name in GS1_PREFIXES and GS1_PREFIXES[name] != value:
                    report.warn(
                        f"{place}/{name}", "protected-prefix", f"{GS1_PREFIXES[name]}, which stays", value
                    )
        else:
            good = False
            report.refuse(place, "context-entry", "a URL or an object of prefixes", entry)
    return good


def _placed(context: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(context, list):
        for index, entry in enumerate(context):
            yield f"{where}/{index}", entry
    else:
        yield where, context


def _entry_problem(name: str, value: Any) -> tuple[str, str, object] | None:
    if name.startswith("@") or (isinstance(value, str) and value.startswith("@")):
        return "context-keyword", "no JSON-LD keyword and no alias of one", name
    if ":" in name:
        return _term_problem(value)
    if not isinstance(value, str):
        return "context-term", "a prefix bound to an absolute IRI; terms need a prefix", name
    if name in EPCIS_TERMS:
        return "context-term", "a prefix of your own, not a term of EPCIS", name
    if not name or name in _SCHEMES or name in _TAKEN:
        return "context-prefix", "a prefix that is neither a URI scheme nor url nor sha256", name
    if not is_absolute_uri(value) or value.partition(":")[0] in GS1_PREFIXES:
        return "context-prefix", "an absolute IRI", value
    return None


def _term_problem(value: Any) -> tuple[str, str, object] | None:
    if isinstance(value, str):
        return None if is_absolute_uri(value) else ("context-term", "an absolute IRI", value)
    if not isinstance(value, dict) or not value.keys() <= {"@id", "@type"}:
        return "context-term", "a term with @id and @type only", value
    if not all(isinstance(inner, str) for inner in value.values()):
        return "context-term", "@id and @type as text", value
    if value.get("@id", ":").startswith("@"):
        return "context-keyword", "no alias of a JSON-LD keyword", value["@id"]
    kind = value.get("@type", "@id")
    if kind not in _TERM_TYPES and not is_absolute_uri(kind):
        return "context-term", "a @type of @id, @vocab or an IRI", kind
    return None


def escape(name: str) -> str:
    """A member name as one reference token of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name
