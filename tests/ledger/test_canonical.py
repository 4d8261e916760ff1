from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

import ledger.canonical as module
from ledger.canonical import canonical, canonical_slowly, jcs_order, parse_json
from ledger.errors import InvalidInput, LoomarkError, TooLarge

from .strategies import texts, values


@pytest.fixture(params=["orjson", "json"])
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two fast writers in turn."""
    if request.param == "orjson":
        pytest.importorskip("orjson")
    else:
        monkeypatch.setattr(module, "write_fast", module._write_with_json)
    return str(request.param)


@given(values)
def test_fast_paths_write_what_the_reference_implementation_writes(value: Any) -> None:
    expected = rfc8785.dumps(value)
    assert canonical(value) == expected
    for write in (module._write_with_json, module.write_fast):
        try:
            fast = write(value)
        except module.WRITE_ERRORS:
            continue
        if type(value) is str or module.is_certain(value, fast):
            assert fast == expected


@given(values, st.sampled_from([None, 0, 2]), st.booleans())
def test_the_fast_parser_gives_what_the_strict_one_gives(
    value: Any, indent: int | None, escaped: bool
) -> None:
    for data in (
        json.dumps(value, indent=indent, ensure_ascii=escaped).encode(),
        json.dumps(value, separators=(",", ":"), ensure_ascii=escaped).encode(),
    ):
        fast = module._parse_fast(data)
        if fast is not None:
            expected = module._parse_slowly(data, 64)
            assert json.dumps(fast) == json.dumps(expected)


@given(st.text('{}[]",:0123456789.eE+-ab \\u', max_size=40))
def test_the_fast_parser_accepts_nothing_that_the_strict_one_refuses(text: str) -> None:
    for data in (text.encode(), f"[{text}]".encode(), f'{{"a":{text}}}'.encode()):
        fast = module._parse_fast(data)
        if fast is not None:
            assert json.dumps(fast) == json.dumps(module._parse_slowly(data, 64))


@given(
    st.floats(allow_nan=False) | st.integers(-(2**70), 2**70), st.sampled_from(["{}", "{}.0", "{}e0", "{}0"])
)
def test_a_number_is_read_alike_by_both_parsers_or_refused(number: float, form: str) -> None:
    for token in (form.format(number), form.format(repr(number).replace("+", ""))):
        data = f'{{"a":[{token}],"b":{token}}}'.encode()
        fast = module._parse_fast(data)
        if fast is not None:
            assert json.dumps(fast) == json.dumps(module._parse_slowly(data, 64))


@pytest.mark.parametrize(
    "data",
    [b'{"a":1,"a":1}', b'{"a":{"b":1,"\\u0062":2}}', b"[9007199254740992.0]", b"[1e16]", b"[1.0e2]", b"[-0]"],
)
def test_the_fast_parser_leaves_doubtful_texts_to_the_strict_one(data: bytes) -> None:
    assert module._parse_fast(data) is None


@given(st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8, "big"))[0]))
def test_any_double_is_written_as_jcs_or_refused_with_it(number: float) -> None:
    try:
        expected = rfc8785.dumps([number])
    except rfc8785.CanonicalizationError:
        with pytest.raises(InvalidInput):
            canonical([number])
        return
    assert canonical([number]) == expected


@pytest.mark.parametrize("number", [26.0, -0.0, 0.0, 1e16, 1e21, 1e-5, 1e-7, 5e-324, 1.5, -1e300, 123456.789])
def test_numbers_whose_spelling_differs_between_writers_take_the_slow_path(
    writer: str, number: float
) -> None:
    for value in (number, [number], {"a": number}, [[1, number]], {"a": [number, number]}):
        assert canonical(value) == rfc8785.dumps(value)


def test_integers_beyond_2_53_are_refused_wherever_they_stand(writer: str) -> None:
    for value in (2**53, [-(2**53)], {"a": {"b": 2**63}}, [2**70]):
        with pytest.raises(InvalidInput) as caught:
            canonical(value)
        assert caught.value.rule == "jcs-number"
    assert canonical([2**53 - 1]) == b"[9007199254740991]"


def test_what_is_not_a_number_of_json_is_refused(writer: str) -> None:
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidInput):
            canonical({"a": number})


def test_lone_surrogates_are_refused_by_the_writer(writer: str) -> None:
    for value in ("\ud800", ["\udfff"], {"\ud800": 1}):
        with pytest.raises(InvalidInput):
            canonical(value)


def test_endless_nesting_is_refused_by_the_writer(writer: str) -> None:
    value: Any = [None]
    for _ in range(5_000):
        value = [value]
    with pytest.raises(InvalidInput) as caught:
        canonical(value)
    assert caught.value.rule == "too-deep"
    nested: Any = [None]
    for _ in range(150):
        nested = [nested]
    assert canonical(nested) == rfc8785.dumps(nested)


def test_names_sort_by_utf16_code_units(writer: str) -> None:
    names = ["\ufb01", "\U0001f600", "a", "\u20ac", ""]
    assert jcs_order(names) == ["", "a", "\u20ac", "\U0001f600", "\ufb01"]
    value = dict.fromkeys(names, 1)
    assert canonical(value) == rfc8785.dumps(value)
    assert canonical([value]) == rfc8785.dumps([value])


@given(st.lists(texts, unique=True))
def test_jcs_order_is_the_order_of_the_reference(names: list[str]) -> None:
    written = json.loads(
        rfc8785.dumps(dict.fromkeys(names, 0)), object_pairs_hook=lambda pairs: [n for n, _ in pairs]
    )
    assert jcs_order(names) == (written or [])


@given(values)
def test_canonical_bytes_parse_back_to_the_same_bytes(value: Any) -> None:
    data = canonical(value)
    assert canonical(parse_json(data)) == data
    assert canonical_slowly(parse_json(data)) == data


def test_rfc_8785_vectors(shared_data: Path, writer: str) -> None:
    folder = shared_data / "canonical-json" / "testdata"
    inputs = sorted((folder / "input").glob("*.json"))
    assert inputs
    for path in inputs:
        # The vectors contain a number that the strict parser refuses on purpose; the writer is under test here.
        value = json.loads(path.read_bytes())
        assert canonical(value) == (folder / "output" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"[1,]", "not-json"),
        (b"{} {}", "not-json"),
        (b"NaN", "not-json"),
        (b"[-Infinity]", "not-json"),
        (b"\xef\xbb\xbf{}", "not-json"),
        ('{"a":1}'.encode("utf-16"), "not-utf8"),
        (b'"\xff"', "not-utf8"),
        (b'"\xed\xa0\x80"', "not-utf8"),
        (b'{"a":1,"a":1}', "duplicate-member"),
        (b'{"a":{"b":1,"\\u0062":2}}', "duplicate-member"),
        (b'"\\ud800"', "lone-surrogate"),
        (b'{"a":["\\uDC00x"]}', "lone-surrogate"),
        (b'{"\\udbff\\u0041":1}', "lone-surrogate"),
        (b"9007199254740992", "jcs-number"),
        (b"-9007199254740993", "jcs-number"),
        (b"9007199254740992.0", "jcs-number"),
        (b"1e20", "jcs-number"),
        (b"123456789012345678901234567890", "jcs-number"),
        (b"1e400", "jcs-number"),
        (b"1e-400", "jcs-number"),
        (b"0.1000000000000000055511151231257827", "jcs-number"),
        (b"333333333.33333329", "jcs-number"),
        (b"1.00000000000000000000001", "jcs-number"),
        (b"1e99999999999999999999", "jcs-number"),
        (b"0." + b"0" * 2_000 + b"1", "jcs-number"),
    ],
)
def test_what_parsers_disagree_on_is_refused(data: bytes, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_json(data)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"-0.0", -0.0),
        (b"-0", 0),
        (b"1.0", 1.0),
        (b"1E2", 100.0),
        (b"0e99999", 0.0),
        (b"1e21", 1e21),
        (b"0.10", 0.1),
        (b"9007199254740991", 2**53 - 1),
        (b"9007199254740991.0", float(2**53 - 1)),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
    ],
)
def test_what_all_parsers_agree_on_is_accepted(data: bytes, value: Any) -> None:
    assert parse_json(data) == value


def test_depth_counts_values_and_the_outermost_is_one() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64) is not None
    assert parse_json(b"[" * 63 + b"1" + b"]" * 63) is not None
    for data in (b"[" * 64 + b"1" + b"]" * 64, b"[" * 65 + b"]" * 65, b"[" * 100_000):
        with pytest.raises(InvalidInput):
            parse_json(data)
    with pytest.raises(TooLarge) as caught:
        parse_json(b'{"a":' * 64 + b"1" + b"}" * 64)
    assert caught.value.rule == "too-deep"
    assert parse_json(b"[1]", max_depth=2) == [1]
    with pytest.raises(TooLarge):
        parse_json(b"[1]", max_depth=1)


@given(st.binary(max_size=60) | st.text('[]{}",:0123456789.eE+-\\ud8tfn', max_size=40).map(str.encode))
def test_the_parser_raises_only_errors_of_ours(data: bytes) -> None:
    try:
        value = parse_json(data)
    except LoomarkError:
        return
    assert canonical(value) == rfc8785.dumps(value)
