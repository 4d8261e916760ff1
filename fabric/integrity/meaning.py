"""What each fault means to people: what it says, since when it was good, what it affects, what to do.

Data, by rule. A rule of a projected table is `projection-<table>`. `docs/operating.md` shows the same table of
repairs; a test holds every rule that a check can note to an entry here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Since = Literal["log", "record", "derived", "file", "none"]
"""Where "since when was it good" is answered from: the signed heads, the entry that seals it, nothing older kept,
the date of a file, nothing at all."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One rule in words. `severity` is `evidence` (what cannot be made again), `derived`, or `setting`."""

    severity: Literal["evidence", "derived", "setting"]
    means: str
    affects: str
    repair: str
    since: Since


_RESTORE: Final = (
    "Stop the node and keep the folder as it is for whoever looks into it. Restore the last backup in which fsck is"
    " clean, with the high-water file that is here, not the backup's."
)
_REBUILD: Final = "Stop the node and run `loomark rebuild`; fsck is clean afterwards."
_TILES: Final = (
    "Where this report has no fault of entries (leaf, root): stop the node, remove the folder log/tile, start it: the entries give every tile again. Tell members and"
    " witnesses if it stood for long: they may have been served it."
    " Where it has: leave the tiles, which may be what the entries once gave."
)
_HIGH_WATER: Final = (
    "Do not start the node on it: find out which head was signed last, from witnesses and members' receipts, before"
    " the file is written again."
)


def _evidence(means: str, affects: str, repair: str = _RESTORE, since: Since = "record") -> Meaning:
    return Meaning("evidence", means, affects, repair, since)


def _derived(means: str, affects: str, repair: str = _REBUILD, since: Since = "derived") -> Meaning:
    return Meaning("derived", means, affects, repair, since)


def _setting(means: str, affects: str, repair: str, since: Since = "file") -> Meaning:
    return Meaning("setting", means, affects, repair, since)


_ENTRY_PROOFS: Final = (
    "Proofs of the entries behind it are no longer given or fail; receipts handed out before still verify."
)
_RECORD_PROOFS: Final = (
    "The node cannot prove this record any more; proofs handed out before still verify. What was derived from it may"
    " be wrong."
)
_CAPTURE_PROOFS: Final = (
    "No record of this capture can be proved from this store; proofs handed out before still verify."
)
_DOCUMENT: Final = "Its submitter gets other bytes back, or none. Records and their proofs are not touched."
_JOB: Final = (
    "Its submitter gets a wrong answer on what became of the submission. Records and proofs are not touched."
)
_SEQUENCING: Final = (
    "A submission that waits, or was refused, is not what was sent. Nothing in the log is touched."
)

_LOG: Final = {
    "checkpoint": _evidence(
        "A checkpoint is missing, unreadable or not signed by the log's key.",
        "Nobody can verify what is served under it; the node does not sign on a checkpoint that it cannot read.",
        "If only the checkpoint file is at fault, remove it, keep the high-water file, and start the node: it signs the"
        " same head to the same bytes. An archived one comes back with a backup.",
        "log",
    ),
    "root": _evidence(
        "The entries in the database are not those that the log signed.", _ENTRY_PROOFS, since="log"
    ),
    "leaf": _evidence("An entry does not hash to what was sequenced.", _ENTRY_PROOFS),
    "entry-missing": _evidence("An entry of the log is gone.", _ENTRY_PROOFS),
    "log-unreadable": _evidence(
        "The log's tables hold values that nobody wrote.", _ENTRY_PROOFS, since="log"
    ),
    "head": _evidence(
        "The head in the database is not that of its entries, or behind what was published.",
        "The node refuses to sign. A head behind the checkpoint is a restored backup or a lost commit.",
        since="log",
    ),
    "high-water": _evidence(
        "The memory of the last signed head is missing, unreadable or names another tree.",
        "It is what keeps a restored backup from signing a second history.",
        _HIGH_WATER,
        "file",
    ),
    "consistency": _evidence(
        "An archived head is not one that this log went through.",
        "Statements that name it as seen, and receipts under it, cannot be answered for.",
        since="log",
    ),
    "archive": _evidence(
        "The archive of checkpoints lacks a note, or tells another time than its seal.",
        "Old checkpoints cannot be shown as they were published; the tree itself is sound.",
        since="log",
    ),
    "tile": _derived(
        "A served tile is not what the entries give.",
        "Mirrors, monitors and witnesses that read it see a log that fails; proofs from here fail to verify.",
        _TILES,
        "file",
    ),
    "stray-file": _derived(
        "A file lies among the tiles that no tree of this log has.",
        "Nothing, until it is served.",
        _TILES,
        "file",
    ),
    "index": _evidence(
        "A table that finds statements, seals or registry changes says something else than the entries.",
        "Answers about a statement, and proofs that look up its seal or key, are wrong or missing.",
    ),
    "wrong-seen": _evidence(
        "A statement names a head as seen that this log never had.", _ENTRY_PROOFS, since="log"
    ),
    "void-statement": _evidence(
        "The log holds a statement without authority: evidence against whoever runs it.",
        "It has no effect. It is part of the log for good.",
        "Nothing here repairs it. Show the entry and a checkpoint over it to the members; `loomark monitor` writes both.",
    ),
    "staged": _evidence(
        "A statement outside the log is not the one that was staged.", _SEQUENCING, since="none"
    ),
    "log-key": _evidence(
        "The charter names another log key than the one to be trusted.",
        "Every proof from this folder verifies under the wrong key only: the folder may be another log's.",
        since="none",
    ),
}

