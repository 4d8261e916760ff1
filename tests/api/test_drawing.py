"""The drawing of a flow: every thing has a box, arrows lead right, and nothing written into it can break out."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree

from api.pages.drawing import Arrow, Node, draw

SVG = "{http://www.w3.org/2000/svg}"


def node(name: str, level: int) -> Node:
    return Node(name, level, f"Lot {name}", ("Romaine", "at the packer"), href=f"/things/{name}")


def boxes(svg: str) -> list[ElementTree.Element]:
    return [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if "box" in g.attrib["class"].split()]


def corners(svg: str) -> list[tuple[int, int, int, int]]:
    names = ("x", "y", "width", "height")
    found = []
    for box in boxes(svg):
        rect = box.find(f"{SVG}rect")
        assert rect is not None
        x, y, wide, high = (int(rect.attrib[name]) for name in names)
        found.append((x, y, x + wide, y + high))
    return found


def test_each_thing_has_a_box_that_links_to_its_page() -> None:
    svg = draw([node("a", 0), node("b", 1)], [Arrow("a", "b")], "Forward trace")
    assert len(boxes(svg)) == 2
    links = [link.attrib["href"] for link in ElementTree.fromstring(svg).iter(f"{SVG}a")]
    assert sorted(links) == ["/things/a", "/things/b"]


def test_boxes_never_overlap_and_stay_inside_the_drawing() -> None:
    nodes = [node(f"{level}-{i}", level) for level in range(4) for i in range(7)]
    svg = draw([*nodes, Node("long", 2, "Lot", ("a", "b", "c"), alert="8 unaccounted")], [], "Many")
    found = corners(svg)
    assert len(found) == len(nodes) + 1
    for one, other in combinations(found, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    root = ElementTree.fromstring(svg)
    assert max(box[2] for box in found) <= int(root.attrib["width"])
    assert max(box[3] for box in found) <= int(root.attrib["height"])


def test_levels_stand_in_columns_from_left_to_right() -> None:
    svg = draw([node("b", 0), node("c", 1), node("a", -1)], [], "Levels")
    lefts = {
        box.findtext(f"{SVG}text"): place[0] for box, place in zip(boxes(svg), corners(svg), strict=True)
    }
    assert lefts["Lot a"] < lefts["Lot b"] < lefts["Lot c"]


def test_an_arrow_to_a_thing_that_is_not_drawn_is_left_out() -> None:
    svg = draw([node("a", 0), node("b", 1)], [Arrow("a", "b"), Arrow("a", "gone"), Arrow("gone", "b")], "T")
    assert svg.count('class="arrow') == 1


def test_what_is_only_possible_and_what_was_asked_about_are_marked() -> None:
    guess = Node("g", 1, "Guess", possible=True)
    asked = Node("s", 0, "Asked", asked=True)
    svg = draw([asked, guess], [Arrow("s", "g", possible=True)], "Marks")
    looks = [set(box.attrib["class"].split()) for box in boxes(svg)]
    assert {"box", "lot", "asked"} in looks
    assert {"box", "lot", "possible"} in looks
    assert 'class="arrow possible"' in svg


def test_a_way_back_is_drawn_too() -> None:
    svg = draw([node("a", 0), node("b", 1)], [Arrow("a", "b"), Arrow("b", "a")], "Cycle")
    assert svg.count('class="arrow') == 2


def test_markup_in_a_name_stays_text() -> None:
    hostile = Node(
        "x",
        0,
        '<script>alert("1")</script>',
        ('"><img src=x>',),
        "lot",
        '/things/"><script>',
        alert="</svg><script>",
    )
    svg = draw([hostile], [], '"></svg><script>')
    tags = {element.tag for element in ElementTree.fromstring(svg).iter()}
    assert f"{SVG}script" not in tags
    assert f"{SVG}img" not in tags
    assert "<script" not in svg


def test_a_long_name_keeps_both_its_ends() -> None:
    svg = draw([Node("x", 0, "Romaine hearts, washed and packed, lot 2026-09-A")], [], "T")
    shown = boxes(svg)[0].findtext(f"{SVG}text") or ""
    assert shown.startswith("Romaine")
    assert shown.endswith("2026-09-A")
    assert "…" in shown
    assert boxes(svg)[0].findtext(f"{SVG}title") == "Romaine hearts, washed and packed, lot 2026-09-A"


def test_the_same_flow_gives_the_same_drawing() -> None:
    nodes = [node(f"{level}-{i}", level) for level in range(3) for i in range(5)]
    arrows = [Arrow(f"0-{i}", f"1-{4 - i}") for i in range(5)]
    assert draw(nodes, arrows, "T") == draw(list(reversed(nodes)), list(reversed(arrows)), "T")
