"""A report of fsck in words: what each kind of fault means, since when it was good, whom it touches, what to do.

Pure, and without a server library. Lines are made for 80 columns; `width` is what there is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from .columns import printable
from .verdict_text import counted

if TYPE_CHECKING:
    from fabric.integrity import Fault, NodeReport, Told

WIDTH: Final = 80
SHOWN: Final = 5
"""Places of one kind of fault that are listed; `--all` lists all that are kept."""

_NARROWEST: Final = 40
_HEADINGS: Final = {
    "evidence": "in what was signed or stored",
    "setting": "in keys",
    "derived": "in what is derived",
}


def report_lines(report: NodeReport, *, shown: int = SHOWN, width: int = WIDTH) -> Iterator[str]:
    """The whole report; a clean one is a single paragraph."""
    width = max(width, _NARROWEST)
    told = report.told
    for number, one in enumerate(told):
        if number:
            yield ""
        yield from _told(one, shown, width)
    if told:
        yield ""
        yield from _repairs(told, width)
        yield ""
        yield from _wrapped(_verdict(report), "", width)
    yield from _wrapped(_looked_at(report), "", width)


def _told(one: Told, shown: int, width: int) -> Iterator[str]:
    meaning, rule = one.explained.meaning, one.explained.rule
    heading = f"{rule}: {counted(one.count, 'fault')} {_HEADINGS[meaning.severity]}"
    yield from _wrapped(heading, "", width)
    yield from _wrapped(meaning.means, "  ", width)
    for fault in one.faults[:shown]:
        yield from _fault(fault, width)
    rest = one.count - min(shown, len(one.faults))
    if rest > 0:
        yield f"  … and {rest} more"
    members = f" Members: {', '.join(one.members)}." if one.members else ""
    yield from _labelled("since", one.explained.since, width)
    yield from _labelled("affects", meaning.affects + members, width)
    if one.follow:
        yield from _wrapped(
            "what may follow from it: leave that as it is, mend the cause, check again", "  ", width
        )
    for following, (count, faults) in one.follow.items():
        yield from _wrapped(f"- {following}: {_places(count, faults, shown)}", "  ", width, "    ")


def _places(count: int, faults: Sequence[Fault], shown: int) -> str:
    """How many, and where the first ones are, each place once."""
    places = list(dict.fromkeys([printable(one.place) for one in faults]))
    kept = count == len(faults)
    more = len(places) - shown if kept else count - shown
    rest = f" and {more} more" if more > 0 else ""
    return f"{counted(count, 'fault')}, {', '.join(places[:shown])}{rest}"


def _repairs(told: Sequence[Told], width: int) -> Iterator[str]:
    """What to do, each thing once, with the kinds of faults that it is for."""
    rules: dict[str, list[str]] = {}
    for one in told:
        rules.setdefault(one.explained.meaning.repair, []).append(one.explained.rule)
    yield "what to do:"
    for number, (repair, names) in enumerate(rules.items(), 1):
        yield from _wrapped(f"{number}. {repair}", "  ", width, "     ")
        yield from _wrapped(f"For {', '.join(names)}.", "     ", width)


def _fault(fault: Fault, width: int) -> Iterator[str]:
    yield from _wrapped(f"- {printable(fault.place)}", "  ", width, "    ")
    yield from _wrapped(printable(fault.message), "    ", width)
    told = [("expected", fault.expected), ("got", fault.got)]
    for name, value in told:
        if value is not None:
            yield from _wrapped(f"{name:8} {printable(value) or 'nothing'}", "    ", width, "             ")
    if fault.record is not None and fault.record not in fault.place:
        yield from _wrapped(f"record   {fault.record}", "    ", width, "             ")


def _labelled(label: str, text: str, width: int) -> Iterator[str]:
    yield from _wrapped(f"{label + ':':9}{text}", "  ", width, " " * 11)


def _wrapped(text: str, indent: str, width: int, following: str | None = None) -> Iterator[str]:
    lines: Sequence[str] = textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if following is None else following,
        break_on_hyphens=False,
    )
    yield from lines


def _verdict(report: NodeReport) -> str:
    told = report.told
    verdict = f"{counted(sum([one.count for one in told]), 'fault')} of {counted(len(told), 'kind')}"
    following = report.count - sum([one.count for one in told])
    verdict += f", and {following} that may follow from them." if following else "."
    if report.sound.size:
        verdict += (
            f" The log verifies up to size {report.sound.size}, signed at {report.sound.time}:"
            " receipts and proofs under it stand."
        )
    else:
        verdict += " No signed head of the log verifies."
    evidence = [one for one in report.explained if one.meaning.severity == "evidence"]
    if not evidence and all(one.meaning.severity == "derived" for one in report.explained):
        verdict += " Nothing is lost: all of it can be made again from records and log."
    return verdict


def _looked_at(report: NodeReport) -> str:
    checked = report.checked
    start = "clean: tree size" if not report.faults else "looked at: tree size"
    quads = f", {checked['quads']} quads" if checked["quads"] else ", no graph"
    return (
        f"{start} {report.size}, {counted(report.documents, 'document')},"
        f" {counted(report.captures, 'capture')}, {counted(report.records, 'record')},"
        f" {counted(checked['tiles'], 'tile')}, {counted(checked['heads'], 'signed head')},"
        f" {report.projections} rows derived again{quads}"
    )
