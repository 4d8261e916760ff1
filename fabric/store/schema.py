"""The fabric's tables: what was captured, and the projections that are read off it.

Two sorts of tables share one `metadata`. The *durable* ones (`DURABLE`) hold what nobody could compute again:
submitted documents, records with their salts, captures, jobs, credentials, subscriptions. They are migrated. All others,
here and in `fabric.lineage.sql`, are *projections*: a pure function of sequenced records, their log indices
and the registry, written in the transaction that sequences. They are dropped and rebuilt when their version
differs (`fabric.store.projection`), so changing one never needs a migration.

Integer ids of records and things never leave the process. Hot tables carry no foreign keys: one module writes
them, in one transaction, and `loomark fsck` checks what a key would.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

HEADER: Final = 0
MASTER: Final = 1
EVENT: Final = 2

# SQLite numbers rows by itself only in a column declared INTEGER; everywhere else the number needs 64 bits.
_row_id = BigInteger().with_variant(Integer, "sqlite")
# Texts that are asked for by where they begin, or given in order: byte by byte, whatever a server's language is.
_ordered = Text().with_variant(Text(collation="C"), "postgresql")

document: Final = Table(
    "document",
    metadata,
    Column("id", _row_id, primary_key=True),
    Column("member", String(64), nullable=False),
    Column("sha256", LargeBinary(32), nullable=False, comment="of the bytes as submitted"),
    Column("media_type", String(255), nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes as submitted"),
    Column("body", LargeBinary, nullable=False, comment="the submitted bytes, zlib; empty once dropped"),
    Column("received_at", BigInteger, nullable=False, comment="milliseconds since 1970, this node's clock"),
    Column("dropped_by", BigInteger, comment="erasure row on whose account the bytes were dropped"),
    UniqueConstraint("member", "sha256"),
)

capture: Final = Table(
    "capture",
    metadata,
    Column("id", _row_id, primary_key=True),
    Column("document", ForeignKey("document.id"), nullable=False),
    Column("member", String(64), nullable=False),
    Column("statement", BigInteger, nullable=False, unique=True, comment="row of the log's statement table"),
    Column("custody", SmallInteger, nullable=False, comment="1: the node signed, 0: the member did"),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("salt", LargeBinary(32), nullable=False),
    Column("records", Integer, nullable=False, comment="the header record included"),
    Column("idx", BigInteger, unique=True, comment="log index, null until its records are projected"),
    Column("created_at", BigInteger, nullable=False, comment="milliseconds since 1970, this node's clock"),
)

job: Final = Table(
    "job",
    metadata,
    Column("id", String(32), primary_key=True, comment="random hex, the name the submitter knows"),
    Column("member", String(64), nullable=False),
    Column("document", ForeignKey("document.id"), nullable=False, index=True),
    Column("capture", ForeignKey("capture.id"), comment="null when every record was a duplicate"),
    Column("notes", Text, comment="JSON: warnings and duplicates; null when there are none"),
    Column("created_at", BigInteger, nullable=False, comment="milliseconds since 1970, this node's clock"),
)
Index("ix_job_capture", job.c.capture)
Index("ix_job_member", job.c.member, job.c.created_at, job.c.id)

record: Final = Table(
    "record",
    metadata,
    Column("id", _row_id, primary_key=True),
    Column("capture", BigInteger, nullable=False),
    Column("position", Integer, nullable=False, comment="in the capture; 0 is the header record"),
    Column("kind", SmallInteger, nullable=False, comment="0 header, 1 master data, 2 event"),
    Column("member", String(64), nullable=False),
    Column("event_id", Text, comment="as submitted; null when the event has none"),
    Column("declares", SmallInteger, nullable=False, comment="1: it carries an error declaration"),
    Column("duplicate_of", BigInteger, comment="record id, when a member-signed capture repeats one"),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, comment="equal-body digest of the duplicates rule"),
    Column("salt", LargeBinary(32), comment="record salt; null once a unit or all of it was erased"),
    Column("body", LargeBinary, comment="RFC 8785 bytes of what is kept of it; null once erased"),
    Column("supplied_id", Text, comment="hash ID of an event without an ID, whose submitter asked for one"),
    Index("ix_record_capture", "capture", "position", unique=True),
    Index("ix_record_commitment", "commitment"),
)
# An event with an ID is found by it, one without (and master data) by its body: each pays for one index only.
Index(
    "ix_record_event_id",
    record.c.event_id,
    sqlite_where=text("event_id IS NOT NULL"),
    postgresql_where=text("event_id IS NOT NULL"),
)
Index(
    "ix_record_supplied_id",
    record.c.supplied_id,
    sqlite_where=text("supplied_id IS NOT NULL"),
    postgresql_where=text("supplied_id IS NOT NULL"),
)
Index(
    "ix_record_digest",
    record.c.digest,
    sqlite_where=text("event_id IS NULL AND kind > 0"),
    postgresql_where=text("event_id IS NULL AND kind > 0"),
)

credential: Final = Table(
    "credential",
    metadata,
    Column("id", _row_id, primary_key=True),
    Column("member", String(64), nullable=False, index=True),
    Column("role", String(16), nullable=False, comment="operator or member"),
    Column("hash", LargeBinary(32), nullable=False, unique=True, comment="SHA-256 of the API key"),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)


def beside_log(name: str, *more: Column[Any]) -> Table:
    """A table of bodies that lie beside the log, one a statement of some kind; `more` columns follow the common ones."""
    return Table(
        name,
        metadata,
        Column("id", _row_id, primary_key=True),
        Column("statement", BigInteger, nullable=False, unique=True, comment="row of the log's table"),
        Column("member", String(64), nullable=False),
        Column("statement_id", String(32), nullable=False, comment="`id` of the payload: once per member"),
        Column("parties", Text, nullable=False, comment="who may see it: sorted member ids, by one space"),
        Column("commitment", LargeBinary(32), nullable=False),
        Column("salt", LargeBinary(32), nullable=False),
        Column("body", LargeBinary, nullable=False, comment="RFC 8785 bytes"),
        Column("idx", BigInteger, unique=True, comment="log index, null until it has taken effect"),
        Column(
            "created_at", BigInteger, nullable=False, comment="milliseconds since 1970, this node's clock"
        ),
        *more,
    )


link: Final = beside_log("link")

erasure: Final = beside_log(
    "erasure",
    Column("swept", SmallInteger, nullable=False, comment="1: no file of the database holds what it erased"),
)

erased_by: Final = Table(
    "erased_by",
    metadata,
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    Column("erasure", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

erased: Final = Table(
    "erased",
    metadata,
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    Column("whole", SmallInteger, nullable=False, comment="1: all of it, 0: some units"),
    Column("parties", Text, nullable=False, comment="who saw it whole: sorted member ids, by spaces"),
    Column("partial", Text, comment="who saw a part of it"),
    Column("remains", LargeBinary, comment="JCS of the units and salts that stay; null for all of it"),
    comment="tombstones: what the node still says of records of which something was erased",
)

erased_name: Final = Table(
    "erased_name",
    metadata,
    Column("iri", Text, primary_key=True, comment="a thing that other records or links name, too"),
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
    comment="which things an erased record, or an erased unit of one, named",
)

retention: Final = Table(
    "retention",
    metadata,
    Column("member", String(64), primary_key=True),
    Column("days", Integer, comment="records are due so many days after they were captured"),
    Column("until", BigInteger, comment="milliseconds since 1970: then all that was captured before is due"),
    Column("set_by", String(64), nullable=False),
    Column("set_at", BigInteger, nullable=False, comment="milliseconds since 1970, this node's clock"),
)

named_query: Final = Table(
    "named_query",
    metadata,
    Column("id", _row_id, primary_key=True),
    Column(
        "member", String(64), nullable=False, comment="whose name it is: each member has names of its own"
    ),
    Column("name", _ordered, nullable=False),
    Column("query", Text, nullable=False, comment="JSON as it was sent"),
    Column("extensions", Text, nullable=False, comment="JSON: prefix to namespace, of its custom parameters"),
    Column("created_at", BigInteger, nullable=False, comment="milliseconds since 1970, this node's clock"),
    UniqueConstraint("member", "name"),
    sqlite_autoincrement=True,
)

subscription: Final = Table(
    "subscription",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("query", BigInteger, nullable=False, index=True, comment="row of the named query"),
    Column("dest", Text, nullable=False),
    Column("secret", Text, comment="what deliveries are signed with; leaves the process in no answer"),
    Column("schedule", Text, comment="JSON as it was sent; null for a stream"),
    Column("report_if_empty", SmallInteger, nullable=False),
    Column("epc_format", String(32), nullable=False),
    Column("initial_at", BigInteger, nullable=False, comment="initialRecordTime, milliseconds since 1970"),
    Column("created_at", BigInteger, nullable=False, comment="milliseconds since 1970, this node's clock"),
    Column("seq", BigInteger, nullable=False, comment="log index and place in its capture of the last"),
    Column("position", Integer, nullable=False, comment="event that was delivered or passed over"),
    Column("run_size", BigInteger, comment="tree size that the scheduled run under way goes up to"),
    Column("due_at", BigInteger, comment="when it is looked at next; null: at the next new head"),
    Column("batch", Integer, nullable=False, comment="most events in one delivery: less after a 413"),
    Column("sending", String(36), comment="name of the delivery under way, noted before it is sent"),
    Column("sending_keys", Text, comment="JSON: its events, [log index, place in its capture] each"),
    Column("sending_by", Text, comment="the process that sends it"),
    Column("sending_at", BigInteger, comment="when that process noted it"),
    Column("failures", Integer, nullable=False, comment="attempts in a row that were not taken"),
    Column("reason", Text, comment="why the last attempt was not taken"),
    Column("dead", SmallInteger, nullable=False, comment="1: given up until somebody resumes it"),
    Column("delivered", BigInteger, nullable=False, comment="deliveries that were taken"),
    Column("notified_at", BigInteger, comment="when the last delivery was taken"),
    Column("failed_at", BigInteger, comment="when the last attempt was not taken"),
)

DURABLE: Final = (
    document,
    capture,
    job,
    record,
    credential,
    link,
    erasure,
    erased_by,
    erased,
    erased_name,
    retention,
    named_query,
    subscription,
)
"""Tables that cannot be rebuilt; the log's own (`ledger.log.schema`) are durable too."""

