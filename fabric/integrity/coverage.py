"""What fsck cannot tell: fields that nothing else in the folder says again. The tests of tampering use this table,
and docs/operating.md shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A field, or a kind of file, whose change may go unnoticed; `why`, and what a change of it can do."""

    place: str
    why: str


COLUMNS: Final = (
    Uncovered("document.received_at", "this node's clock; shown to the submitter, decides nothing"),
    Uncovered("document.media_type", "known again only where a capture's header record names it"),
    Uncovered("capture.created_at", "this node's clock; shown to the submitter, decides nothing"),
    Uncovered("document.dropped_by", "which of its member's erasures dropped the bytes"),
    Uncovered("job.created_at", "this node's clock; orders a member's list of jobs"),
    Uncovered("job.id", "a random name that only the submitter knows; a changed one is not found"),
    Uncovered("job.notes", "warnings and duplicates as they were told then; only the shape is checked"),
    Uncovered("link.created_at", "this node's clock; shown to the sender, decides nothing"),
    Uncovered("statement.staged_at", "this node's clock; decides nothing"),
    Uncovered("statement.rule", "why a statement was refused; the log holds nothing of refused ones"),
    Uncovered("statement.reason", "why a statement was refused; the log holds nothing of refused ones"),
    Uncovered("credential.hash", "the only copy; a changed one is a key that no longer works"),
    Uncovered("credential.id", "a number that sessions name; a changed one ends them"),
    Uncovered("credential.created_at", "this node's clock; decides nothing"),
    Uncovered("credential.revoked_at", "the only copy: clearing it brings a revoked API key back"),
    Uncovered("erasure.created_at", "this node's clock; decides nothing"),
    Uncovered(
        "erasure.swept",
        "whether files were swept; clearing it sweeps them again, setting it early leaves traces",
    ),
    Uncovered("erased.parties", "who saw what is gone; only that they are members is checked"),
    Uncovered("erased.partial", "who saw a part of what is gone; only that they are members is checked"),
    Uncovered("erased_name.iri", "which things an erased record named: only here is it still told"),
    Uncovered("erased_name.record", "which record named a thing; checked to be an erased one"),
    Uncovered("retention.*", "the member's own rule, stated nowhere else"),
    Uncovered("named_query.*", "what a member asked for, stated nowhere else"),
    Uncovered("subscription.*", "what a member asked for, and how far deliveries have come"),
    Uncovered("touched.seq", "which batch changed a record last; checked to be one behind the record's own"),
    Uncovered(
        "touched.record", "checked to be an event's; the graph, which follows it, is compared by itself"
    ),
    Uncovered("class.members", "only of classes that no record is in"),
    Uncovered("class.id", "only of classes that no record is in"),
)

OF_ERASED: Final = (
    Uncovered("record.declares", "of a record that was erased: what it said is gone"),
    Uncovered("record.duplicate_of", "of a record that was erased: what it said is gone"),
    Uncovered("record.kind", "of a record that was erased: only that a header comes first is checked"),
)
"""Columns of which a change may go unnoticed where the record is erased; elsewhere it is found."""

ROWS: Final = (
    Uncovered("checkpoint", "a lost row of a head whose last statement is a registry statement"),
    Uncovered(
        "credential", "a lost row is an API key that no longer works; a made-up one for an admitted member"
    ),
    Uncovered("class", "a lost row of a class that no record is in"),
    Uncovered("erased_name", "a lost row: only here is it still told which things an erased record named"),
    Uncovered("retention", "a lost row: the member's own rule, stated nowhere else"),
    Uncovered("named_query", "a lost row: what a member asked for, stated nowhere else"),
    Uncovered("subscription", "a lost row: what a member asked for, and how far deliveries have come"),
    Uncovered("touched", "a lost row delays the graph, which is compared by itself"),
    Uncovered(
        "statement",
        "a lost row of a refused registry statement, recall or agreement, of which the log holds nothing",
    ),
)
"""Tables of which a row that is gone, or made up, may go unnoticed."""

FILES: Final = (
    Uncovered("lock", "empty; held while a node runs"),
    Uncovered(
        "witness-*", "what witnesses were asked last; they tell again, and their signatures are checked then"
    ),
    Uncovered("node.toml", "settings, for people to read; what does not parse is refused"),
    Uncovered("keys/session.key", "random bytes; another value ends the sessions of pages"),
    Uncovered("loomark.db-shm", "an index of the write-ahead log that the next opener makes anew"),
    Uncovered("graph/progress.db-shm", "an index of a write-ahead log that the next opener makes anew"),
    Uncovered("graph/*/LOG", "notes of the engine for people"),
    Uncovered("graph/*/LOG.old.*", "notes of the engine for people"),
    Uncovered("graph/*/LOCK", "empty; held while the projector runs"),
    Uncovered("graph/*/IDENTITY", "a name that the engine gives a store; nothing reads it"),
    Uncovered("graph/*/OPTIONS-*", "settings of the engine; nothing reads them when a store is opened"),
    Uncovered("*.partial", "what a write that was cut short leaves; nobody reads it"),
)

BYTES: Final = (
    Uncovered(
        "a lost partial tile beside a wider one", "it is the beginning of the wider one, and answered from it"
    ),
    Uncovered(
        "a snapshot that `graph/CURRENT` does not name", "nobody opens it; a later publication removes it"
    ),
    Uncovered(
        "a lost `graph/PURGED`, or one that names another erasure",
        "an earlier one sweeps the graph's files again; a later one that was just stated leaves traces",
    ),
    Uncovered("archived notes, where a quorum is required", "a head that waited for cosigners may have none"),
    Uncovered("the sealed part of an encrypted key file", "opening it with its passphrase checks it"),
    Uncovered("free space of database pages", "holds no row; zeroed when a row is deleted (secure_delete)"),
    Uncovered("padding bits of a packed document", "unpacking gives the same bytes"),
    Uncovered(
        "bytes of graph files that answer no query",
        "all quads are read in all six orders; nothing else is served",
    ),
)

NOT_COVERED: Final = (*COLUMNS, *OF_ERASED, *ROWS, *FILES, *BYTES)
