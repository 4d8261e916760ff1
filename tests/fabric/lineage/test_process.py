from __future__ import annotations

from fabric.lineage import Derived, EdgeKind, FillingNode

from .scene import CLASS, Scene, lot, sscc, tote, unit


def follows(derived: Derived) -> set[tuple[str, str, bool]]:
    """Source and target things joined over process nodes, and whether any edge was inferred."""
    edges = [edge for group in derived.edges.values() for edge in group]
    found = set()
    for one in edges:
        for other in edges:
            if one.kind is EdgeKind.INPUT and other.kind is EdgeKind.OUTPUT and one.target == other.source:
                found.add((_name(one.source), _name(other.target), one.inferred or other.inferred))
    return found


def _name(node: object) -> str:
    return f"{node.carrier}#{node.number}" if isinstance(node, FillingNode) else str(node)


def test_every_input_is_a_source_of_every_output() -> None:
    scene = Scene()
    scene.transform(1, [(lot("A"), "5"), (lot("B"), "5")], [(lot("C"), "4"), (lot("D"), "6")])
    pairs = {(a, b) for a, b, _ in follows(scene.derived())}
    assert pairs == {(lot(a), lot(b)) for a in "AB" for b in "CD"}


def test_a_run_of_one_member_is_one_process() -> None:
    scene = Scene()
    scene.transform(1, [(lot("A"), "5")], [], run="urn:x:1")
    scene.transform(2, [], [(lot("B"), "5")], run="urn:x:1")
    assert follows(scene.derived()) == {(lot("A"), lot("B"), False)}


def test_the_same_run_name_of_another_member_is_another_process() -> None:
    scene = Scene()
    scene.transform(1, [(lot("A"), "5")], [], run="urn:x:1", member="one")
    scene.transform(2, [], [(lot("B"), "5")], run="urn:x:1", member="two")
    assert follows(scene.derived()) == set()


def test_a_class_without_lot_is_an_end_of_a_process_edge() -> None:
    scene = Scene()
    scene.transform(1, [(lot("A"), "5"), (CLASS, "9", None)], [(lot("B"), "5")])
    assert (CLASS, lot("B"), False) in follows(scene.derived())
    assert CLASS not in scene.derived().summaries


def test_a_serial_belongs_to_the_lot_in_the_ilmd_of_its_creation() -> None:
    scene = Scene()
    scene.make(1, unit("1"), ilmd={"cbvmda:lotNumber": "L/1"})
    (edge,) = scene.derived().lots
    assert (edge.source, edge.target, edge.kind) == (lot("L%2F1"), unit("1"), EdgeKind.LOT_OF)


def test_an_ilmd_lot_in_an_event_that_creates_nothing_makes_no_lot() -> None:
    scene = Scene()
    scene.see(1, "inspecting", unit("1"), ilmd={"cbvmda:lotNumber": "L1"})
    assert scene.derived().lots == []


def test_a_carrier_as_input_stands_for_its_filling_and_its_contents_then() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"), (lot("B"), "5"))
    scene.unpack(2, sscc(1), (lot("B"), "5"))
    scene.transform(3, [sscc(1)], [(lot("C"), "5")])
    assert follows(scene.derived()) == {(f"{sscc(1)}#0", lot("C"), False), (lot("A"), lot("C"), False)}


def test_carriers_inside_an_input_carrier_are_opened_too() -> None:
    scene = Scene()
    scene.pack(1, tote(1), (lot("A"), "5"))
    scene.pack(2, sscc(1), tote(1))
    scene.transform(3, [sscc(1)], [(lot("C"), "5")])
    assert (lot("A"), lot("C"), False) in follows(scene.derived())


def test_an_input_carrier_shortly_outside_its_filling_is_inferred() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.unpack(2, sscc(1))
    scene.transform(20, [sscc(1)], [(lot("C"), "5")])
    assert (lot("A"), lot("C"), True) in follows(scene.derived())


def test_an_input_carrier_long_after_its_filling_stands_for_nothing() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.unpack(2, sscc(1))
    scene.transform(27, [sscc(1)], [(lot("C"), "5")])
    assert follows(scene.derived()) == set()


def test_what_a_put_out_filling_held_follows_from_it() -> None:
    scene = Scene()
    scene.transform(1, [(lot("A"), "5")], [sscc(1)])
    scene.pack(2, sscc(1), (lot("B"), "5"))
    derived = scene.derived()
    assert follows(derived) == {(lot("A"), f"{sscc(1)}#0", False)}
    (edge,) = derived.contains[sscc(1)]
    assert (_name(edge.source), edge.target) == (f"{sscc(1)}#0", lot("B"))


def test_contents_of_an_ordinary_carrier_do_not_follow_from_it() -> None:
    scene = Scene()
    scene.make(1, sscc(1))
    scene.pack(2, sscc(1), (lot("B"), "5"))
    assert scene.derived().contains[sscc(1)] == []


def test_what_a_serial_item_contained_by_aggregation_follows_from_it() -> None:
    scene = Scene()
    scene.pack(1, unit("case"), unit("1"))
    scene.event("Association", 2, action="ADD", parent=unit("case"), children=[unit("probe")])
    (edge,) = scene.derived().contains[unit("case")]
    assert (edge.source, edge.target, edge.inferred) == (unit("case"), unit("1"), False)
    assert scene.derived().fillings[unit("case")] == []


def test_a_private_name_is_material_until_it_is_a_parent() -> None:
    scene = Scene()
    scene.transform(1, [tote(1)], [(lot("B"), "1")])
    assert follows(scene.derived()) == {(tote(1), lot("B"), False)}
    scene.pack(0.5, tote(1), (lot("A"), "5"))
    pairs = {(a, b) for a, b, _ in follows(scene.derived())}
    assert pairs == {(f"{tote(1)}#0", lot("B")), (lot("A"), lot("B"))}
