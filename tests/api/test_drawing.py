"""The drawing of a trace: every thing has a box, many become groups, and nothing written into it can break out."""

from __future__ import annotations

from xml.etree import ElementTree

from api.pages.drawing import MAX_SINGLE_NODES, Arrow, Node, draw, grouped

SVG = "{http://www.w3.org/2000/svg}"


def node(name: str, level: int, group: str = "packer, shipping") -> Node:
    return Node(name, level, f"Lot {name}", group, "lot", group, f"/things/{name}")


def boxes(svg: str) -> list[ElementTree.Element]:
    return [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if "box" in g.attrib["class"].split()]


def test_each_thing_has_a_box_that_links_to_its_page() -> None:
    svg = draw([node("a", 0), node("b", 1)], [Arrow("a", "b")], "Forward trace")
    assert len(boxes(svg)) == 2
    links = [link.attrib["href"] for link in ElementTree.fromstring(svg).iter(f"{SVG}a")]
    assert sorted(links) == ["/things/a", "/things/b"]


def test_boxes_never_overlap() -> None:
    nodes = [node(f"{level}-{i}", level) for level in range(4) for i in range(7)]
    svg = draw(nodes, [], "Many")
    corners = {
        (int(r.attrib["x"]), int(r.attrib["y"])) for r in ElementTree.fromstring(svg).iter(f"{SVG}rect")
    }
    assert len(corners) == len(nodes)
    for x, y in corners:
        assert not any(x == x2 and 0 < y2 - y < 52 for x2, y2 in corners)


def test_beyond_the_limit_things_are_grouped_by_place_and_step_and_none_is_lost() -> None:
    nodes = [node(f"l{i}", 1, f"store {i % 3}") for i in range(MAX_SINGLE_NODES + 1)] + [node("x", 0)]
    arrows = [Arrow("x", each.id) for each in nodes[:-1]]
    merged, joined = grouped(nodes, arrows)
    assert sum(each.count for each in merged) == len(nodes)
    assert len(merged) == 4
    assert len(joined) == 3
    assert len(boxes(draw(nodes, arrows, "Grouped"))) == 4


def test_a_group_is_possible_only_when_all_of_it_is() -> None:
    nodes = [
        Node("s", 0, "S", "p", "lot", "p"),
        *(Node(f"n{i}", 1, "N", "p", "lot", "p", possible=i > 0) for i in range(2)),
    ]
    merged, joined = grouped(nodes, [Arrow("s", "n0"), Arrow("s", "n1", possible=True)])
    assert [each.possible for each in merged] == [False, False]
    assert [each.possible for each in joined] == [False]


def test_markup_in_a_name_stays_text() -> None:
    hostile = Node(
        "x", 0, '<script>alert("1")</script>', '"><img src=x>', "lot", "g", 'javascript:"><script>'
    )
    svg = draw([hostile], [], "</title><script>")
    tags = {element.tag for element in ElementTree.fromstring(svg).iter()}
    assert f"{SVG}script" not in tags
    assert f"{SVG}img" not in tags


def test_the_same_trace_gives_the_same_drawing() -> None:
    nodes = [node(f"{level}-{i}", level) for level in range(3) for i in range(5)]
    arrows = [Arrow(f"0-{i}", f"1-{4 - i}") for i in range(5)]
    assert draw(nodes, arrows, "T") == draw(list(reversed(nodes)), list(reversed(arrows)), "T")
