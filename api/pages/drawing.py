"""A trace as a layered SVG drawing: sources left, products right, one box a thing or, past 200, one a group.

The layout is a pure function of nodes and arrows: a column per level, boxes in a column ordered by the mean
position of their neighbours. Colours and fonts come from the stylesheet, so the page's policy needs no inline
style, and a printed drawing is black on white.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final

MAX_SINGLE_NODES: Final = 200
"""Above this many things a drawing shows groups of the same level, place and step."""

_BOX_W: Final = 208
_BOX_H: Final = 52
_GAP_X: Final = 72
_GAP_Y: Final = 16
_MARGIN: Final = 12
_LABEL_CHARS: Final = 28
_SWEEPS: Final = 4


@dataclass(frozen=True, slots=True)
class Node:
    """One box. `level` counts from the thing asked about (0): below it sources, above it products.

    `group` is what nodes are merged by when there are too many (place and step, for people to read); `kind`
    is a CSS class such as `lot`, `serial`, `filling`, `asked`; `count` is how many things the box stands for.
    """

    id: str
    level: int
    title: str
    subtitle: str
    kind: str
    group: str
    href: str | None = None
    possible: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True)
class Arrow:
    """`source` became, or is part of what became, `target`; dashed when only inferred."""

    source: str
    target: str
    possible: bool = False


def draw(nodes: Sequence[Node], arrows: Iterable[Arrow], title: str) -> str:
    """The drawing as one `<svg>` element; `title` is its accessible name."""
    if len(nodes) > MAX_SINGLE_NODES:
        nodes, arrows = grouped(nodes, arrows)
    drawn = {node.id: node for node in nodes}
    kept = sorted(
        {arrow for arrow in arrows if arrow.source in drawn and arrow.target in drawn},
        key=lambda arrow: (arrow.source, arrow.target, arrow.possible),
    )
    columns = _ordered_columns(nodes, kept)
    places = _positions(columns)
    width = max((x for x, _ in places.values()), default=0) + _BOX_W + _MARGIN
    height = max((y for _, y in places.values()), default=0) + _BOX_H + _MARGIN
    parts = [
        f'<svg class="trace" role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
        *(_arrow(arrow, places) for arrow in kept),
        *(_box(node, *places[node.id]) for column in columns for node in column),
        "</svg>",
    ]
    return "".join(parts)


def grouped(nodes: Sequence[Node], arrows: Iterable[Arrow]) -> tuple[list[Node], list[Arrow]]:
    """One node for all nodes of the same level and group, and the arrows between those."""
    members: dict[tuple[int, str], list[Node]] = defaultdict(list)
    for node in nodes:
        members[(node.level, node.group)].append(node)
    stands_for: dict[str, str] = {}
    merged = []
    for (level, group), inside in sorted(members.items()):
        name = f"group:{level}:{group}"
        stands_for.update((node.id, name) for node in inside)
        merged.append(_merge(name, group, inside))
    joined: dict[tuple[str, str], bool] = {}
    for arrow in arrows:
        ends = stands_for.get(arrow.source), stands_for.get(arrow.target)
        if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            joined[(ends[0], ends[1])] = joined.get((ends[0], ends[1]), True) and arrow.possible
    return merged, [Arrow(source, target, possible) for (source, target), possible in joined.items()]


def _merge(name: str, group: str, inside: Sequence[Node]) -> Node:
    if len(inside) == 1:
        return replace(inside[0], id=name)
    kinds = "asked" if any(node.kind == "asked" for node in inside) else "group"
    count = sum(node.count for node in inside)
    possible = all(node.possible for node in inside)
    return Node(name, inside[0].level, f"{count} things", group, kinds, group, None, possible, count)


def _ordered_columns(nodes: Sequence[Node], arrows: Sequence[Arrow]) -> list[list[Node]]:
    by_level: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        by_level[node.level].append(node)
    columns = [sorted(by_level[level], key=lambda n: (n.group, n.title, n.id)) for level in sorted(by_level)]
    neighbours: dict[str, list[str]] = defaultdict(list)
    for arrow in arrows:
        neighbours[arrow.source].append(arrow.target)
        neighbours[arrow.target].append(arrow.source)
    # A few sweeps of the barycentre rule take out most crossings; the order stays deterministic.
    for _ in range(_SWEEPS):
        rank = {node.id: i / max(len(column), 1) for column in columns for i, node in enumerate(column)}
        columns = [
            sorted(column, key=lambda n: (_mean(rank, neighbours[n.id], n.id), n.id)) for column in columns
        ]
    return columns


def _mean(rank: Mapping[str, float], neighbours: Sequence[str], own: str) -> float:
    known = [rank[name] for name in neighbours if name in rank]
    return sum(known) / len(known) if known else rank[own]


def _positions(columns: Sequence[Sequence[Node]]) -> dict[str, tuple[int, int]]:
    tallest = max((len(column) for column in columns), default=0)
    places = {}
    for x, column in enumerate(columns):
        top = _MARGIN + (tallest - len(column)) * (_BOX_H + _GAP_Y) // 2
        for y, node in enumerate(column):
            places[node.id] = (_MARGIN + x * (_BOX_W + _GAP_X), top + y * (_BOX_H + _GAP_Y))
    return places


def _arrow(arrow: Arrow, places: Mapping[str, tuple[int, int]]) -> str:
    x1, y1 = places[arrow.source][0] + _BOX_W, places[arrow.source][1] + _BOX_H // 2
    x2, y2 = places[arrow.target][0], places[arrow.target][1] + _BOX_H // 2
    bend = max(_GAP_X // 2, abs(x2 - x1) // 2)
    look = "arrow possible" if arrow.possible else "arrow"
    return f'<path class="{look}" marker-end="url(#tip)" d="M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"/>'


def _box(node: Node, x: int, y: int) -> str:
    look = f"box {node.kind}" + (" possible" if node.possible else "")
    inner = (
        f"<title>{escape(node.title)}: {escape(node.subtitle)}</title>"
        f'<rect x="{x}" y="{y}" width="{_BOX_W}" height="{_BOX_H}" rx="6"/>'
        f'<text x="{x + 10}" y="{y + 21}" class="name">{escape(_short(node.title))}</text>'
        f'<text x="{x + 10}" y="{y + 40}" class="place">{escape(_short(node.subtitle))}</text>'
    )
    if node.href is None:
        return f'<g class="{look}">{inner}</g>'
    return f'<a href="{escape(node.href, quote=True)}"><g class="{look}">{inner}</g></a>'


def _short(text: str) -> str:
    # The end of a name tells lots apart, its beginning tells products apart: keep both.
    if len(text) <= _LABEL_CHARS:
        return text
    tail = _LABEL_CHARS // 2
    return f"{text[: _LABEL_CHARS - tail - 1]}…{text[-tail:]}"
