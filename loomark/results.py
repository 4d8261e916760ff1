"""What a node answers, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import Unavailable

STAGED: Final = "staged"
_IN_THE_LOG: Final = frozenset({"sequenced", "duplicate"})


@dataclass(frozen=True, slots=True)
class CapturedRecord:
    """One record of a capture: its name (the commitment, 64 hex digits), and its place in the capture."""

    record: str
    position: int
    event_id: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """What became of a capture. `index` is its place in the log once `state` is `sequenced`.

    `answer` is all that the node said, with warnings, duplicates and, where it was refused, the reason.
    """

    id: str
    state: str
    index: int | None = None
    records: tuple[CapturedRecord, ...] = ()
    receipt: str | None = None
    answer: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_settled(self) -> bool:
        """Whether the state is final."""
        return self.state != STAGED

    @property
    def is_in_the_log(self) -> bool:
        """Whether everything that was sent is in the log: by this capture, or by one before it."""
        return self.state in _IN_THE_LOG

    @property
    def address(self) -> str:
        """Where the node tells of it."""
        return f"/epcis/capture/{self.id}"


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the events that answer a query, in order, each with its `@context` where the document has several.

    `context` is the document's own; `next` is the address of the page that follows, None at the end.
    """

    events: tuple[Mapping[str, Any], ...]
    context: Any
    next: str | None


def job_of(answer: Mapping[str, Any]) -> Job:
    """A job as a node tells it."""
    try:
        records = tuple(
            CapturedRecord(one["record"], one["position"], one["eventID"])
            for one in answer.get("records", [])
        )
        return Job(
            answer["captureID"], answer["state"], answer.get("index"), records, answer.get("receipt"), answer
        )
    except (KeyError, TypeError) as error:
        raise _strange("a capture job") from error


def page_of(document: Mapping[str, Any], following: str | None) -> Page:
    """The events of an EPCIS query document."""
    try:
        events = document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        return Page(tuple(events), document.get("@context"), following)
    except (KeyError, TypeError) as error:
        raise _strange("an EPCISQueryDocument") from error


def _strange(expected: str) -> Unavailable:
    return Unavailable(f"expected {expected}, got another answer: is this a Loomark node?")
