"""Whatever is sent: a 4xx with a reason and no change, or the same answer on every peer."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode import FUNCTIONS, Creator, dispatch
from chaincode.refusal import MAX_MESSAGE_CHARS
from tests.chaincode.calls import calls, transcript
from tests.chaincode.memory import (
    MemoryChannel,
    MemoryStub,
    certificate,
    is_documented,
    submit,
    two_organisations,
)

ROOT = Path(__file__).resolve().parents[2]
CHANNEL, FIRST, SECOND = two_organisations()
submit(CHANNEL, FIRST, 0, 7)


@pytest.mark.parametrize(
    ("args", "status", "rule"),
    [
        ((), 400, "argument-count"),
        ((b"",), 404, "unknown-function"),
        ((b"checkpoints",), 404, "unknown-function"),
        ((b"checkpoints:",), 404, "unknown-function"),
        ((b"Checkpoints:latest", b"x"), 404, "unknown-function"),
        ((b"checkpoints:latest\n", b"x"), 404, "unknown-function"),
        ((b"__init__",), 404, "unknown-function"),
        ((b"\xff",), 400, "not-utf8"),
        ((b"x" * 256,), 413, "too-large"),
        ((b"x" * 10_000_000,), 413, "too-large"),
        ((b"checkpoints:latest", b"x" * 10_000_000), 413, "too-large"),
        ((b"organisations:list",) + (b"",) * 10_000, 400, "argument-count"),
    ],
)
def test_a_call_of_nothing_that_is_there_is_refused(args: tuple[bytes, ...], status: int, rule: str) -> None:
    assert CHANNEL.refused(FIRST.user, *args) == (status, rule)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_each_function_takes_its_number_of_arguments_and_no_other(name: str) -> None:
    count = len(FUNCTIONS[name].limits_bytes)
    for wrong in {0, count - 1, count + 1, count + 50} - {-1, count}:
        answer = CHANNEL.refused(FIRST.admin, name.encode(), *[b"x"] * wrong)
        assert answer == (400, "argument-count")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_each_argument_has_its_limit(name: str) -> None:
    limits = FUNCTIONS[name].limits_bytes
    for at, limit in enumerate(limits):
        arguments = [b"x"] * len(limits)
        arguments[at] = b"x" * (limit + 1)
        assert CHANNEL.refused(FIRST.admin, name.encode(), *arguments) == (413, "too-large")


def _answered(args: tuple[bytes, ...], creator: Creator) -> None:
    """A 2xx or 4xx; nothing is written below the 2xx, and by a read neither."""
    response, stub = CHANNEL.simulate(creator, *args)
    assert 200 <= response.status < 500, response
    if response.status != 200:
        assert (stub.writes, stub.event, response.payload) == ([], None, b"")
        assert 0 < len(response.message) <= MAX_MESSAGE_CHARS
        assert response.message.isprintable()
        assert is_documented(response.status, response.message.partition(": ")[0]), response
        response.message.encode()


NAMES = st.sampled_from([name.encode() for name in FUNCTIONS])
CREATORS = st.one_of(
    st.sampled_from([FIRST.admin, FIRST.user, SECOND.admin]),
    st.builds(Creator, st.text(max_size=20), st.binary(max_size=200)),
    st.builds(Creator, st.just("Org1MSP"), st.binary(max_size=200)),
)
PIECES = st.sampled_from(
    [argument for _, _, arguments in calls() for argument in arguments]
    + [b'{"origins":{"\\ud800":[]},"cosigner":""}', b'{"\\ud800":1}', b'{"\xc2\x85":1}', b"\xed\xa0\x80"]
)


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A good argument with a part of it cut out or replaced."""
    good = draw(PIECES)
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 8)))
    return good[:start] + draw(st.binary(max_size=8)) + good[end:]


ARGUMENTS = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=50).map(lambda t: t.encode("utf-8", "replace")),
    PIECES,
    _mutated(),
)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=100), max_size=6).map(tuple), CREATORS)
def test_arbitrary_bytes_are_answered_below_500_and_change_nothing(
    args: tuple[bytes, ...], creator: Creator
) -> None:
    before = dict(CHANNEL.state)
    _answered(args, creator)
    response, stub = CHANNEL.simulate(creator, *args)
    assert response.status == 200 or stub.writes == []
    assert before == CHANNEL.state


