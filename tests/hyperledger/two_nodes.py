"""Two organisations' nodes as processes, on one channel of the double or of a real network."""

from __future__ import annotations

import importlib
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
from typer.testing import CliRunner, Result

from bench.serving import Served, process_tree
from ledger.checkpoint import checkpoint_of
from ledger.ed25519 import SigningKey
from ledger.hyperledger.anchor.status import read_status
from ledger.keyfile import write_key_file
from ledger.note import parse_note

from .anchoring import until

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
OPERATOR_KEY = "operator-key-of-the-two-nodes-tests-0123456789"

ProfileWriter = Callable[[int, str, bool], Path]
"""Writes the profile of an organisation by its number, with more lines at its end, for its client or its admin."""


def event(number: int) -> bytes:
    return json.dumps(
        {
            "@context": [CONTEXT],
            "type": "ObjectEvent",
            "eventTime": "2026-05-01T10:00:00.000Z",
            "eventTimeZoneOffset": "+00:00",
            "action": "OBSERVE",
            "epcList": [f"https://id.gs1.org/01/09506000134352/21/N{number}"],
        }
    ).encode()


def loomark(*arguments: str, **environment: str) -> Result:
    """Run a command in this process, as the command line would: a process for each would cost seconds."""
    command = importlib.import_module(f"api.cli.{arguments[0]}").app
    return CliRunner().invoke(command, arguments[1:], env=environment)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def folder_served(folder: Path, port: int) -> Iterator[None]:
    """A folder over HTTP, in the place of a node."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class OrganisationsNode:
    """The node of organisation `number`: founded once, registered, then served with its profile."""

    number: int
    folder: Path
    write_profile: ProfileWriter
    origin: str
    port: int = field(default_factory=free_port)
    member_key: str = ""
    served: Served | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def msp(self) -> str:
        return f"Org{self.number}MSP"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def found(self) -> None:
        """Start once without a profile, so that the log has its key and a member; then register."""
        (self.folder / "keys").mkdir(parents=True, mode=0o700)
        # The same for each run on one network, so that a later run's registration replaces no key.
        key = SigningKey(sha256(f"cosigner {self.msp}".encode()).digest())
        write_key_file(self.folder / "keys" / "cosigner.key", key)
        with self._serve() as node:
            self.member_key = node.admit({"members": [{"id": "farm", "name": "Farm", "parties": []}]})["farm"]
        admin = self.write_profile(self.number, "", True)
        ran = loomark("hyperledger", "register", "--data", str(self.folder), "--profile", str(admin))
        assert ran.exit_code == 0, ran.output

    def start(self, more: str = "") -> None:
        """Serve with the profile; `more` stands at its end."""
        profile = self.write_profile(self.number, more, False)
        self.served = self._running.enter_context(self._serve("--hyperledger", str(profile)))

    def stop(self) -> None:
        self._running.close()
        self.served = None

    def kill(self) -> None:
        """Kill the node with -9, and wait until its children have seen it."""
        assert self.served is not None
        tree = process_tree(self.served.process.pid)
        self.served.process.kill()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in tree[1:]), "the children to end")
        self.stop()

    def _serve(self, *flags: str) -> Served:
        told = {"LOOMARK_OPERATOR_KEY": OPERATOR_KEY, "LOOMARK_PREPARE_PROCESSES": "1"}
        return Served(self.folder, "--origin", self.origin, *flags, port=self.port, environment=told)

    def capture(self, number: int) -> str:
        """Capture one event, published when this returns; its record's name."""
        assert self.served is not None
        with self.served.client(self.member_key) as http:
            answer = http.post(
                "/epcis/capture", content=event(number), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 202, answer.text
            job: dict[str, Any] = {}

            def settled() -> bool:
                job.update(http.get(answer.headers["location"], headers={"Prefer": "wait=10"}).json())
                return bool(job["state"] == "sequenced")

            until(settled, "the capture to be sequenced")
        return str(job["records"][-1]["record"])

    def size(self) -> int:
        return checkpoint_of(parse_note(httpx2.get(f"{self.url}/log/checkpoint").content)).size

    def anchored_size(self) -> int:
        answer = httpx2.get(f"{self.url}/log/anchored")
        return 0 if answer.status_code == 404 else checkpoint_of(parse_note(answer.content)).size

    def ready(self) -> dict[str, Any]:
        answer = httpx2.get(f"{self.url}/readyz")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def status(self) -> dict[str, Any]:
        return read_status(self.folder / "hyperledger") or {}

    def prove(self, record: str, output: Path) -> str:
        ran = loomark("prove", record, "-o", str(output), "--url", self.url, LOOMARK_API_KEY=self.member_key)
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    def policy(self, output: Path) -> str:
        ran = loomark("policy", "-o", str(output), "--url", self.url)
        assert ran.exit_code == 0, ran.output
        return output.read_text()

    def wait_anchored(self, size: int) -> None:
        until(
            lambda: self.anchored_size() >= size, f"{self.msp} to be anchored at {size}; {self.status()}", 120
        )