projection: Final = Table(
    "projection",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
)

thing: Final = Table(
    "thing",
    metadata,
    Column("id", _row_id, primary_key=True),
    Column("iri", _ordered, nullable=False, unique=True),
    Column("kind", String(8), nullable=False, comment="fabric.epcis Kind"),
)

event: Final = Table(
    "event",
    metadata,
    Column("record", _row_id, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False, comment="log index of its capture"),
    Column("position", Integer, nullable=False, comment="in the capture"),
    Column("member", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    Column("action", String(8)),
    Column("event_id", Text, comment="as submitted"),
    Column("time_us", BigInteger, nullable=False, comment="microseconds since 1970, UTC"),
    Column("offset_min", SmallInteger, nullable=False),
    Column("step", _ordered, comment="CBV short word, or IRI"),
    Column("disposition", _ordered, comment="CBV short word, or IRI"),
    Column("read_point", BigInteger, comment="thing id"),
    Column("biz_location", BigInteger, comment="thing id"),
    Column("transformation_id", Text),
    Column("facts", Text, comment="JSON: src, dst, txn pairs; absent members are empty"),
    Column("content", LargeBinary(16), nullable=False, comment="occurrence key: equal content, equal bytes"),
    Column("declares", SmallInteger, nullable=False, comment="1: an error declaration, which makes no lines"),
    Column("duplicate_of", BigInteger, comment="record id, when a member-signed capture repeats one"),
    Column("void_by", BigInteger, comment="record id of the first declaration that voids it"),
    Column("void_seq", BigInteger, comment="log index of that declaration"),
    Column("class", Integer, nullable=False, comment="who may see it whole"),
    Column("partial", Integer, comment="class of those who may see only what a hand-over shows"),
    Index("ix_event_seq", "seq"),
    Index(
        "ix_event_declares",
        "member",
        "event_id",
        sqlite_where=text("declares = 1"),
        postgresql_where=text("declares = 1"),
    ),
    Index(
        "ix_event_declared",
        "class",
        "time_us",
        "record",
        sqlite_where=text("declares = 1"),
        postgresql_where=text("declares = 1"),
    ),
    comment="one row an event; queries read its indices class by class, newest first (`fabric.query.plan`)",
)
# A class first: a reader's queries never meet the rows of others. Time or log index next to last: keys come in order.
Index("ix_event_taken", event.c["class"], event.c.seq, event.c.position)
Index("ix_event_type", event.c["class"], event.c.type, event.c.time_us, event.c.record)


def _index_of(column: Column[Any]) -> None:
    """An index of one field's values, class by class, in order of time; events without the field are not in it."""
    given = text(f"{column.name} IS NOT NULL")
    Index(
        f"ix_event_{column.name}",
        event.c["class"],
        column,
        event.c.time_us,
        event.c.record,
        sqlite_where=given,
        postgresql_where=given,
    )


for _column in (event.c.step, event.c.disposition, event.c.read_point, event.c.biz_location):
    _index_of(_column)

line: Final = Table(
    "line",
    metadata,
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    Column("ord", Integer, primary_key=True, autoincrement=False, comment="order in the event"),
    Column("thing", BigInteger, nullable=False),
    Column("role", String(8), nullable=False, comment="fabric.epcis Role"),
    Column("quantity", Text, comment="exact decimal, normalised; null when unknown"),
    Column("unit", Text, comment="as sent; null means items"),
    Column("lot", BigInteger, comment="thing id of the lot that this mention says a serial belongs to"),
    Column("original", _ordered, comment="the name as sent; null when it is the canonical IRI"),
    Index("ix_line_thing", "thing", "record"),
    sqlite_with_rowid=False,
)

declared: Final = Table(
    "declared",
    metadata,
    Column("iri", _ordered, primary_key=True, comment="canonical, of anything that the event names"),
    Column("record", BigInteger, primary_key=True, autoincrement=False, index=True),
    sqlite_with_rowid=False,
    comment="what error declarations name: they make no lines, and are still asked for by what they are about",
)

family: Final = Table(
    "family",
    metadata,
    Column("class", Integer, primary_key=True, autoincrement=False, comment="as in `event`"),
    Column(
        "start", _ordered, primary_key=True, comment="what IRIs of one product, or one company, begin with"
    ),
    Column("time_us", BigInteger, primary_key=True, autoincrement=False, comment="as in `event`"),
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    Index("ix_family_record", "record"),
    sqlite_with_rowid=False,
    comment="which families of things an event is about: patterns of names are asked for by it",
)

listed: Final = Table(
    "listed",
    metadata,
    Column("class", Integer, primary_key=True, autoincrement=False),
    Column("thing", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
    comment="serial things that events of a class name as what they are about: what its readers are listed",
)

named: Final = Table(
    "named",
    metadata,
    Column("thing", BigInteger, primary_key=True, autoincrement=False),
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
    comment="parties and places of source and destination lists: they decide who may see a record",
)

master: Final = Table(
    "master",
    metadata,
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("thing", BigInteger, nullable=False, index=True),
    Column("member", String(64), nullable=False),
    Column("type", Text, nullable=False, comment="the vocabulary's type"),
)

same: Final = Table(
    "same",
    metadata,
    Column("thing", BigInteger, primary_key=True, autoincrement=False),
    Column("link", BigInteger, primary_key=True, autoincrement=False),
    Column("other", BigInteger, nullable=False, comment="thing id of the other end; each link has both rows"),
    Column("seq", BigInteger, nullable=False, comment="log index of its statement"),
    Column("statement", String(32), nullable=False, comment="id of its statement"),
    Column("class", Integer, nullable=False, comment="who may see it"),
    sqlite_with_rowid=False,
)

shown: Final = Table(
    "shown",
    metadata,
    Column(
        "dispatch", BigInteger, primary_key=True, autoincrement=False, comment="record that hands things over"
    ),
    Column(
        "record", BigInteger, primary_key=True, autoincrement=False, comment="record it shows to its parties"
    ),
    Column("whole", SmallInteger, nullable=False, comment="1: all of it, 0: the units of a creation"),
    Index("ix_shown_record", "record"),
    sqlite_with_rowid=False,
)

handed: Final = Table(
    "handed",
    metadata,
    Column("thing", BigInteger, primary_key=True, autoincrement=False),
    Column("dispatch", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
    comment="what each dispatch with parties hands over, contents of carriers included: a late record finds it here",
)

touched: Final = Table(
    "touched",
    metadata,
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False, index=True, comment="a log index of the batch that changed it"),
    sqlite_with_rowid=False,
    comment="event records whose class or void state changed after their batch: what followers look at again",
)

visibility_class: Final = Table(
    "class",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Each set once, as one writer interns them; no index, which could not hold the names of hundreds of members.
    Column("members", Text, nullable=False, comment="sorted member ids, separated by one space"),
)
