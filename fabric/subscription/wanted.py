"""What a member asks for when it subscribes: the body of a webhook's subscription, or the parameters of a websocket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fabric.epcis.times import parse_time
from fabric.query.errors import SubscriptionControls

from .destination import Allowed, parse_destination
from .schedule import FIELDS, Schedule, parse_schedule

LONGEST_SECRET: Final = 1024
_MEMBERS: Final = frozenset(
    {"dest", "secret", "signatureToken", "stream", "schedule", "reportIfEmpty", "initialRecordTime"}
)
_TRUTHS: Final[Mapping[str, bool]] = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Controls:
    """When to report: `schedule` is None for a stream, `told` is the schedule as it was sent.

    `initial_ms` is the initialRecordTime in milliseconds since 1970, None for now.
    """

    schedule: Schedule | None
    told: Mapping[str, Any] | None
    report_if_empty: bool
    initial_ms: int | None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription that is delivered to an address, signed with `secret` where there is one."""

    dest: str
    secret: str | None
    controls: Controls


def parse_webhook(value: Any, allowed: Allowed) -> Webhook:
    """The body of `POST …/subscriptions`. Raises SubscriptionControls, whose pointer names the member."""
    if not isinstance(value, dict):
        raise SubscriptionControls("expected an object, got another value", rule="bad-shape")
    unknown = sorted(set(value) - _MEMBERS)
    if unknown:
        name = unknown[0].replace("~", "~0").replace("/", "~1")
        raise SubscriptionControls(
            f"expected the members {', '.join(sorted(_MEMBERS))}, got another",
            rule="bad-shape",
            pointer=f"/{name}",
        )
    if "dest" not in value:
        raise SubscriptionControls("expected member 'dest', got none", rule="bad-shape", pointer="/dest")
    parse_destination(value["dest"], allowed)
    return Webhook(value["dest"], _secret(value), parse_controls(value))


def parse_controls(value: Mapping[str, Any]) -> Controls:
    """Stream or schedule, whether empty reports are wanted, and from which record time on.

    Raises SubscriptionControls: `stream-or-schedule` for both or neither, `bad-schedule`, `bad-shape`, `bad-time`.
    """
    stream, schedule = value.get("stream"), value.get("schedule")
    if stream is not None and not isinstance(stream, bool):
        raise _bad("stream", "true")
    if (stream is True) == (schedule is not None):
        got = "both" if stream else "neither"
        raise SubscriptionControls(
            f"expected stream: true or a schedule, got {got}", rule="stream-or-schedule", pointer="/stream"
        )
    report_if_empty = value.get("reportIfEmpty", False)
    if not isinstance(report_if_empty, bool):
        raise _bad("reportIfEmpty", "true or false")
    if report_if_empty and schedule is None:
        raise _bad("reportIfEmpty", "it with a schedule only: a stream reports events when they come")
    return Controls(
        None if schedule is None else parse_schedule(schedule),
        schedule,
        report_if_empty,
        _initial_ms(value.get("initialRecordTime")),
    )


def controls_of(pairs: Mapping[str, str]) -> Controls:
    """The controls of a websocket: `stream`, `reportIfEmpty`, `initialRecordTime` and the fields of a schedule, as texts."""
    value: dict[str, Any] = {}
    for name in ("stream", "reportIfEmpty"):
        if name in pairs:
            if pairs[name].lower() not in _TRUTHS:
                raise _bad(name, "true or false")
            value[name] = _TRUTHS[pairs[name].lower()]
    if "initialRecordTime" in pairs:
        value["initialRecordTime"] = pairs["initialRecordTime"]
    schedule = {name: pairs[name] for name in FIELDS if name in pairs}
    return parse_controls({**value, "schedule": schedule} if schedule else value)


def _secret(value: Mapping[str, Any]) -> str | None:
    """The token to sign with: the standard requires a member `secret` and describes it as `signatureToken`."""
    found = [value[name] for name in ("signatureToken", "secret") if value.get(name) is not None]
    if any(not isinstance(one, str) or not 0 < len(one) <= LONGEST_SECRET for one in found):
        raise _bad("signatureToken", f"a text of 1 to {LONGEST_SECRET} characters")
    if any(ord(character) in range(0xD800, 0xE000) for one in found for character in one):
        raise _bad("signatureToken", "characters of Unicode")
    if len(set(found)) > 1:
        raise _bad("signatureToken", "the same as secret where both are sent")
    return found[0] if found else None


def _initial_ms(value: Any) -> int | None:
    """Nothing was recorded before 1970, and a time between two milliseconds is met by the later one."""
    if value is None:
        return None
    found = parse_time(value) if isinstance(value, str) else None
    if found is None:
        raise _bad("initialRecordTime", "a time with its zone, such as 2026-01-31T12:00:00.000Z")
    return max(0, -(-found[0] // 1000))


def _bad(name: str, expected: str) -> SubscriptionControls:
    return SubscriptionControls(
        f"{name}: expected {expected}, got another value",
        rule="bad-time" if name == "initialRecordTime" else "bad-shape",
        pointer=f"/{name}",
    )
