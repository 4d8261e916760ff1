"""What a check tells: what was looked at, every kind of fault with what it means, and the places of the first ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ledger.log import schema as log
from ledger.log.fault import Fault, Faults
from ledger.log.fsck import LogReport, Sound

from .cause import causes
from .meaning import Meaning, meaning_of
from .run import Run

FORMAT: Final = "loomark/fsck/v1"
_NAMED: Final = 20
_SEVERITIES: Final = ("evidence", "setting", "derived")
_FILES: Final = {
    "checkpoint file": "log/checkpoint",
    "high-water file": "high-water",
    "database": "loomark.db",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """All faults of one rule: how many, the first of them, and what they mean.

    `since` says since when, or until when, it was good; `members` are those whose records or statements they are.
    """

    rule: str
    meaning: Meaning
    count: int
    faults: tuple[Fault, ...]
    since: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A kind of fault as people are told it: without those that may follow from others, and with what follows from it.

    `count` and `faults` are of those that stand for themselves; `follow` are the faults that may follow, by rule, with
    how many of each; `members` are those of both.
    """

    explained: Explained
    count: int
    faults: tuple[Fault, ...]
    follow: Mapping[str, tuple[int, tuple[Fault, ...]]]
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What was checked, and the faults: those that are kept, and by rule with how many there are.

    `size` is the tree size of the published log, `head` that of the rows, `sound` the last signed head under which
    every entry still verifies.
    """

    size: int
    head: int
    sound: Sound
    checked: Mapping[str, int]
    faults: tuple[Fault, ...]
    explained: tuple[Explained, ...] = field(default=())

    @property
    def documents(self) -> int:
        """Documents that were hashed."""
        return self.checked["documents"]

    @property
    def captures(self) -> int:
        """Captures that were checked."""
        return self.checked["captures"]

    @property
    def records(self) -> int:
        """Records that were hashed."""
        return self.checked["records"]

    @property
    def projections(self) -> int:
        """Rows that were derived again."""
        return self.checked["projections"]

    @property
    def count(self) -> int:
        """How many faults there are, those that are not kept included."""
        return sum(one.count for one in self.explained)

    @property
    def told(self) -> tuple[Told, ...]:
        """The kinds of faults for people, each with what may follow from it; a kind that only follows is not by itself."""
        return tuple(_told(self.explained))

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object (docs/spec/fsck.md)."""
        return {
            "fsck": FORMAT,
            "clean": not self.faults,
            "size": self.size,
            "head": self.head,
            "sound": {"size": self.sound.size, "time": self.sound.time},
            **self.checked,
            "count": self.count,
            "rules": [_explained_json(one) for one in self.explained],
            "faults": [
                _fault_json(one, cause) for one, cause in zip(self.faults, causes(self.faults), strict=True)
            ],
        }


def report_of(run: Run | None, found: LogReport, folder: Path, faults: Faults | None = None) -> NodeReport:
    """The report of a run; without one nothing but `faults` is known."""
    kept = (run.faults if run is not None else faults) or Faults()
    checked = {
        "entries": max(found.size, 0),
        "heads": found.heads,
        "tiles": found.tiles,
        "documents": 0,
        "captures": 0,
        "records": 0,
        "links": 0,
        "jobs": 0,
        "credentials": 0,
        "projections": 0,
        "quads": 0,
    }
    if run is not None:
        names = {"document", "capture", "record", "link", "job", "credential", "projection"}
        checked |= {f"{name}s": run.count.get(name, 0) for name in names}
        checked["quads"] = run.count.get("quads", 0)
    explained = tuple(_explain(run, found, folder, kept))
    order = {one.rule: number for number, one in enumerate(explained)}
    faults_kept = tuple(sorted(kept.kept, key=lambda one: order[one.rule]))
    return NodeReport(
        found.size, 0 if run is None else run.head, found.sound, checked, faults_kept, explained
    )


