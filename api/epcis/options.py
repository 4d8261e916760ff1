"""`OPTIONS` on every address of the standard: what may be done there, and which versions and formats are spoken.

It tells of the interface, so nobody has to say who they are, and to strangers all names are alike. Whoever does say
it is told whether there is something of the name, as by every other method.
"""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response

from api.auth import COOKIE
from api.routes.asking import Serving, reader, submitter
from api.services import Services
from fabric.query.run import Events
from fabric.store.credentials import Principal
from ledger.errors import NotFound

from .addresses import event_id_in, value_in
from .discovery import KINDS, condition_of
from .interface import ADDRESSES, LONG, Address
from .negotiation import check_versions, formats_asked, told
from .subscriptions import subscription_json
from .working import answered

router = APIRouter(prefix="/epcis", tags=["epcis discovery"])


def _route(address: Address) -> None:
    async def options(request: Request, serving: Serving) -> Response:
        headers = told(request)
        check_versions(headers)
        formats_asked(headers)
        more = {}
        if "{" in address.path and ("authorization" in headers or COOKIE in request.cookies):
            calling = serving.authenticator.caller(request)
            more = await answered(
                request, serving, lambda events: _known(request, serving, events, calling, address)
            )
        return Response(status_code=204, headers=address.headers(serving.settings) | more)

    path = re.sub(r"\{(\w+)\}", lambda found: _converted(found[1]), address.path)
    for one in (path, *([""] if path == "/" else [])):
        router.add_api_route(
            one,
            options,
            methods=["OPTIONS"],
            status_code=204,
            summary=f"What {address.path} can do",
            description="The methods it has in `Allow`, and the versions and formats of the interface.",
            response_class=Response,
            name=f"options {address.path}",
            include_in_schema=one == path,
        )


def _known(
    request: Request, serving: Services, events: Events, calling: Principal, address: Address
) -> dict[str, str]:
    """What else is told of the address to a caller for whom its names are known. Raises NotFound."""
    names = request.path_params
    first = address.path.split("/")[1]
    if first == "events":
        if not events.by_event_id(
            reader(calling, serving), event_id_in(request, "/epcis/events/"), per_page=1
        ).events:
            raise NotFound("there is no event of this ID", rule="unknown-event")
    elif first == "capture":
        serving.node.capture.job(names["captureID"], submitter(calling))
    elif first in KINDS:
        value, _ = value_in(request, f"/epcis/{first}/")
        condition_of(events, reader(calling, serving), KINDS[first], value)
    elif "subscriptionID" in names:
        found = serving.subscribing.service.subscription(
            submitter(calling), names["queryName"], names["subscriptionID"]
        )
        return {"GS1-Query-Min-Record-Time": subscription_json(found)["minRecordTime"]}
    elif first == "queries":
        serving.subscribing.service.query(submitter(calling), names["queryName"])
    return {}


def _converted(name: str) -> str:
    return f"{{{name}:path}}" if name in LONG else f"{{{name}}}"


for _one in sorted(ADDRESSES, key=lambda one: -one.path.count("/")):
    _route(_one)
