"""The event hash ID of CBV 2.0 (clause 8.9): an index of events and a detector of duplicates, never evidence.

An event becomes one text, its pre-image, in which the fields stand in a fixed order without separators; the hash
is the SHA-256 of that text. Different events can share a pre-image, a correction shares its original's, and a
part of an event never has the hash of the whole: what proves an event is its commitment
(`docs/spec/event-hash.md`)::

    [one] = hash_document({"@context": [...], "type": "ObjectEvent", ...})
    one.hash_id -> "ni:///sha-256;…?ver=CBV2.0"
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from ledger.errors import Finding, InvalidInput
from ontology import read_table

from .contexts import (
    PACKAGED,
    ContextTable,
    HeldTable,
    as_entries,
    committed_context,
    effective_context,
    escape,
)
from .event_hash_values import (
    Unwritable,
    Write,
    word_writer,
    write_number,
    write_string_value,
    write_text,
    write_time,
)
from .identity import as_sent, body_digest

_TABLE = read_table("cbv/event_hash.toml")
VERSION: str = _TABLE["version"]
"""The version of the standard whose rules the hash follows; a part of every hash."""

EVENT_TYPES = frozenset(
    {"ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent"}
)
_APART = frozenset(_TABLE["apart"])
_REMARKS = frozenset(_TABLE["remarks"])
_TEXTS = frozenset(_TABLE["texts"])
_IGNORE: str = _TABLE["ignore"]
_MOST_DEPTH = 64
# A namespace is written out before each item of a list: what takes a few bytes of JSON could fill the memory here.
_MOST_NAMED = 64 * 1024 * 1024
# What is remembered between documents is bounded in number and in length.
_MOST_WRITTEN = 4_096
_LONGEST_KEPT = 256
_LARGEST_CONTEXT_KEPT = 16_384
_SCHEMES = frozenset({"http", "https", "urn", "did", "tag"})
_DELIMITERS = frozenset(":/#?")


class Hashed(NamedTuple):
    """What became of one event: its pre-image, or why it has none. Nothing is left out of a list of these.

    `position` counts the events of a document from 0; `declares` tells that the event carries an error
    declaration, for a correction has the hash of its original.
    """

    position: int
    event_id: str | None
    declares: bool
    pre_image: str | None
    problem: InvalidInput | None

    @property
    def hash_id(self) -> str | None:
        """The hash, or None where there is a problem."""
        return None if self.pre_image is None else hash_of(self.pre_image)


class IndexKey(NamedTuple):
    """What an index keeps of a record: equal hashes alone never make two events the same one."""

    hash_id: str
    declares: bool
    body: bytes


@dataclass
class Names:
    """What the prefixes of one context stand for, as the hash writes names: ``{namespace}local``.

    A document's own meaning of a prefix goes before any other, because published hashes follow it. `unresolved`
    are addresses of contexts that are not known here.
    """

    prefixes: Mapping[str, str]
    unresolved: tuple[str, ...] = ()
    written: dict[str, str] = field(default_factory=dict)
    left: int = _MOST_NAMED

    def of_one_event(self) -> Names:
        """These names, with so many characters left to write them in one event."""
        return Names(self.prefixes, self.unresolved, self.written)

    def write(self, name: str) -> str:
        """A member's name as it is written. Raises Unwritable for a prefix without meaning."""
        known = self.written.get(name)
        if known is None:
            known = self._write(name)
            if len(self.written) < _MOST_WRITTEN and len(name) <= _LONGEST_KEPT:
                self.written[name] = known
        return known

    def iri(self, name: str) -> str:
        """Namespace and local name in one, with a number sign where the namespace ends in no delimiter."""
        namespace, brace, local = self.write(name).removeprefix("{").partition("}")
        return f"{namespace}{'' if not brace or namespace[-1:] in _DELIMITERS else '#'}{local}"

    def _write(self, name: str) -> str:
        prefix, colon, local = name.partition(":")
        if not colon or local.startswith("//"):
            return name
        if prefix in self.prefixes:
            return f"{{{self.prefixes[prefix]}}}{local}"
        if prefix in _SCHEMES:
            return name
        if self.unresolved:
            raise Unwritable(
                "context-not-resolved", f"a prefix of a known context, not of {self.unresolved[0]}", prefix
            )
        raise Unwritable("undeclared-prefix", "a prefix declared in @context", prefix)


