"""The printable report: what verified, with the drawing of its trace. The same page on a node and on the command line."""

from __future__ import annotations

from dataclasses import replace

from fabric.report import VerifiedReport
from fabric.report import html as rendering

from .drawing import draw
from .flow import MAX_BOXES, Marks, flow
from .text import name


def report_file(verified: VerifiedReport, policy: str) -> str:
    """A whole document that needs nothing from anywhere; `policy` is the text that the report verified under."""
    return rendering.file(verified, policy, drawing_of(verified))


def drawing_of(verified: VerifiedReport) -> str:
    """The flow of a verified trace as SVG without links, or nothing where it would be too large to read."""
    if len(verified.trace) > MAX_BOXES:
        return ""
    names = rendering.names_of(verified)
    found = flow(verified.trace, names, Marks({}, {}))
    boxes = [replace(node, href=None) for node in found.nodes]
    return draw(boxes, found.arrows, f"Flow of {name(verified.report.question.thing, names)}")
