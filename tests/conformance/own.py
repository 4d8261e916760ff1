"""Our own node, started for the conformance suite, with two members that share nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from bench.serving import Served

# Small limits, so that the suite reaches them; a webhook on loopback, because the suite runs its own.
ENVIRONMENT = {
    "LOOMARK_CAPTURE_LIMIT_EVENTS": "200",
    "LOOMARK_CAPTURE_LIMIT_BYTES": "1000000",
    "LOOMARK_PREPARE_PROCESSES": "1",
    "LOOMARK_SUBSCRIPTION_DESTINATIONS": "127.0.0.1",
    "LOOMARK_SUBSCRIPTION_RETRY_S": "0.2",
}


@contextmanager
def own_node(folder: Path) -> Iterator[dict[str, str]]:
    """A served node: the base URL, the keys of two members, and its name for reports."""
    with Served(folder, environment=ENVIRONMENT) as node:
        members: list[dict[str, object]] = [
            {"id": name, "name": name.title(), "parties": []} for name in ("first", "second")
        ]
        keys = node.admit({"members": members})
        yield {
            "url": f"{node.url}/epcis",
            "key": keys["first"],
            "second_key": keys["second"],
            "name": f"Loomark {metadata.version('loomark')}, a node of its own with two members",
        }


def told_by_environment(told: dict[str, str]) -> dict[str, str]:
    """The environment that tells the suite of a server."""
    return {**os.environ, **{f"EPCIS_{name.upper()}": value for name, value in told.items()}}