def names_of(context: Any, table: ContextTable = PACKAGED, spelled: Mapping[str, str] | None = None) -> Names:
    """The names in force under an `@context` as it was sent: one entry or a list of them.

    `spelled` are namespaces that go before all others, for a document that was XML and spelled one differently.
    """
    entries: list[str | tuple[tuple[str, str], ...]] = []
    for entry in as_entries(context):
        if isinstance(entry, str):
            entries.append(entry)
        elif isinstance(entry, dict):
            entries.append(tuple((prefix, iri) for prefix, iri in entry.items() if isinstance(iri, str)))
    if spelled:
        entries.append(tuple(spelled.items()))
    size = sum(
        len(entry) if isinstance(entry, str) else sum(len(prefix) + len(iri) for prefix, iri in entry)
        for entry in entries
    )
    read = _kept_names if size <= _LARGEST_CONTEXT_KEPT else _names_of
    return read(tuple(entries), HeldTable(table))


def _names_of(entries: tuple[str | tuple[tuple[str, str], ...], ...], held: HeldTable) -> Names:
    urls = [entry for entry in entries if isinstance(entry, str)]
    effective = effective_context(committed_context(urls, held.table), held.table)
    own = {
        prefix: iri
        for entry in entries
        if isinstance(entry, tuple)
        for prefix, iri in entry
        if ":" not in prefix and not prefix.startswith("@")
    }
    return Names({**effective.prefixes, **own}, effective.unresolved)


_kept_names = lru_cache(maxsize=256)(_names_of)


def hash_of(pre_image: str) -> str:
    """The hash ID of a pre-image, a name by RFC 6920."""
    return f"ni:///sha-256;{hashlib.sha256(pre_image.encode('utf-8')).hexdigest()}?ver={VERSION}"


def record_hash(committed: Mapping[str, Any], table: ContextTable = PACKAGED) -> str:
    """The hash ID of a record in committed form. Raises InvalidInput."""
    return hash_of(event_pre_image(committed, names_of(as_sent(committed["@context"]), table)))


def index_key(committed: Mapping[str, Any], table: ContextTable = PACKAGED) -> IndexKey:
    """The key under which an index keeps a record in committed form. Raises InvalidInput."""
    return IndexKey(record_hash(committed, table), "errorDeclaration" in committed, body_digest(committed))


def event_pre_image(event: Mapping[str, Any], names: Names, ignored: frozenset[str] = frozenset()) -> str:
    """The text that is hashed. `ignored` are the IRIs of extensions that take no part.

    Raises InvalidInput; its finding points from the event.
    """
    try:
        return _pre_image(event, names, ignored)
    except Unwritable as problem:
        raise _refusal(problem, "") from None


def hash_document(
    value: Any, table: ContextTable = PACKAGED, spelled: Mapping[str, str] | None = None
) -> list[Hashed]:
    """The events of a document, a query's answer or one bare event, in order, each hashed or with its problem.

    `spelled` as in `names_of`. Raises InvalidInput for a value that is none of these.
    """
    if not isinstance(value, dict):
        raise InvalidInput("expected an EPCIS document or an event, got neither", rule="wrong-type")
    frame, pointer, events = _events_of(value)
    outer = as_entries(value.get("@context", []))
    names = names_of(outer, table, spelled)
    try:
        ignored = _ignored(value, names) | _ignored(frame, names)
    except Unwritable as problem:
        raise _refusal(problem, "") from None
    found = []
    for index, event in enumerate(events):
        in_force = names
        if pointer is not None and isinstance(event, dict) and "@context" in event:
            in_force = names_of(outer + as_entries(event["@context"]), table, spelled)
        where = "" if pointer is None else f"{pointer}/{index}"
        found.append(_hashed(index, event, where, in_force, ignored))
    return found


def _hashed(position: int, event: Any, where: str, names: Names, ignored: frozenset[str]) -> Hashed:
    event_id, declares = None, False
    try:
        if not isinstance(event, dict):
            raise Unwritable("wrong-type", "an event", event)
        event_id, declares = event.get("eventID"), "errorDeclaration" in event
        event_id = event_id if isinstance(event_id, str) else None
        return Hashed(position, event_id, declares, _pre_image(event, names, ignored), None)
    except Unwritable as problem:
        return Hashed(position, event_id, declares, None, _refusal(problem, where))


