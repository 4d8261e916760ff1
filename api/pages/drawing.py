"""Boxes and arrows as a layered SVG drawing: sources left, products right. A pure function of both.

A column per level, boxes in a column ordered by the mean position of their neighbours. Colours and fonts come
from the stylesheet, so the page's policy needs no inline style, and a printed drawing is black on white.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_BOX_W: Final = 208
_GAP_X: Final = 56
_GAP_Y: Final = 14
_MARGIN: Final = 10
_LINE_H: Final = 18
_PAD: Final = 10
_LABEL_CHARS: Final = 27
_FITTING: Final = 5
"""So many columns are drawn to fit the page; more can be scrolled."""
_SWEEPS: Final = 6


@dataclass(frozen=True, slots=True)
class Node:
    """One box. `level` is its column, `lines` what stands under its title, `alert` a last line that stands out.

    `look` is a CSS class such as `lot`, `serial`, `filling` or `group`; `asked` marks what the question was
    about; `count` is how many things the box stands for.
    """

    id: str
    level: int
    title: str
    lines: tuple[str, ...] = ()
    look: str = "lot"
    href: str | None = None
    possible: bool = False
    asked: bool = False
    alert: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Arrow:
    """`source` became, or is part of what became, `target`; dashed when only inferred."""

    source: str
    target: str
    possible: bool = False


def draw(nodes: Sequence[Node], arrows: Iterable[Arrow], title: str) -> str:
    """The drawing as one `<svg>` element; `title` is its accessible name."""
    drawn = {node.id: node for node in nodes}
    kept = sorted(
        {arrow for arrow in arrows if arrow.source in drawn and arrow.target in drawn},
        key=lambda arrow: (arrow.source, arrow.target, arrow.possible),
    )
    columns = _ordered_columns(nodes, kept)
    height = _box_height(nodes)
    places = _positions(columns, height)
    wide = max((x for x, _ in places.values()), default=0) + _BOX_W + 2 * _MARGIN
    high = max((y for _, y in places.values()), default=0) + height + _MARGIN
    parts = [
        f'<svg class="trace{" fits" if len(columns) <= _FITTING else ""}" role="group" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'xmlns="http://www.w3.org/2000/svg" aria-label="{escape(title, quote=True)}">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
        *(_arrow(arrow, places, height) for arrow in kept),
        *(_box(node, *places[node.id], height) for column in columns for node in column),
        "</svg>",
    ]
    return "".join(parts)


def _box_height(nodes: Sequence[Node]) -> int:
    rows = max((1 + len(node.lines) + (node.alert is not None) for node in nodes), default=1)
    return 2 * _PAD + rows * _LINE_H - 4


def _ordered_columns(nodes: Sequence[Node], arrows: Sequence[Arrow]) -> list[list[Node]]:
    by_level: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        by_level[node.level].append(node)
    columns = [sorted(by_level[level], key=lambda n: (n.lines, n.title, n.id)) for level in sorted(by_level)]
    neighbours: dict[str, list[str]] = defaultdict(list)
    for arrow in arrows:
        neighbours[arrow.source].append(arrow.target)
        neighbours[arrow.target].append(arrow.source)
    rank = {node.id: place for column in columns for node, place in _ranked(column)}
    # A few sweeps of the barycentre rule, from either side in turn, take out most crossings; nothing is random.
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            column.sort(key=lambda n: (_mean(rank, neighbours[n.id], n.id), n.id))
            rank.update((node.id, place) for node, place in _ranked(column))
    return columns


def _ranked(column: Sequence[Node]) -> list[tuple[Node, float]]:
    return [(node, (number + 0.5) / len(column)) for number, node in enumerate(column)]


def _mean(rank: Mapping[str, float], neighbours: Sequence[str], own: str) -> float:
    known = [rank[name] for name in neighbours if name in rank]
    return sum(known) / len(known) if known else rank[own]


def _positions(columns: Sequence[Sequence[Node]], height: int) -> dict[str, tuple[int, int]]:
    tallest = max((len(column) for column in columns), default=0)
    step = height + _GAP_Y
    places = {}
    for x, column in enumerate(columns):
        top = _MARGIN + (tallest - len(column)) * step // 2
        for y, node in enumerate(column):
            places[node.id] = (_MARGIN + x * (_BOX_W + _GAP_X), top + y * step)
    return places


def _arrow(arrow: Arrow, places: Mapping[str, tuple[int, int]], height: int) -> str:
    (x1, y1), (x2, y2) = places[arrow.source], places[arrow.target]
    x1, y1, y2 = x1 + _BOX_W, y1 + height // 2, y2 + height // 2
    look = "arrow possible" if arrow.possible else "arrow"
    if x2 >= x1:
        bend = max(_GAP_X // 2, (x2 - x1) // 2)
        curve = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    else:
        # Not further right (a loop in the goods, or groups of one level): out and back in on the right side.
        end = x2 + _BOX_W
        curve = f"M{x1} {y1 + 6}C{x1 + _GAP_X // 2} {y1 + 6} {end + _GAP_X // 2} {y2 - 6} {end} {y2 - 6}"
    return f'<path class="{look}" marker-end="url(#tip)" d="{curve}"/>'


def _box(node: Node, x: int, y: int, height: int) -> str:
    marks = (node.look, "possible" if node.possible else "", "asked" if node.asked else "")
    rows = [("name", node.title), *(("line", text) for text in node.lines)]
    if node.alert is not None:
        rows.append(("alert", node.alert))
    inner = (
        f"<title>{escape('; '.join(text for _, text in rows))}</title>"
        f'<rect x="{x}" y="{y}" width="{_BOX_W}" height="{height}" rx="6"/>'
        + "".join(
            f'<text x="{x + _PAD}" y="{y + _PAD + 11 + number * _LINE_H}" class="{kind}">{escape(_short(text))}</text>'
            for number, (kind, text) in enumerate(rows)
        )
    )
    box = f'<g class="{" ".join(("box", *filter(None, marks)))}">{inner}</g>'
    return box if node.href is None else f'<a href="{escape(node.href, quote=True)}">{box}</a>'


def _short(text: str) -> str:
    # The end of a name tells lots apart, its beginning tells products apart: keep both.
    if len(text) <= _LABEL_CHARS:
        return text
    tail = _LABEL_CHARS // 2
    return f"{text[: _LABEL_CHARS - tail - 1]}…{text[-tail:]}"
