"""The log's shell: statements become entries, entries become signed tree heads, tiles and proofs.

It owns the order of the write path (docs/spec/log.md): stage durably, give indices and move the head in one
transaction, sign only a committed head, publish tiles and then the checkpoint. It leaves what a statement
means to the pure heart of `ledger`, and what is done with a sequenced one to its caller.

    engine = writer_engine(data / "loomark.db")
    with engine.begin() as connection:
        create_log(connection, origin)          # once; the tables come from the migrations
    sequencer = open_sequencer(engine, Publisher(data / "log", data / "high-water", key), clock)
    with engine.begin() as connection:
        row = stage(connection, envelope, origin=origin, now_ms=clock())
    sequencer.sequence(on_sequenced)
    LogReader(reader_engine(data / "loomark.db"), data / "log").proof_parts(index)
"""

from __future__ import annotations

from .database import create_log
from .engine import reader_engine, writer_engine
from .fsck import Fault, LogReport, check_log
from .guard import Mark, MarkSource, ReadOnly, ReadOnlyLog
from .plan import Refused, Sequenced
from .publish import Cosigner, Published, Publisher
from .reader import LogReader, StatementProof
from .recover import open_sequencer
from .sequencer import Sequencer
from .space import StorageFull
from .stage import stage

__all__ = [
    "Cosigner",
    "Fault",
    "LogReader",
    "LogReport",
    "Mark",
    "MarkSource",
    "Published",
    "Publisher",
    "ReadOnly",
    "ReadOnlyLog",
    "Refused",
    "Sequenced",
    "Sequencer",
    "StatementProof",
    "StorageFull",
    "check_log",
    "create_log",
    "open_sequencer",
    "reader_engine",
    "stage",
    "writer_engine",
]
