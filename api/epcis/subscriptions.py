"""`/epcis/queries/{name}/subscriptions`: webhooks on named queries, and how their deliveries fare."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from api.routes.asking import Serving, Submitting
from fabric.subscription.progress import Progress
from fabric.subscription.subscriptions import Subscription

from .negotiation import answer, base_headers
from .paging import Paging
from .queries import NegotiatingJson, QueryName, cut, query_path, read_json, refuse_parameters

router = APIRouter(prefix="/epcis/queries/{queryName}/subscriptions", tags=["epcis subscriptions"])

SubscriptionID = Annotated[str, Path(alias="subscriptionID", description="As the subscription was answered.")]


@router.post("", status_code=201, summary="Subscribe to a named query", response_class=Response)
async def create(
    request: Request, name: QueryName, serving: Serving, member: Submitting, asked: NegotiatingJson
) -> Response:
    """Takes `{dest, stream: true}` or `{dest, schedule}`, with `signatureToken`, `reportIfEmpty`, `initialRecordTime`.

    From then on `dest` gets EPCISQueryDocuments of the events that match and that the caller may see when they are
    sent, with identifiers as `GS1-EPC-Format` says. What is promised: docs/spec/subscriptions.md.
    """
    body = await read_json(request, serving)
    service = serving.subscribing.service
    found = await asyncio.to_thread(service.subscribe, member, name, body, asked.epc_format.value)
    return answer(asked, _json(subscription_json(found)), 201, {"Location": subscription_path(found)})


@router.get("", summary="Subscriptions to a named query", response_class=Response)
def all_subscriptions(
    name: QueryName, serving: Serving, member: Submitting, asked: NegotiatingJson, page: Paging
) -> Response:
    """The caller's webhooks on the query; `Link` leads to the next page."""
    refuse_parameters(page)
    service = serving.subscribing.service
    found = service.subscriptions(member, name, page.state, page.per_page + 1)
    shown, following = cut(found, page, lambda one: one.id)
    return answer(asked, _json([subscription_json(one) for one in shown]), headers=following)


@router.get("/{subscriptionID}", summary="One subscription", response_class=Response)
def one_subscription(
    name: QueryName, identity: SubscriptionID, serving: Serving, member: Submitting, asked: NegotiatingJson
) -> Response:
    """What was asked for, and beside it `delivery`: how far it has come, what failed, when it is tried again.

    The token that deliveries are signed with is in no answer.
    """
    found = serving.subscribing.service.subscription(member, name, identity)
    return answer(asked, _json(subscription_json(found)))


@router.delete("/{subscriptionID}", status_code=204, summary="Unsubscribe", response_class=Response)
def drop(name: QueryName, identity: SubscriptionID, serving: Serving, member: Submitting) -> Response:
    """Nothing more is sent but what is on its way."""
    serving.subscribing.service.unsubscribe(member, name, identity)
    return Response(status_code=204, headers=base_headers())


@router.post("/{subscriptionID}/resume", summary="Resume a subscription", response_class=Response)
def resume(
    name: QueryName,
    identity: SubscriptionID,
    serving: Serving,
    member: Submitting,
    asked: NegotiatingJson,
    skip: Annotated[
        bool, Query(description="Leave out the delivery with which the subscription was given up.")
    ] = False,
) -> Response:
    """Tries again at once what failed, or was given up after too many attempts; nothing was lost meanwhile.

    409 (rule `nothing-to-skip`) where there is no delivery to leave out.
    """
    found = serving.subscribing.service.resume(member, name, identity, skip=skip)
    return answer(asked, _json(subscription_json(found)))


def subscription_path(one: Subscription) -> str:
    """The address of a subscription."""
    return f"{query_path(one.query.name)}/subscriptions/{one.id}"


def subscription_json(one: Subscription) -> dict[str, Any]:
    """A subscription as it is told: the members of the standard, and `delivery`, ours."""
    notified = one.progress.notified_ms
    return {
        "subscriptionID": one.id,
        "queryName": one.query.name,
        "dest": one.dest,
        "createdAt": _time(one.created_ms),
        **({} if notified is None else {"lastNotifiedAt": _time(notified)}),
        "initialRecordTime": _time(one.initial_ms),
        "minRecordTime": _time(max(one.initial_ms, notified or 0)),
        "epcFormat": one.epc_format,
        "reportIfEmpty": one.report_if_empty,
        **({"stream": True} if one.schedule is None else {"schedule": one.schedule}),
        "delivery": delivery_json(one.progress),
    }


def delivery_json(progress: Progress) -> dict[str, Any]:
    """How deliveries fare: `state` is active, failing (tried again at `nextAttemptAt`) or dead (until it is resumed)."""
    state = "dead" if progress.is_dead else "failing" if progress.failures else "active"
    sending = progress.sending
    return {
        "state": state,
        "delivered": progress.delivered,
        "failures": progress.failures,
        "reason": progress.reason,
        "failedAt": None if progress.failed_ms is None else _time(progress.failed_ms),
        "nextAttemptAt": None if progress.due_ms is None else _time(progress.due_ms),
        "delivery": None if sending is None else sending.delivery,
        "events": 0 if sending is None else len(sending.keys),
        "largestDelivery": progress.batch,
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
