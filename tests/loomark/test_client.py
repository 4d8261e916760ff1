"""The Python client against a served node: each conversation by both clients, with what a node can do to them."""

from __future__ import annotations

import asyncio
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.serving import Served
from ledger.ed25519 import SigningKey, possession_line
from ledger.keyfile import write_key_file
from ledger.receipt import VerifiedReceipt
from loomark import (
    AsyncClient,
    Client,
    FileMemory,
    InvalidInput,
    Job,
    NotFound,
    Signing,
    Unavailable,
    VerificationError,
    verification,
    verify,
)

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
SERIAL = "https://id.gs1.org/01/09506000134352/21/"

Run = Callable[..., Any]
"""Holds a method of a client, by name and arguments, against a node: `run(member, name, *arguments)`."""


@dataclass
class Site:
    """A node with a member in custody and one with a key of its own."""

    node: Served
    folder: Path
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def signing(self) -> Signing:
        return Signing.of_key_file(self.folder / "mill.key")

    def policy(self) -> str:
        with Client(self.node.url) as client:
            return f"log {client.get('/log/vkey').text.strip()}\nquorum none\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("client")
    with Served(folder / "node") as node:
        site = Site(node, folder)
        key = SigningKey.generate()
        write_key_file(folder / "mill.key", key)
        for name, more in (("farm", {}), ("mill", {"publicKey": possession_line(key)})):
            admitted = node.state({"type": "member", "subject": name, "name": name, "parties": [], **more})
            site.keys[name] = admitted["apiKey"]
        yield site


@pytest.fixture(params=["sync", "async"])
def run(site: Site, request: pytest.FixtureRequest) -> Run:
    def sync(member: str, name: str, *arguments: Any, **more: Any) -> Any:
        with Client(site.node.url, site.keys.get(member)) as client:
            found = getattr(client, name)(*arguments, **more)
            return list(found) if isinstance(found, Iterator) else found

    async def asked(member: str, name: str, *arguments: Any, **more: Any) -> Any:
        async with AsyncClient(site.node.url, site.keys.get(member)) as client:
            found = getattr(client, name)(*arguments, **more)
            return [one async for one in found] if hasattr(found, "__aiter__") else await found

    if request.param == "sync":
        return sync
    return lambda *arguments, **more: asyncio.run(asked(*arguments, **more))


def event(serial: str, **more: Any) -> dict[str, Any]:
    return {
        "@context": [CONTEXT],
        "type": "ObjectEvent",
        "action": "OBSERVE",
        "eventTime": "2026-05-01T10:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "epcList": [SERIAL + serial],
        **more,
    }


def document(*events: dict[str, Any]) -> dict[str, Any]:
    bare = [{name: value for name, value in one.items() if name != "@context"} for one in events]
    head = {"@context": [CONTEXT], "type": "EPCISDocument", "schemaVersion": "2.0"}
    return {**head, "creationDate": "2026-05-01T10:00:00Z", "epcisBody": {"eventList": bare}}


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> str:
    """A part of names that no other test uses."""
    return f"c{zlib.crc32(request.node.name.encode())}"


def test_a_capture_in_custody_is_waited_for_and_its_receipt_verified_here(
    site: Site, run: Run, fresh: str
) -> None:
    job = run("farm", "capture", document(event(f"{fresh}a"), event(f"{fresh}b")))
    settled = run("farm", "wait", job)
    assert isinstance(settled, Job)
    assert (settled.state, settled.is_settled, settled.is_in_the_log) == ("sequenced", True, True)
    assert [one.position for one in settled.records] == [0, 1, 2]
    held = verify(run("farm", "receipt", settled), site.policy())
    assert isinstance(held, VerifiedReceipt)
    assert held.count == 3
    again = run("farm", "wait", run("farm", "capture", document(event(f"{fresh}a"), event(f"{fresh}b"))))
    assert again.id == settled.id
    assert run("farm", "job", settled.id) == settled


def test_a_capture_under_an_own_key_is_committed_and_signed_here(site: Site, run: Run, fresh: str) -> None:
    job = run("mill", "wait", run("mill", "capture", event(fresh), signing=site.signing))
    assert job.answer["custody"] == "member"
    memory = FileMemory(site.folder / "mill.key.log").load()
    assert memory is not None
    assert memory.size <= job.index + 1
    assert run("mill", "see", FileMemory(site.folder / "mill.key.log")).size > job.index


