"""Patterns of MATCH_ parameters against names in every spelling, and against an oracle that reads components."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis import Position, canonical_thing
from fabric.epcis.identifiers import BadIdentifier
from fabric.query.pattern import Pattern, parse_pattern

_LENGTHS = {"sgtin": 13, "sscc": 17, "sgln": 12, "grai": 12, "gdti": 12, "gsrn": 17, "pgln": 12}
_TAILED = ("sgtin", "sgln", "grai", "gdti")


def _iri(name: str, position: Position = Position.EPC) -> str:
    return canonical_thing(name, position).iri


@st.composite
def _urns(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A scheme and the components of one of its names; prefixes and tails are few, so that many names are near."""
    scheme = draw(st.sampled_from(sorted(_LENGTHS)))
    prefix = draw(st.sampled_from(["614141", "0614141", "061414198765", "4012345"]))
    length = _LENGTHS[scheme] - len(prefix)
    reference = f"{draw(st.sampled_from('0129'))}{draw(st.integers(0, 2)):0{length}d}"
    parts = [prefix, reference[0] * bool(length) + reference[len(reference) - length + 1 :] * (length > 1)]
    if scheme in _TAILED:
        parts.append(draw(st.sampled_from(["1", "12", "A.B", "0", "%2F7", "x-y"])))
    return scheme, parts


def _urn(scheme: str, parts: list[str]) -> str:
    return f"urn:epc:id:{scheme}:{'.'.join(parts)}"


@given(_urns(), _urns(), st.integers(0, 3))
def test_a_pattern_matches_the_names_that_agree_in_the_components_it_gives(
    one: tuple[str, list[str]], other: tuple[str, list[str]], left_out: int
) -> None:
    scheme, parts = one
    if scheme == "grai" and parts[2] == "%2F7":
        parts = [*parts[:2], "7"]
    given_parts = parts[: max(0, len(parts) - left_out)]
    stars = ["*"] * (len(parts) - len(given_parts))
    pattern = parse_pattern(f"urn:epc:idpat:{scheme}:{'.'.join(given_parts + stars)}", by_class=False)
    for name_scheme, name_parts in (one, other):
        try:
            iri = _iri(_urn(name_scheme, name_parts))
        except BadIdentifier:
            continue
        # Names of one scheme whose prefixes have as many digits differ where a component does, and only there.
        if name_scheme == scheme and (not given_parts or len(name_parts[0]) == len(given_parts[0])):
            assert pattern.matches(iri) == (name_parts[: len(given_parts)] == given_parts)
        elif name_scheme != scheme:
            assert not pattern.matches(iri)


@given(_urns(), st.integers(0, 3))
def test_what_a_pattern_matches_begins_with_one_of_its_prefixes(
    one: tuple[str, list[str]], left_out: int
) -> None:
    scheme, parts = one
    kept = parts[: max(0, len(parts) - left_out)]
    try:
        iri = _iri(_urn(scheme, parts))
    except BadIdentifier:
        return
    pattern = parse_pattern(
        f"urn:epc:idpat:{scheme}:{'.'.join(kept + ['*'] * (len(parts) - len(kept)))}", by_class=False
    )
    starts = pattern.prefixes()
    assert pattern.matches(iri)
    assert starts is not None
    assert any(iri.startswith(start) for start in starts)


@pytest.mark.parametrize(
    "name",
    [
        "urn:epc:id:sgtin:0614141.107346.2018",
        "https://id.gs1.org/01/10614141073464/21/2018",
        "https://example.com/some/path/01/10614141073464/21/2018?17=270101",
        "https://example.com/gtin/10614141073464/ser/2018",
    ],
)
def test_every_spelling_of_a_name_is_the_one_thing(name: str) -> None:
    pattern = parse_pattern(name, by_class=False)
    assert pattern.exact
    assert pattern.prefixes() == ("https://id.gs1.org/01/10614141073464/21/2018",)
    assert pattern.matches("https://id.gs1.org/01/10614141073464/21/2018")
    assert not pattern.matches("https://id.gs1.org/01/10614141073464/21/2018x")


def test_an_index_is_asked_for_no_more_than_a_pattern_needs() -> None:
    by_class = parse_pattern("urn:epc:idpat:sgtin:4012345.012345.*", by_class=True)
    assert by_class.prefixes() == ("https://id.gs1.org/01/04012345123456",)
    assert by_class.exact
    serials = parse_pattern("urn:epc:idpat:sgtin:4012345.012345.*", by_class=False)
    assert serials.prefixes() == ("https://id.gs1.org/01/04012345123456/21/",)
    company = parse_pattern("urn:epc:idpat:sgtin:4012345.*.*", by_class=False).prefixes()
    assert company == tuple(f"https://id.gs1.org/01/{first}4012345" for first in range(10))


def test_a_private_name_is_itself() -> None:
    pattern = parse_pattern("urn:example:a.*", by_class=False)
    assert pattern == Pattern("urn:example:a.*", "urn:example:a.*")
    assert not pattern.matches("urn:example:a.b")