@settings(max_examples=200)
@given(NAMES, st.data(), CREATORS)
def test_arbitrary_arguments_of_every_function_are_answered_below_500(
    name: bytes, data: st.DataObject, creator: Creator
) -> None:
    count = len(FUNCTIONS[name.decode()].limits_bytes)
    arguments = data.draw(st.lists(ARGUMENTS, min_size=count, max_size=count))
    _answered((name, *arguments), creator)


@pytest.mark.soak
@settings(max_examples=50_000)
@given(NAMES, st.data(), CREATORS)
def test_arbitrary_arguments_are_answered_below_500_at_length(
    name: bytes, data: st.DataObject, creator: Creator
) -> None:
    count = len(FUNCTIONS[name.decode()].limits_bytes)
    arguments = data.draw(st.lists(ARGUMENTS, min_size=count, max_size=count))
    _answered((name, *arguments), creator)


@settings(max_examples=200)
@given(NAMES, st.data())
def test_a_read_never_writes(name: bytes, data: st.DataObject) -> None:
    count = len(FUNCTIONS[name.decode()].limits_bytes)
    _, stub = CHANNEL.simulate(
        FIRST.admin, name, *data.draw(st.lists(ARGUMENTS, min_size=count, max_size=count))
    )
    if name.decode().partition(":")[2] in {"get", "list", "latest", "at", "history", "cosignatures"}:
        assert (stub.writes, stub.event) == ([], None)


def test_a_refusal_quotes_what_was_sent_in_printable_characters_alone() -> None:
    hostile = b'{"cosigner":"","origins":{},"a\\nFORGED \\u202e\\ud83d\\ude00 line' + b"x" * 600 + b'":1}'
    response, _ = CHANNEL.simulate(FIRST.admin, b"organisations:register", hostile)
    assert response.status == 400
    assert response.message.isprintable()
    assert "\u202e" not in response.message
    assert len(response.message) <= MAX_MESSAGE_CHARS


class _Broken(MemoryStub):
    def get_state(self, key: str) -> bytes | None:
        raise RuntimeError("secret of the state")


def test_any_other_failure_is_500_at_once_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    stub = _Broken({}, [b"checkpoints:latest", b"log.example/x"], FIRST.user)
    with caplog.at_level(logging.ERROR):
        response = dispatch(stub)
    assert (response.status, response.message) == (500, "internal-error: the chaincode failed")
    assert response.payload == b""
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_the_same_calls_give_the_same_bytes_twice() -> None:
    assert transcript(certificate("Org1MSP", "admin")) == transcript(certificate("Org2MSP", "admin"))


def _printed(hash_seed: str, *options: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, *options, "-m", "tests.chaincode.calls"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_same_calls_give_the_same_bytes_under_any_hash_seed(seed: int) -> None:
    first = _printed("0")
    assert len(first.splitlines()) == len(calls())
    assert first == _printed(str(1 + seed % 4_294_967_295)) == _printed("random")


def test_the_same_calls_give_the_same_bytes_without_the_fast_json_library() -> None:
    without = "import sys; sys.modules['orjson'] = None; import runpy; runpy.run_module('tests.chaincode.calls', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", without], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == _printed("0")


def test_every_function_is_in_the_transcript() -> None:
    assert {function.decode() for _, function, _ in calls()} >= set(FUNCTIONS)


def test_every_function_changes_state_or_answers_in_the_transcript() -> None:
    channel: Any = MemoryChannel()
    statuses: dict[bytes, set[int]] = {}
    for msp, function, arguments in calls():
        response, stub = channel.simulate(Creator(msp, certificate(msp, "admin")), function, *arguments)
        statuses.setdefault(function, set()).add(response.status)
        channel.state.update(stub.writes if response.status == 200 else [])
    assert {name for name in FUNCTIONS if 200 not in statuses[name.encode()]} == {"agreements:expire"}


def _page() -> str:
    return (ROOT / "docs" / "spec" / "chaincode.md").read_text()


def test_the_page_lists_every_function_and_every_rule_of_the_chaincode() -> None:
    sources = "".join(path.read_text() for path in sorted((ROOT / "chaincode").glob("*.py")))
    rules = set(re.findall(r'rule="([a-z0-9-]+)"', sources)) - {"bad-address"}
    rules |= set(re.findall(r'message=f?"([a-z-]+): ', sources)) - {"bad-package"}
    assert len(rules) > 30
    page = _page()
    assert sorted(rule for rule in rules - {"bad-package"} if f"`{rule}`" not in page) == []
    assert sorted(name for name in FUNCTIONS if f"| `{name}` |" not in page) == []