def _explain(run: Run | None, found: LogReport, folder: Path, faults: Faults) -> Iterable[Explained]:
    by_rule: dict[str, list[Fault]] = {}
    for one in faults.kept:
        by_rule.setdefault(one.rule, []).append(one)
    ordered = sorted(by_rule, key=lambda rule: _SEVERITIES.index(meaning_of(rule).severity))
    for rule in ordered:
        kept, meaning = by_rule[rule], meaning_of(rule)
        members = sorted({one.member for one in kept if one.member})
        since = _since(run, found, folder, meaning, kept)
        yield Explained(rule, meaning, faults.counts[rule], tuple(kept), since, tuple(members[:_NAMED]))


def _since(run: Run | None, found: LogReport, folder: Path, meaning: Meaning, faults: list[Fault]) -> str:
    if meaning.since == "log":
        return _sound(found.sound)
    if meaning.since == "record":
        entries = [one.entry for one in faults if one.entry is not None]
        return _sealed(run, min(entries)) if run is not None and entries else "nothing dates it"
    if meaning.since == "file":
        return _dated(folder, faults)
    if meaning.since == "derived":
        return "no older state of what is derived is kept; it is made anew from the records"
    return "nothing dates it"


def _sound(sound: Sound) -> str:
    if sound.size == 0:
        return "no signed head still verifies"
    return f"all entries below {sound.size} verify under the head signed then, at {sound.time}"


def _sealed(run: Run, entry: int) -> str:
    """When the first of some entries came under a signed head: what it commits to was right then."""
    table = log.checkpoint.c
    query = select(table.size, table.time).where(table.size > entry).order_by(table.size).limit(1)
    try:
        with run.engine.connect() as connection:
            row = connection.execute(query).one_or_none()
    except SQLAlchemyError:
        row = None
    if row is None:
        return f"good when entry {entry} was sequenced; nothing dates the change"
    return f"good when entry {entry} was signed, under the head of size {row.size} at {row.time}; changed after that"


def _dated(folder: Path, faults: list[Fault]) -> str:
    """When the first file of some faults was last written, by its own date."""
    place = faults[0].place
    names = [_FILES.get(place, place), f"log/{place}", place.partition(" ")[0]]
    for name in names:
        try:
            written = (folder / name).stat().st_mtime
        except (OSError, ValueError):
            continue
        moment = datetime.fromtimestamp(written, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{name} was last written at {moment}, by the date it has: good before that, if the date is to be believed"
    return "nothing dates it"


def _told(explained: Sequence[Explained]) -> Iterator[Told]:
    faults = [fault for one in explained for fault in one.faults]
    by_cause: dict[str, dict[str, list[Fault]]] = {}
    own: dict[str, list[Fault]] = {one.rule: [] for one in explained}
    for fault, cause in zip(faults, causes(faults), strict=True):
        if cause is None:
            own[fault.rule].append(fault)
        else:
            by_cause.setdefault(cause.rule, {}).setdefault(fault.rule, []).append(fault)
    counts = {one.rule: one.count - len(one.faults) for one in explained}
    for one in explained:
        # Those that were counted and not kept go with the kept ones: by themselves if any of these does.
        unkept = counts[one.rule] if own[one.rule] else 0
        if not own[one.rule]:
            continue
        follow: dict[str, tuple[int, tuple[Fault, ...]]] = {}
        for rule, found in by_cause.get(one.rule, {}).items():
            more = 0 if own[rule] else counts[rule]
            counts[rule] -= more
            follow[rule] = (len(found) + more, tuple(found))
        every = [*own[one.rule], *(fault for _, found in follow.values() for fault in found)]
        members = tuple(sorted({fault.member for fault in every if fault.member}))[:_NAMED]
        yield Told(one, len(own[one.rule]) + unkept, tuple(own[one.rule]), follow, members)


def _explained_json(one: Explained) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "severity": one.meaning.severity,
        "count": one.count,
        "means": one.meaning.means,
        "since": one.since,
        "affects": one.meaning.affects,
        "members": list(one.members),
        "repair": one.meaning.repair,
    }


def _fault_json(one: Fault, cause: Fault | None) -> dict[str, Any]:
    names = ("rule", "place", "message", "expected", "got", "entry", "record", "member")
    found = {name: getattr(one, name) for name in names if getattr(one, name) is not None}
    return found if cause is None else found | {"follows": {"rule": cause.rule, "place": cause.place}}
