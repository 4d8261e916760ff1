"""What may be asked for when somebody subscribes, and what of it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from fabric.query.errors import SubscriptionControls
from fabric.subscription.destination import Allowed
from fabric.subscription.wanted import controls_of, parse_webhook

STREAM: dict[str, Any] = {"dest": "https://client.example.com/x", "stream": True}
SCHEDULED: dict[str, Any] = {"dest": "https://client.example.com/x", "schedule": {"hour": "1", "minute": "5"}}


def test_the_examples_of_the_standard_are_taken() -> None:
    stream = parse_webhook({**STREAM, "signatureToken": "13df38d8"}, Allowed())
    assert (stream.dest, stream.secret) == (STREAM["dest"], "13df38d8")
    assert (stream.controls.schedule, stream.controls.told, stream.controls.initial_ms) == (None, None, None)
    scheduled = parse_webhook({**SCHEDULED, "reportIfEmpty": True}, Allowed())
    assert scheduled.controls.told == SCHEDULED["schedule"]
    assert scheduled.controls.report_if_empty
    assert scheduled.secret is None


@pytest.mark.parametrize("member", ["secret", "signatureToken"])
def test_the_token_goes_by_either_name(member: str) -> None:
    assert parse_webhook({**STREAM, member: "token"}, Allowed()).secret == "token"
    assert (
        parse_webhook({**STREAM, "secret": "token", "signatureToken": "token"}, Allowed()).secret == "token"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-04-04T20:33:31.116-06:00", 1_586_054_011_116),
        ("2020-04-05T02:33:31.1160001Z", 1_586_054_011_116),
        ("2020-04-05T02:33:31.116001Z", 1_586_054_011_117),
        ("1066-10-14T09:00:00Z", 0),
    ],
)
def test_the_initial_record_time_is_read_to_the_millisecond_at_or_after_it(text: str, expected: int) -> None:
    assert parse_webhook({**STREAM, "initialRecordTime": text}, Allowed()).controls.initial_ms == expected


@pytest.mark.parametrize(
    ("body", "rule", "pointer"),
    [
        ([], "bad-shape", ""),
        (None, "bad-shape", ""),
        ("x", "bad-shape", ""),
        ({"stream": True}, "bad-shape", "/dest"),
        ({"dest": STREAM["dest"]}, "stream-or-schedule", "/stream"),
        ({**STREAM, "stream": False}, "stream-or-schedule", "/stream"),
        ({**STREAM, "schedule": {"hour": "1"}}, "stream-or-schedule", "/stream"),
        ({**SCHEDULED, "stream": None, "schedule": None}, "stream-or-schedule", "/stream"),
        ({**STREAM, "stream": "true"}, "bad-shape", "/stream"),
        ({**STREAM, "stream": 1}, "bad-shape", "/stream"),
        ({**SCHEDULED, "schedule": {"hour": "25"}}, "bad-schedule", "/schedule/hour"),
        ({**SCHEDULED, "reportIfEmpty": "yes"}, "bad-shape", "/reportIfEmpty"),
        ({**STREAM, "reportIfEmpty": True}, "bad-shape", "/reportIfEmpty"),
        ({**STREAM, "initialRecordTime": "2020-04-04"}, "bad-time", "/initialRecordTime"),
        ({**STREAM, "initialRecordTime": 7}, "bad-time", "/initialRecordTime"),
        ({**STREAM, "initialRecordTime": "2020-13-04T00:00:00Z"}, "bad-time", "/initialRecordTime"),
        ({**STREAM, "signatureToken": ""}, "bad-shape", "/signatureToken"),
        ({**STREAM, "signatureToken": 7}, "bad-shape", "/signatureToken"),
        ({**STREAM, "signatureToken": "a" * 1025}, "bad-shape", "/signatureToken"),
        ({**STREAM, "signatureToken": "\ud800"}, "bad-shape", "/signatureToken"),
        ({**STREAM, "signatureToken": "one", "secret": "two"}, "bad-shape", "/signatureToken"),
        ({**STREAM, "dest": "http://client.example.com/x"}, "bad-destination", "/dest"),
        ({**STREAM, "dest": "https://localhost/x"}, "destination-refused", "/dest"),
        ({**STREAM, "surplus": 1}, "bad-shape", "/surplus"),
        ({**STREAM, "a/b~": 1}, "bad-shape", "/a~1b~0"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_its_member(body: Any, rule: str, pointer: str) -> None:
    with pytest.raises(SubscriptionControls) as caught:
        parse_webhook(body, Allowed())
    assert (caught.value.rule, caught.value.pointer) == (rule, pointer)


def test_a_websocket_says_the_same_by_texts() -> None:
    assert controls_of({"stream": "true"}).schedule is None
    found = controls_of({"minute": "5", "hour": "1", "reportIfEmpty": "True", "perPage": "7"})
    assert found.told == {"minute": "5", "hour": "1"}
    assert found.report_if_empty
    for pairs in (
        {},
        {"stream": "false"},
        {"stream": "true", "hour": "1"},
        {"stream": "yes"},
        {"minute": "60"},
    ):
        with pytest.raises(SubscriptionControls):
            controls_of(pairs)