def test_a_log_that_shrank_since_it_was_seen_is_not_signed_for(
    site: Site, run: Run, fresh: str, tmp_path: Path
) -> None:
    pinned = run("mill", "see", FileMemory(tmp_path / "seen"))
    ahead = json.loads((tmp_path / "seen").read_text()) | {"size": pinned.size + 1_000}
    (tmp_path / "seen").write_text(json.dumps(ahead))
    before = run("farm", "get", "/log/checkpoint").content
    with pytest.raises(VerificationError, match="as seen before"):
        run(
            "mill",
            "capture",
            event(fresh),
            signing=Signing(site.signing.signer, FileMemory(tmp_path / "seen")),
        )
    assert json.loads((tmp_path / "seen").read_text()) == ahead
    assert run("farm", "get", "/log/checkpoint").content == before


def test_every_event_of_a_walk_comes_once_whatever_the_page_size(site: Site, run: Run, fresh: str) -> None:
    place = f"https://id.gs1.org/414/9506000134376/254/{fresh}"
    events = [
        event(f"{fresh}{n}", bizLocation={"id": place}, eventID=f"urn:uuid:{fresh}-{n}") for n in range(7)
    ]
    run("farm", "wait", run("farm", "capture", document(*events)))
    for size in (2, 3, 30):
        found = run("farm", "events", EQ_bizLocation=[place], perPage=size)
        assert sorted(one["eventID"] for one in found) == sorted(one["eventID"] for one in events)
    page = run("farm", "page", EQ_bizLocation=[place], perPage=3)
    assert page.next.startswith("/epcis/events?")
    following = run("farm", "page", page)
    assert len(page.events) == len(following.events) == 3
    assert {one["eventID"] for one in page.events}.isdisjoint(one["eventID"] for one in following.events)
    assert run("farm", "events", EQ_bizLocation=[place], EQ_eventID=["urn:uuid:none", "urn:uuid:other"]) == []
    assert [one["eventID"] for one in run("farm", "event", events[0]["eventID"]).events] == [
        events[0]["eventID"]
    ]
    assert run("mill", "events", EQ_bizLocation=[place]) == []


def test_a_thing_is_traced_and_a_part_of_a_record_proved(site: Site, run: Run, fresh: str) -> None:
    job = run("farm", "wait", run("farm", "capture", event(fresh, action="ADD", bizStep="commissioning")))
    answer = run("farm", "trace", SERIAL + fresh)
    assert SERIAL + fresh in json.dumps(answer)
    record = job.records[-1].record
    (held,) = verify(run("farm", "proof", record, ["/bizStep"]), site.policy())  # type: ignore[misc]
    assert "commissioning" in json.dumps(held.opened.record)
    assert "eventTime" not in held.opened.record
    changed = run("farm", "proof", record).replace(b"commissioning", b"decommissionin")
    with pytest.raises(VerificationError):
        verify(changed, site.policy())


def test_a_refusal_is_an_error_with_its_findings(run: Run, fresh: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        run("farm", "capture", event(fresh, action="PUT"))
    assert [(one.pointer, one.rule) for one in refused.value.findings] == [
        ("/action", refused.value.findings[0].rule)
    ]
    with pytest.raises(NotFound):
        run("farm", "trace", SERIAL + "nobody")
    with pytest.raises(InvalidInput) as unknown:
        run("stranger", "trace", SERIAL + fresh)
    assert unknown.value.rule == "unauthenticated"


def test_evidence_beyond_every_limit_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MAX_RECEIPT_BYTES", 10)
    with pytest.raises(VerificationError, match="at most 10 bytes") as caught:
        verify(b"[" * 11, site.policy())
    assert caught.value.step == 1


def test_a_key_with_signs_that_no_key_has_is_not_sent() -> None:
    with pytest.raises(InvalidInput, match="as it was printed"):
        Client("http://127.0.0.1:9", "ab\ncd")


def test_a_node_that_is_not_there_or_is_none_is_unavailable() -> None:
    with (
        Client("http://127.0.0.1:9", timeout_s=30) as client,
        pytest.raises(Unavailable, match="no answer from"),
    ):
        client.job("00")

    class Strange(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Strange) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Client(f"http://127.0.0.1:{server.server_port}") as client:
            with pytest.raises(Unavailable, match="is this a Loomark node"):
                client.job("00")
            with pytest.raises(Unavailable, match="is this a Loomark node"):
                client.page()
        server.shutdown()