_ERASED: Final = (
    "What was erased, by whom and why cannot be shown. What is gone stays gone; other proofs hold."
)

_STORED: Final = {
    "record-commitment": _evidence("A record or its salt was changed after it was signed.", _RECORD_PROOFS),
    "record-body": _evidence("A record's bytes are not those that were committed.", _RECORD_PROOFS),
    "record-gap": _evidence(
        "A record's content is gone, and no statement in the log says it was erased.", _RECORD_PROOFS
    ),
    "record-half": _evidence("Half of what proves a record is gone.", _RECORD_PROOFS),
    "record-digest": _evidence(
        "The digest by which repeated records are recognised is another one.",
        "A repeated submission of it is taken for a new one, or refused. Its proof is not touched.",
    ),
    "record-facts": _evidence(
        "What finds a record (event ID, declaration, repeated record) is not what it says.",
        "Declarations and repeated submissions may miss it. Its proof is not touched.",
    ),
    "record-member": _evidence(
        "A record is filed under another member than the one that signed it.", _RECORD_PROOFS
    ),
    "record-kind": _evidence(
        "A record is filed as another kind than it is.", "Projections made from it are wrong."
    ),
    "record-source": _evidence(
        "The document of a capture is not the one that its header record names.", _DOCUMENT
    ),
    "record-positions": _evidence(
        "Records of a capture are missing, surplus or out of order.", _CAPTURE_PROOFS
    ),
    "record-capture": _evidence(
        "Records lie in the store that no capture has.", "They are proved by nothing."
    ),
    "capture": _evidence("A capture's row holds values that nobody wrote.", _CAPTURE_PROOFS),
    "capture-commitment": _evidence(
        "The records of a capture are not those that were signed.", _CAPTURE_PROOFS
    ),
    "capture-statement": _evidence("A capture is not the one that its statement signs.", _CAPTURE_PROOFS),
    "capture-index": _evidence(
        "A capture is filed under another log index than its statement.", _CAPTURE_PROOFS
    ),
    "capture-custody": _evidence(
        "Whether the node or the member signed is told wrongly.", "Duplicates are judged by the wrong rule."
    ),
    "capture-missing": _evidence(
        "A statement commits to a capture that is not in the store.", _CAPTURE_PROOFS
    ),
    "document": _evidence("A submitted document does not unpack.", _DOCUMENT),
    "document-digest": _evidence("A submitted document is not the bytes that were submitted.", _DOCUMENT),
    "document-size": _evidence("A document's size is told wrongly.", _DOCUMENT),
    "job": _evidence("A job's row holds what nobody wrote.", _JOB, since="none"),
    "job-document": _evidence(
        "A document and the job that answers for it do not go together.", _JOB, since="none"
    ),
    "job-capture": _evidence(
        "A capture and the job that answers for it do not go together.", _JOB, since="none"
    ),
    "credential": _evidence(
        "An API key stands for somebody it was not issued to.",
        "Whoever holds that key may act in another name.",
        "Revoke the keys of the member named (`loomark member`), issue new ones, and look at what was captured since.",
        "none",
    ),
    "link-statement": _evidence(
        "A link is not the one that its statement signs.", "Traces that follow it are wrong."
    ),
    "link-parties": _evidence(
        "Who may see a link is told wrongly.", "Members see a link, or miss it, against its statement."
    ),
    "link-commitment": _evidence(
        "A link or its salt was changed after it was signed.",
        "It cannot be proved; traces that follow it are wrong.",
    ),
    "link-body": _evidence(
        "A link's bytes are not those that were committed.",
        "It cannot be proved; traces that follow it are wrong.",
    ),
    "link-index": _evidence(
        "A link is filed under another log index than its statement.", "It cannot be proved."
    ),
    "erasure-statement": _evidence("An erasure is not the one that its statement signs.", _ERASED),
    "erasure-parties": _evidence(
        "Who may read why something was erased is told wrongly.", "Members read a reason, or miss it."
    ),
    "erasure-commitment": _evidence("An erasure or its salt was changed after it was signed.", _ERASED),
    "erasure-body": _evidence("An erasure's bytes are not those that were committed.", _ERASED),
    "erasure-index": _evidence("An erasure is filed under another log index than its statement.", _ERASED),
    "erasure-missing": _evidence("A statement commits to an erasure that is not in the store.", _ERASED),
    "erasure-undone": _evidence(
        "Something that was erased is in the store again, from a backup or by hand.",
        "What was promised to be gone is not.",
        "Erase it again (`loomark erase`), and look for where it came from: an older backup holds what was erased since.",
    ),
    "erased": _evidence(
        "What the store says of an erased record does not fit the erasure.",
        "Tombstones, and counts of erased records in traces, are wrong. No proof is touched.",
    ),
    "retention": _evidence(
        "A retention rule is about nobody.",
        "Records may be kept longer than they should, or erased sooner.",
        since="none",
    ),
    "link-missing": _evidence(
        "A statement commits to a link that is not in the store.", "Traces do not follow it."
    ),
    "database-page": _evidence(
        "The database file is damaged: a disk, a copy or a hand wrote into it.",
        "What lies on the damaged pages cannot be read or found; an index may miss rows that are there.",
        since="file",
    ),
    "database-shape": _evidence(
        "The database has other tables, columns or indices than this version makes.",
        "Answers may miss rows, or double ones get in.",
        since="none",
    ),
}