def _events_of(document: dict[str, Any]) -> tuple[Any, str | None, Sequence[Any]]:
    """What frames the events, the pointer to their list (None for a bare event) and the events."""
    if document.get("type") not in ("EPCISDocument", "EPCISQueryDocument"):
        return None, None, [document]
    body = document.get("epcisBody")
    body = body if isinstance(body, dict) else {}
    if isinstance(body.get("eventList"), list):
        return body, "/epcisBody/eventList", body["eventList"]
    results = body.get("queryResults")
    inner = results.get("resultsBody") if isinstance(results, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("eventList"), list):
        return results, "/epcisBody/queryResults/resultsBody/eventList", inner["eventList"]
    message = "expected epcisBody with an eventList or queryResults, got none"
    raise InvalidInput(message, rule="missing-field", pointer="/epcisBody")


def _ignored(frame: Any, names: Names) -> frozenset[str]:
    """The IRIs of extensions that a document says its repository added. Fields of EPCIS are never among them."""
    if not isinstance(frame, dict):
        return frozenset()
    listed: list[Any] = []
    for name, value in frame.items():
        if name.endswith("ignoreFields") and ":" in name and names.iri(name) == _IGNORE:
            listed = list(value) if isinstance(value, (list, dict)) else [value]
    return frozenset(names.iri(name) for name in listed if isinstance(name, str) and ":" in name)


def _refusal(problem: Unwritable, where: str) -> InvalidInput:
    pointer = where + "".join(f"/{escape(str(part))}" for part in problem.path)
    got = problem.got if isinstance(problem.got, str) else type(problem.got).__name__
    finding = Finding(None, pointer, problem.rule, problem.expected, got[:120])
    message = f"{pointer or '/'}: expected {problem.expected}, got {finding.got}"
    return InvalidInput(message, [finding], problem.rule)


Part = tuple[str, str]
"""What a field adds to its place in the order, and what it leaves to the sorted part of the event."""

Writer = Callable[[str, Any, Names], Part]
_Fields = dict[str, tuple[int, Writer]]


def _pre_image(event: Mapping[str, Any], names: Names, ignored: frozenset[str]) -> str:
    kind = event.get("type")
    if type(kind) is not str or kind not in EVENT_TYPES:
        problem = Unwritable("unknown-event-type", f"one of {', '.join(sorted(EVENT_TYPES))}", kind)
        problem.path = ["type"]
        raise problem
    names = names.of_one_event()
    placed: list[tuple[int, str]] = []
    rest: list[str] = []
    for name, value in event.items():
        known = _EVENT.get(name)
        if known is not None:
            text, left = known[1](name, value, names)
            if text:
                placed.append((known[0], text))
            if left:
                rest.append(left)
        elif name not in _APART and not (ignored and ":" in name and names.iri(name) in ignored):
            rest.extend(_free(name, value, names, 2))
    placed.sort()
    rest.sort()
    whole = f"eventType={kind}{''.join([text for _, text in placed])}{''.join(rest)}"
    if not whole.isascii():
        _check_scalars(whole)
    return whole


