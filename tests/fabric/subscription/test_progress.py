"""What each thing that happens to a delivery makes of how far its subscription has come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.subscription.progress import (
    END_OF_CAPTURE,
    Outcome,
    Progress,
    RetryRule,
    Sending,
    begun,
    given_up,
    is_due,
    passed,
    refused,
    resent,
    resumed,
    run_ended,
    taken,
)

NOW = 1_790_000_000_000
KEYS = ((7, 1), (7, 2), (9, 1), (9, 4))
START = Progress((5, END_OF_CAPTURE))
RULE = RetryRule(first_s=1.0, longest_s=60.0, attempts=5)


def sending(count: int = 4) -> Progress:
    return begun(START, Sending("name", KEYS[:count], "me", NOW), None)


def test_the_place_moves_only_when_a_delivery_was_taken() -> None:
    going = sending()
    assert going.place == START.place
    failed = refused(going, Outcome(500, "status-500"), RULE, NOW, 0.5)
    assert (failed.place, failed.sending, failed.failures) == (START.place, going.sending, 1)
    assert resent(failed, "other", NOW + 1).sending == replace(going.sending, by="other", at_ms=NOW + 1)  # type: ignore[type-var]
    done = taken(failed, NOW + 5)
    assert (done.place, done.sending, done.failures, done.reason) == ((9, 4), None, 0, None)
    assert (done.delivered, done.notified_ms, done.due_ms) == (1, NOW + 5, None)


def test_an_empty_report_moves_nothing() -> None:
    going = begun(START, Sending("name", (), "me", NOW), 12)
    done = taken(going, NOW)
    assert (done.place, done.run_size, done.delivered) == (START.place, 12, 1)


@given(st.integers(1, 100), st.floats(0, 1))
def test_pauses_double_up_to_the_longest_and_spread(failures: int, chance: float) -> None:
    pause = RULE.pause_s(failures, chance)
    whole = min(60.0, 2.0 ** (failures - 1))
    assert whole / 2 <= pause <= whole


def test_it_is_given_up_after_so_many_attempts_and_keeps_what_it_has() -> None:
    going = sending()
    for number in range(1, 5):
        going = refused(going, Outcome(None, "timed-out"), RULE, NOW, 0.0)
        assert (going.failures, going.is_dead) == (number, False)
        assert going.due_ms is not None
        assert going.due_ms > NOW
    going = refused(going, Outcome(None, "timed-out"), RULE, NOW, 0.0)
    assert (going.is_dead, going.due_ms, going.reason, going.failures) == (True, None, "timed-out", 5)
    assert going.sending == sending().sending
    again = resumed(going, NOW + 9)
    assert (again.is_dead, again.due_ms, again.failures, again.sending) == (False, NOW + 9, 0, going.sending)


def test_a_request_for_less_halves_the_batch_and_is_no_failure() -> None:
    smaller = refused(sending(), Outcome(413, "status-413"), RULE, NOW, 0.0)
    assert (smaller.batch, smaller.sending, smaller.failures, smaller.place) == (2, None, 0, START.place)
    assert smaller.due_ms == NOW
    last = refused(sending(1), Outcome(413, "status-413"), RULE, NOW, 0.0)
    assert (last.is_dead, last.reason, last.sending) == (True, "status-413", sending(1).sending)
    left_out = resumed(last, NOW, skip=True)
    assert (left_out.is_dead, left_out.place, left_out.sending) == (False, (7, 1), None)


@pytest.mark.parametrize("count", [1, 4])
def test_a_receiver_that_is_gone_is_given_up_at_once(count: int) -> None:
    gone = refused(sending(count), Outcome(410, "status-410"), RULE, NOW, 0.0)
    assert (gone.is_dead, gone.reason) == (True, "status-410")
    assert gone.place == START.place


@pytest.mark.parametrize(
    ("status", "asked_s", "expected_s"),
    [(503, 30.0, 30.0), (429, 30.0, 30.0), (503, 0.0, 0.5), (503, 1e6, 60.0), (500, 30.0, 0.5)],
)
def test_a_receiver_may_ask_to_be_left_alone(status: int, asked_s: float, expected_s: float) -> None:
    after = refused(sending(), Outcome(status, f"status-{status}", asked_s), RULE, NOW, 0.0)
    assert after.due_ms == NOW + int(expected_s * 1000)


def test_what_nobody_may_see_any_more_is_passed_and_not_counted() -> None:
    gone = passed(sending())
    assert (gone.place, gone.sending, gone.delivered, gone.notified_ms) == ((9, 4), None, 0, None)


def test_a_run_ends_behind_all_that_it_saw() -> None:
    ended = run_ended(replace(START, run_size=12), NOW + 60_000)
    assert (ended.place, ended.run_size, ended.due_ms) == ((11, END_OF_CAPTURE), None, NOW + 60_000)
    assert run_ended(replace(START, place=(20, 1), run_size=12), None).place == (20, 1)


def test_when_there_is_something_to_do() -> None:
    assert not is_due(START, False, -1, 6, NOW)
    assert is_due(START, False, -1, 7, NOW)
    assert not is_due(START, False, 6, 7, NOW)
    assert is_due(sending(), False, 6, 7, NOW)
    # Behind an event there may be others of its capture.
    assert is_due(replace(START, place=(6, 3)), False, -1, 7, NOW)
    assert not is_due(replace(START, place=(6, 3)), False, 6, 7, NOW)
    failed = refused(sending(), Outcome(500, "status-500"), RULE, NOW, 0.0)
    assert not is_due(failed, False, -1, 100, NOW)
    assert is_due(failed, False, -1, 100, NOW + 1000)
    assert not is_due(given_up(START, "query-too-complex", NOW), False, -1, 100, NOW)
    scheduled = replace(START, due_ms=NOW + 5)
    assert not is_due(scheduled, True, -1, 100, NOW)
    assert is_due(scheduled, True, -1, 6, NOW + 5)
    assert is_due(replace(START, run_size=9), True, -1, 6, NOW)