_TRACES: Final = (
    "Traces that pass here are wrong: they miss things, or name too many. Records and proofs are not touched."
)
_SIGHT: Final = "Somebody may see a record that is not theirs to see, or miss one that is. Records and proofs are not touched."
_FOUND: Final = (
    "Searches and descriptions miss things or name them wrongly. Records and proofs are not touched."
)

_DERIVED: Final = {
    "underivable": _evidence(
        "Projections cannot be derived from what is stored, so none was compared.",
        "Whatever was derived earlier is all there is; faults of records above say why.",
    ),
    "projection-version": _derived(
        "The projections are another version's, so none was compared.",
        "The next start of the node makes them anew.",
    ),
    "projection": _derived("A derived row is not what the records give.", _FOUND),
    "projection-thing": _derived("A thing is known by another name or kind than records give it.", _FOUND),
    "projection-class": _derived("A class of readers has other members than records give it.", _SIGHT),
    "projection-event": _derived(
        "What is known of an event is not what its record says.",
        "Traces that pass here are wrong, and somebody may see a record that is not theirs to see, or miss one that is."
        " Records and proofs are not touched.",
    ),
    "projection-line": _derived("What an event names is not what its record says.", _TRACES),
    "projection-named": _derived("Who is named as a party of an event is not what its record says.", _SIGHT),
    "projection-master": _derived("Master data is filed under another thing or member.", _FOUND),
    "projection-same": _derived("A link joins other things than its statement says.", _TRACES),
    "projection-shown": _derived(
        "What a dispatch shows to its parties is not what follows from the records.", _SIGHT
    ),
    "projection-handed": _derived("What a dispatch hands over is not what follows from the records.", _SIGHT),
    "projection-lineage": _derived("What followed from what is not what the records give.", _TRACES),
    "graph-quad": _derived(
        "The knowledge graph says something that no record gives, or lacks what one gives.",
        "Descriptions and SPARQL answers are wrong. Traces, records and proofs do not use it.",
    ),
    "graph-unreadable": _derived(
        "Files of the knowledge graph are damaged.",
        "Descriptions fail or are wrong. Traces, records and proofs do not use it.",
    ),
    "graph-size": _derived(
        "The knowledge graph says that it covers another tree size than it does.",
        "Answers from it state a wrong coverage.",
    ),
    "graph-pointer": _derived(
        "The pointer to the published graph leads to no snapshot, or to an old one.",
        "Descriptions fail or are old. The next publication writes it again.",
    ),
    "graph-purged": _derived(
        "The graph's note of the last erasure that its files have forgotten names no erasure.",
        "Files of the graph may still hold what was erased. Making the graph anew forgets it.",
    ),
    "graph-notes": _derived(
        "The projector's notes of what it has written are wrong.",
        "The graph may keep what was changed since. Traces, records and proofs do not use it.",
    ),
}

_SETTINGS: Final = {
    "key": _setting(
        "A key file is damaged, or holds another key than the log knows.",
        "Nothing that was signed is touched. With a wrong key the node cannot sign: captures are refused.",
        "Put the key back from its own backup. If somebody may have read or replaced it, revoke it"
        " (`loomark member`, docs/operating.md) and say since when.",
    ),
    "key-mode": _setting(
        "A key file can be read by other accounts of this machine.",
        "Whoever read it can sign in its name.",
        "chmod 0600 the file and 0700 its folder; if others may have read it, rotate the key.",
    ),
}

MEANINGS: Final[dict[str, Meaning]] = {**_LOG, **_STORED, **_DERIVED, **_SETTINGS}


def meaning_of(rule: str) -> Meaning:
    """What a rule means; rules that replaying the log gives are all about an entry it must not hold."""
    found = MEANINGS.get(rule)
    if found is not None:
        return found
    if rule.startswith("projection-lineage"):
        return MEANINGS["projection-lineage"]
    if rule.startswith("projection-"):
        return MEANINGS["projection"]
    return _evidence(
        "The log holds an entry that a log must not hold; nothing behind it was replayed.",
        _ENTRY_PROOFS,
        since="log",
    )