def _check_scalars(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unwritable("lone-surrogate", "text without lone surrogates", "one") from None


def _free(name: str, value: Any, names: Names, depth: int) -> list[str]:
    """A member that is in no table: an extension, or a name that does not belong where it stands."""
    try:
        written = names.write(name)
        if written in _REMARKS:
            return []
        if type(value) is list:
            return [_free_item(written, item, names, depth + 1) for item in value]
        return [_free_item(written, value, names, depth)]
    except Unwritable as problem:
        problem.path.insert(0, name)
        raise


def _free_item(written: str, value: Any, names: Names, depth: int) -> str:
    if depth > _MOST_DEPTH:
        raise Unwritable("too-deep", f"a depth of {_MOST_DEPTH} at most", "a deeper one")
    names.left -= len(written)
    if names.left < 0:
        raise Unwritable("too-long", f"names of {_MOST_NAMED} characters in one event at most", written)
    if type(value) is dict:
        own, inner = "", []
        for name, item in value.items():
            # Text beside attributes, as readers of XML write it.
            if (name == "#text" or name.endswith(":value")) and names.write(name) in _TEXTS:
                own = write_text(item)
            else:
                inner.extend(_free(name, item, names, depth + 1))
        return _named(written, own) + "".join(sorted(inner))
    if type(value) is list:
        return written + "".join(sorted([_free_item("", item, names, depth + 1) for item in value]))
    return _named(written, write_text(value))


def _named(name: str, text: str) -> str:
    return f"{name}={text}" if text else name


def _value(write: Write) -> Writer:
    """One value, or a list of them, each under the name of the field."""

    def part(name: str, value: Any, names: Names) -> Part:
        try:
            if type(value) is list:
                return _items(name, value, write), ""
            text = write(value)
        except Unwritable as problem:
            problem.path.insert(0, name)
            raise
        return (f"{name}={text}" if text else ""), ""

    return part


def _items(name: str, values: list[Any], write: Write) -> str:
    found = []
    for index, value in enumerate(values):
        try:
            text = write(value)
        except Unwritable as problem:
            problem.path.insert(0, index)
            raise
        if text:
            found.append(f"{name}={text}")
    found.sort()
    return "".join(found)


def _list(item: str) -> Writer:
    def part(name: str, value: Any, names: Names) -> Part:
        try:
            text = _items(item, value if type(value) is list else [value], write_text)
        except Unwritable as problem:
            problem.path.insert(0, name)
            raise
        return (name + text if text else ""), ""

    return part


def _inside(fields: _Fields, value: Any, names: Names) -> Part:
    """An object: its known fields in order and then its extensions; what has no place is left over."""
    if type(value) is not dict:
        raise Unwritable("wrong-type", "an object", value)
    placed: list[tuple[int, str]] = []
    extra: list[str] = []
    rest: list[str] = []
    for name, inner in value.items():
        known = fields.get(name)
        if known is not None:
            text, left = known[1](name, inner, names)
            if text:
                placed.append((known[0], text))
            if left:
                rest.append(left)
        else:
            (extra if ":" in name else rest).extend(_free(name, inner, names, 4))
    placed.sort()
    extra.sort()
    rest.sort()
    return "".join([text for _, text in placed]) + "".join(extra), "".join(rest)


def _object(fields: _Fields) -> Writer:
    def part(name: str, value: Any, names: Names) -> Part:
        try:
            text, left = _inside(fields, value, names)
        except Unwritable as problem:
            problem.path.insert(0, name)
            raise
        return (name + text if text else ""), (name + left if left else "")

    return part


def _objects(fields: _Fields, item: str) -> Writer:
    """A list of objects. Without `item`, the name of the list stands before each object."""

    def part(name: str, value: Any, names: Names) -> Part:
        label, found, rest = item or name, [], []
        for index, one in enumerate(value if type(value) is list else [value]):
            try:
                text, left = _inside(fields, one, names)
            except Unwritable as problem:
                problem.path[:0] = [name, index] if type(value) is list else [name]
                raise
            if text:
                found.append(label + text)
            if left:
                rest.append(label + left)
        found.sort()
        rest.sort()
        head = name if item else ""
        return (head + "".join(found) if found else ""), (head + "".join(rest) if rest else "")

    return part


def _typed(word_list: str, item: str) -> Writer:
    """A list of names with a type, which stands before the name whatever order they were sent in."""
    fields: _Fields = {"type": (0, _value(word_writer(word_list))), item: (1, _value(write_text))}

    def part(name: str, value: Any, names: Names) -> Part:
        found = []
        for index, one in enumerate(value if type(value) is list else [value]):
            try:
                found.append("".join(_inside(fields, one, names)))
            except Unwritable as problem:
                problem.path[:0] = [name, index] if type(value) is list else [name]
                raise
        text = "".join(sorted(found))
        return "", (name + text if text else "")

    return part


def _open(name: str, value: Any, names: Names) -> Part:
    """An object of extensions, in the sorted part of the event."""
    texts = _free(name, value, names, 2)
    return "", "".join(sorted(text for text in texts if text != name))


_SIMPLE: dict[str, Writer] = {
    "time": _value(write_time),
    "number": _value(write_number),
    "text": _value(write_text),
    "digits-text": _value(write_string_value),
    "free": _open,
}


def _writer(form: str) -> Writer:
    kind, *rest = form.split(" ")
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if kind == "word":
        return _value(word_writer(rest[0]))
    if kind == "list":
        return _list(rest[0])
    if kind == "typed":
        return _typed(rest[0], rest[1])
    fields = _fields(rest[0])
    return _object(fields) if kind == "object" else _objects(fields, rest[1] if len(rest) > 1 else "")


def _fields(table: str) -> _Fields:
    rows = _TABLE["order"][table]
    return {name: (place, _writer(form)) for place, (name, form) in enumerate(rows)}


_EVENT = _fields("event")
