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
    from fabric.integrity import Explained, Fault, NodeReport

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
    for number, one in enumerate(report.explained):
        if number:
            yield ""
        yield from _explained(one, shown, width)
    if report.explained:
        yield ""
        yield from _repairs(report.explained, width)
        yield ""
        yield from _wrapped(_verdict(report), "", width)
    yield from _wrapped(_looked_at(report), "", width)


def _explained(one: Explained, shown: int, width: int) -> Iterator[str]:
    severity = _HEADINGS[one.meaning.severity]
    yield from _wrapped(f"{one.rule}: {counted(one.count, 'fault')} {severity}", "", width)
    yield from _wrapped(one.meaning.means, "  ", width)
    for fault in one.faults[:shown]:
        yield from _fault(fault, width)
    rest = one.count - min(shown, len(one.faults))
    if rest > 0:
        yield f"  … and {rest} more"
    members = f" Members: {', '.join(one.members)}." if one.members else ""
    yield from _labelled("since", one.since, width)
    yield from _labelled("affects", one.meaning.affects + members, width)


def _repairs(explained: Sequence[Explained], width: int) -> Iterator[str]:
    """What to do, each thing once, with the kinds of faults that it is for."""
    rules: dict[str, list[str]] = {}
    for one in explained:
        rules.setdefault(one.meaning.repair, []).append(one.rule)
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
    kinds = counted(len(report.explained), "kind")
    verdict = f"{counted(report.count, 'fault')} of {kinds}."
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