@pytest.mark.parametrize(
    ("pattern", "by_class", "matched", "missed"),
    [
        # A class is the key without its serial; a lot is a class of its own scheme.
        (
            "urn:epc:idpat:sgtin:4012345.012345.*",
            True,
            ["https://id.gs1.org/01/04012345123456"],
            ["https://id.gs1.org/01/04012345123456/10/L", "https://id.gs1.org/01/04012345123456/21/1"],
        ),
        (
            "urn:epc:idpat:sgtin:4012345.012345.*",
            False,
            ["https://id.gs1.org/01/04012345123456/21/1"],
            ["https://id.gs1.org/01/04012345123456", "https://id.gs1.org/01/04012345123456/10/L"],
        ),
        (
            "urn:epc:idpat:sgtin:4012345.*.*",
            True,
            ["https://id.gs1.org/01/04012345123456", "urn:epc:idpat:sgtin:4012345.*.*"],
            ["https://id.gs1.org/01/04012346123453", "https://id.gs1.org/01/04012345123456/10/L"],
        ),
        (
            "urn:epc:class:lgtin:4012345.012345.*",
            True,
            ["https://id.gs1.org/01/04012345123456/10/L"],
            ["https://id.gs1.org/01/04012345123456", "https://id.gs1.org/01/04012345123456/21/L"],
        ),
        (
            "urn:epc:idpat:sgln:0614141.12345.*",
            False,
            ["https://id.gs1.org/414/0614141123452", "https://id.gs1.org/414/0614141123452/254/4"],
            ["https://id.gs1.org/417/0614141123452", "https://id.gs1.org/414/0614141000005"],
        ),
        (
            "urn:epc:idpat:itip:4012345.012345.01.*.*",
            False,
            ["https://id.gs1.org/8006/040123451234560102/21/5"],
            ["https://id.gs1.org/8006/040123451234560202/21/5"],
        ),
        (
            "urn:epc:idpat:cpi:0614141.PA%2F1.*",
            False,
            ["https://id.gs1.org/8010/0614141PA%2F1/8011/9"],
            ["https://id.gs1.org/8010/0614141PA%2F12/8011/9", "https://id.gs1.org/8010/0614141PA%2F1"],
        ),
        (
            "urn:epc:idpat:giai:0614141.*",
            False,
            ["https://id.gs1.org/8004/06141411234"],
            ["https://id.gs1.org/8004/0714141"],
        ),
        (
            "urn:epc:idpat:gid:95100000.12345.*",
            False,
            ["urn:epc:id:gid:95100000.12345.400"],
            ["urn:epc:id:gid:95100000.123456.400"],
        ),
        ("urn:epc:idpat:gid:*.*.*", False, ["urn:epc:id:gid:1.2.3"], ["urn:epc:id:usdod:1.2"]),
    ],
)
def test_patterns_of_instances_and_of_classes(
    pattern: str, by_class: bool, matched: list[str], missed: list[str]
) -> None:
    found = parse_pattern(pattern, by_class)
    starts = found.prefixes()
    assert starts is not None
    for iri in matched:
        assert found.matches(iri), iri
        assert iri.startswith(starts)
    for iri in missed:
        assert not found.matches(iri), iri


@given(st.text(st.sampled_from("0123456789.*[]-/:x"), max_size=20), st.sampled_from(sorted(_LENGTHS)))
def test_any_text_is_a_pattern_or_refused(body: str, scheme: str) -> None:
    found: Pattern | BadIdentifier
    try:
        found = parse_pattern(f"urn:epc:idpat:{scheme}:{body}", by_class=False)
    except BadIdentifier as problem:
        found = problem
    if isinstance(found, BadIdentifier):
        assert found.expected
    else:
        assert not found.matches("urn:example:other")
        assert found.exact or found.prefixes()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("urn:epc:idpat:sgtin:0614141.*.400", "bad-pattern"),
        ("urn:epc:idpat:sgtin:0614141.[100-200].*", "bad-pattern"),
        ("urn:epc:idpat:sgtin:0614141.1.*", "bad-pattern"),
        ("urn:epc:idpat:sgtin:0614141.107346", "bad-pattern"),
        ("urn:epc:idpat:sgtin:061.*.*", "bad-pattern"),
        ("urn:epc:idpat:itip:4012345.012345.1.*.*", "bad-pattern"),
        ("urn:epc:idpat:nothing:1.*", "bad-pattern"),
        ("https://id.gs1.org/01/10614141073465", "bad-check-digit"),
        ("shipping", "not-a-uri"),
    ],
)
def test_what_names_nothing_is_refused(text: str, rule: str) -> None:
    with pytest.raises(BadIdentifier) as refused:
        parse_pattern(text, by_class=False)
    assert refused.value.rule == rule


def test_a_name_that_a_member_kept_with_its_wrong_check_digit_is_found_on_request() -> None:
    text = "https://id.gs1.org/01/10614141073465"
    assert parse_pattern(text, by_class=True, keep_bad_check_digits=True).iri == text
