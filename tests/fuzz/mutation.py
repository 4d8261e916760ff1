"""Changes of valid samples, by the byte and by the place in their JSON; drawn by hypothesis so that failures shrink."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from ..ledger.strategies import values

HOSTILE: list[Any] = [
    None,
    True,
    -1,
    0.5,
    2**53,
    1e300,
    "",
    "\u0000",
    "\ud800",
    "=" * 65,
    "A" * 70_000,
    [],
    {},
    [[]] * 100,
    [0, ""],
    {"": None},
]
TOKENS = [
    b"\n",
    b"\n\n",
    b"\x00",
    b"\xff\xfe",
    b"=",
    b"+",
    b"\xe2\x80\x94 ",
    b'"',
    b"}",
    b"]" * 70,
    b"[" * 200,
]
TOKENS += [b"99999999999999999999", b"-0", b"1e400", b"\\ud800", b"\r", b"\xc2\x85", b" ", b"\t", b"/"]
TOKENS += [b"<", b"</", b"/>", b"<a>", b"<!-- -->", b"<![CDATA[", b"]]>", b"<?a?>", b"&#0;", b"&amp;", b"&a;"]
TOKENS += [
    b"<!DOCTYPE a [",
    b" xmlns='",
    b"<extension>",
    b"</extension>",
    b"<epc>",
    b"</epc>",
    b"<EventList>",
]


@st.composite
def changed_bytes(draw: st.DrawFn, sample: bytes) -> bytes:
    """The sample after a few cuts, repetitions, flips and insertions."""
    data = sample
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 1, 2, 8, 64, 1_000])))
        middle = draw(
            st.binary(max_size=8)
            | st.sampled_from(TOKENS)
            | st.just(data[start:end] * 2)
            | st.just(data[start:end][::-1])
            | st.just(b"")
        )
        data = data[:start] + middle + data[end:]
    return data


@st.composite
def changed_json(draw: st.DrawFn, sample: bytes) -> bytes:
    """The sample with one place of its JSON replaced, removed, doubled or renamed; bytes as they are if it is none."""
    try:
        value = json.loads(sample)
    except ValueError:
        return draw(changed_bytes(sample))
    holder, key = _place(draw, value)
    if holder is None:
        return json.dumps(draw(st.sampled_from(HOSTILE))).encode()
    action = draw(st.sampled_from(["replace", "replace", "remove", "double", "rename", "swap"]))
    if action == "remove":
        del holder[key]
    elif action == "double" and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif action == "rename" and isinstance(holder, dict):
        holder[draw(st.sampled_from(["", "x", key.upper(), key + "\u0000"]))] = holder.pop(key)
    elif action == "swap" and _place(draw, value)[0] is not None:
        other, at = _place(draw, value)
        holder[key], other[at] = json.loads(json.dumps(other[at])), json.loads(json.dumps(holder[key]))
    else:
        holder[key] = draw(st.sampled_from(HOSTILE) | values)
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def _place(draw: st.DrawFn, value: Any) -> tuple[Any, Any]:
    holder, key = None, None
    while isinstance(value, dict | list) and value:
        holder = value
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        value = holder[key]
        if draw(st.integers(0, 3)) == 0:
            break
    return holder, key


def hostile_bytes(samples: list[bytes]) -> st.SearchStrategy[bytes]:
    """Random bytes, and changed samples, mostly the latter."""
    chosen = st.sampled_from(samples)
    return st.one_of(
        chosen.flatmap(changed_json), chosen.flatmap(changed_json), chosen.flatmap(changed_bytes), st.binary()
    )
