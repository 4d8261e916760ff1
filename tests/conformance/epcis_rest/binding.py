"""The operations of the REST binding: 29 paths, 63 operations, as its OpenAPI lists them."""

from __future__ import annotations

READ = ("OPTIONS", "GET")
COLLECTIONS = ("eventTypes", "epcs", "bizSteps", "bizLocations", "readPoints", "dispositions")
SINGULAR = {
    "eventTypes": "eventType",
    "epcs": "epc",
    "bizSteps": "bizStep",
    "bizLocations": "bizLocation",
    "readPoints": "readPoint",
    "dispositions": "disposition",
}

PATHS: dict[str, tuple[str, ...]] = {
    "/": READ,
    "/capture": ("OPTIONS", "POST", "GET"),
    "/capture/{captureID}": READ,
    "/events": ("OPTIONS", "GET", "POST"),
    "/events/{eventID}": READ,
    **{
        path: READ
        for plural, single in SINGULAR.items()
        for path in (f"/{plural}", f"/{plural}/{{{single}}}", f"/{plural}/{{{single}}}/events")
    },
    "/queries": ("OPTIONS", "GET", "POST"),
    "/queries/{queryName}": ("OPTIONS", "GET", "DELETE"),
    "/queries/{queryName}/subscriptions": ("OPTIONS", "GET", "POST"),
    "/queries/{queryName}/subscriptions/{subscriptionID}": ("OPTIONS", "GET", "DELETE"),
    "/queries/{queryName}/events": READ,
    "/nextPageToken/{token}": ("DELETE",),
}

OPERATIONS: tuple[str, ...] = tuple(
    f"{method} {path}" for path, methods in PATHS.items() for method in methods
)
