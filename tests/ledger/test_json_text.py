from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInput
from ledger.json_text import Kind, faults, pointer_of, walk

from .strategies import values


def found_at(value: Any, path: tuple[str | int, ...] = ()) -> dict[str, Any]:
    """Every value within a value by its pointer."""
    inner: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    found = {pointer_of(list(path)): value}
    for name, item in inner:
        found |= found_at(item, (*path, name))
    return found


@given(values, st.sampled_from([None, 0, 3]), st.booleans())
def test_every_value_of_a_text_is_met_at_its_pointer(value: Any, indent: int | None, escaped: bool) -> None:
    met = {}
    for token in walk(json.dumps(value, indent=indent, ensure_ascii=escaped)):
        if token.kind is not Kind.NAME:
            met[pointer_of(token.path)] = (token.kind, token.text)
    expected = found_at(value)
    assert met.keys() == expected.keys()
    for pointer, one in expected.items():
        kind, text = met[pointer]
        if isinstance(one, str):
            assert (kind, text) == (Kind.STRING, one)
        elif isinstance(one, dict | list):
            assert kind is (Kind.OBJECT if isinstance(one, dict) else Kind.ARRAY)
        else:
            assert json.loads(text) == one


@given(st.text('{}[]",:01.eE+-a \\u', max_size=40))
def test_a_walk_ends_on_any_text_without_an_error(text: str) -> None:
    assert sum(1 for _ in walk(text)) <= len(text)


def test_a_pointer_is_cut_where_a_name_is_longer_than_anybody_reads() -> None:
    text = '{"a":{"%s":1e400}}' % ("x" * 5_000)
    (found,) = faults(text, 64, _refuse)
    assert found.pointer == "/a"


def test_at_most_a_hundred_faults_are_told() -> None:
    text = "[" + ",".join(["1e400"] * 300) + "]"
    found = faults(text, 64, _refuse)
    assert [one.pointer for one in found] == [f"/{n}" for n in range(100)]


def _refuse(token: str) -> None:
    raise InvalidInput(f"expected another number, got {token}", rule="jcs-number")
