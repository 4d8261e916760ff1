"""The pure EPCIS 2.0 model: documents, events, identifiers, validation. No network, no SQL, no clock.

`read_document` takes submitted bytes and gives validated records in committed form; `read_event` takes a
committed record and gives the event again, anywhere (`read_untrusted_event` validates it first);
`canonical_thing` gives every spelling of an identifier its one IRI; `record_hash` names an event by the hash ID
of CBV 2.0, which is an index and never evidence. Storing, signing and linking are left to the packages above.
"""

from __future__ import annotations

from .contexts import PACKAGED, ContextTable, resolve_name
from .document import Document, EventRecord, HeaderRecord, MasterRecord, Reading, read_document
from .event import ErrorDeclaration, Event, Quantity, Ref, Role, read_event
from .event_hash import Hashed, IndexKey, hash_document, index_key, record_hash
from .identifiers import Kind, Position, Thing, canonical_thing, is_carrier_key, private_thing
from .identity import body_digest
from .record import read_untrusted_event

__all__ = [
    "PACKAGED",
    "ContextTable",
    "Document",
    "ErrorDeclaration",
    "Event",
    "EventRecord",
    "Hashed",
    "HeaderRecord",
    "IndexKey",
    "Kind",
    "MasterRecord",
    "Position",
    "Quantity",
    "Reading",
    "Ref",
    "Role",
    "Thing",
    "body_digest",
    "canonical_thing",
    "hash_document",
    "index_key",
    "is_carrier_key",
    "private_thing",
    "read_document",
    "read_event",
    "read_untrusted_event",
    "record_hash",
    "resolve_name",
]
