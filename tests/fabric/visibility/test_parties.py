"""Who is a party of a record, and who holds an identifier: the pure part of design/meaning.md section 4."""

from __future__ import annotations

import pytest

from fabric.visibility import NOBODY, Holders, Reader, Sides, parties
from fabric.visibility.parties import is_split_needed
from ledger.identifier import Identifier

GLN_A, GLN_B = "9506000134352", "9506000134369"
PARTY_A, PARTY_B = f"https://id.gs1.org/417/{GLN_A}", f"https://id.gs1.org/417/{GLN_B}"
PLACE_A = f"https://id.gs1.org/414/{GLN_A}/254/dock7"
OWNER, POSSESSOR, LOCATION = (
    f"https://ref.gs1.org/cbv/SDT-{word}" for word in ("owning_party", "possessing_party", "location")
)
NOON_US = 1_790_000_000_000_000
NOON_MS = NOON_US // 1000


def held(kind: str, value: str, member: str, start: int = 0, end: int | None = None) -> Identifier:
    return Identifier(kind, value, member, start, end, 1)


def found(sides: Sides, *identifiers: Identifier, kind: str = "ObjectEvent") -> set[str]:
    return set(parties("me", kind, NOON_US, sides, Holders(identifiers)))


A, B = held("gln", GLN_A, "a"), held("gln", GLN_B, "b")


@pytest.mark.parametrize("word", [OWNER, POSSESSOR, LOCATION, "possessing_party"])
@pytest.mark.parametrize("side", [0, 1])
def test_naming_makes_a_party_on_either_side(word: str, side: int) -> None:
    sides = Sides(((word, PARTY_A),)) if side == 0 else Sides((), ((word, PARTY_A),))
    assert found(sides, A, B) == {"me", "a"}


def test_a_type_of_somebodys_own_makes_nobody_a_party() -> None:
    assert found(Sides((("https://example.org/broker", PARTY_A),)), A) == {"me"}


def test_a_transformation_has_its_capturing_member_alone() -> None:
    assert found(Sides((), ((POSSESSOR, PARTY_A),)), A, kind="TransformationEvent") == {"me"}


@pytest.mark.parametrize("kind", ["ObjectEvent", "AggregationEvent", "AssociationEvent", "TransactionEvent"])
def test_every_other_type_has_the_parties_it_names(kind: str) -> None:
    assert found(Sides((), ((POSSESSOR, PARTY_A),)), A, kind=kind) == {"me", "a"}


def test_two_different_parties_of_one_type_on_one_side_leave_the_capturing_member_alone() -> None:
    sides = Sides((), ((POSSESSOR, PARTY_A), (POSSESSOR, PARTY_B), (OWNER, PARTY_A)))
    assert found(sides, A, B) == {"me"}
    assert is_split_needed(sides)


def test_two_names_of_one_member_are_one_party() -> None:
    sides = Sides((), ((LOCATION, PLACE_A), (LOCATION, f"https://id.gs1.org/414/{GLN_A}")))
    assert found(sides, A) == {"me", "a"}


def test_parties_of_different_types_or_sides_all_count() -> None:
    assert found(Sides(((POSSESSOR, PARTY_A),), ((POSSESSOR, PARTY_B),)), A, B) == {"me", "a", "b"}
    assert not is_split_needed(Sides(((POSSESSOR, PARTY_A),), ((POSSESSOR, PARTY_B),)))


def test_an_unknown_identifier_gives_nobody_sight() -> None:
    assert found(Sides((), ((POSSESSOR, PARTY_B),)), A) == {"me"}


def test_an_exact_identifier_goes_before_the_gln_and_the_gln_before_the_prefix() -> None:
    exact, gln, prefix = held("iri", PLACE_A, "exact"), A, held("prefix", GLN_A[:7], "prefix")
    sides = Sides((), ((LOCATION, PLACE_A),))
    assert found(sides, prefix, gln, exact) == {"me", "exact"}
    assert found(sides, prefix, gln) == {"me", "a"}
    assert found(sides, prefix) == {"me", "prefix"}


def test_the_longest_prefix_goes_first() -> None:
    sides = Sides((), ((LOCATION, PLACE_A),))
    assert found(sides, held("prefix", GLN_A[:5], "short"), held("prefix", GLN_A[:8], "long")) == {
        "me",
        "long",
    }


def test_a_urn_that_the_operator_wrote_is_the_same_identifier() -> None:
    urn = held("iri", "urn:epc:id:sgln:950600013.435.dock7", "a")
    assert found(Sides((), ((LOCATION, PLACE_A),)), urn) == {"me", "a"}


@pytest.mark.parametrize(
    ("start", "end", "sees"), [(0, NOON_MS, False), (NOON_MS, None, True), (NOON_MS + 1, None, False)]
)
def test_the_holder_is_the_one_at_event_time(start: int, end: int | None, sees: bool) -> None:
    one = held("gln", GLN_A, "a", start, end)
    assert ("a" in found(Sides((), ((LOCATION, PLACE_A),)), one)) is sees


def test_a_reader_sees_classes_it_is_in_and_nobody_sees_none() -> None:
    assert Reader("a", frozenset({"a", "b"})).sees({"b", "c"})
    assert not Reader("a", frozenset({"a"})).sees({"b"})
    assert not NOBODY.sees({"operator"})
    assert not Reader("a", frozenset({"a"})).sees(())
    assert Reader("x", frozenset({"x"}), all=True).sees(())
