"""A node behind its HTTP application in this process, and what every refusal must look like.

with door.unchanged():
    door.refused(door.post(body), 400, "not-json")
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from fabric.capture.pool import InlinePreparer
from fabric.capture.prepare import Limits
from tests.simulator import EPCIS, Simulator

CAPTURE_LIMIT_BYTES = 256 * 1024
CAPTURE_LIMIT_EVENTS = 50
_OFFERED = 100
EXCEPTIONS = {
    400: "ValidationException",
    401: "SecurityException",
    403: "SecurityException",
    404: "NoSuchResourceException",
    406: "NotAcceptableException",
    409: "ResourceAlreadyExistsException",
    410: "NoSuchResourceException",
    413: "CaptureLimitExceededException",
    414: "URITooLongException",
    415: "UnsupportedMediaTypeException",
    422: "ValidationException",
}
OTHERWISE = "ImplementationException"
"""What the standard calls a refusal of each status; everything else is an ImplementationException."""


class Door:
    """One consortium and an HTTP client; requests carry the API key of `member`, None sends none."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        limits = Limits(body_bytes=CAPTURE_LIMIT_BYTES, events=CAPTURE_LIMIT_EVENTS)
        self.sim = Simulator(folder, InlinePreparer(limits))
        self.keys = {"operator": self._operator_key()}
        self.settings = Settings(
            folder,
            capture_limit_bytes=CAPTURE_LIMIT_BYTES,
            capture_limit_events=CAPTURE_LIMIT_EVENTS,
            **settings,
        )
        self.app = create_app(self.sim.node, self.settings, bytes(32))
        self.http = TestClient(
            self.app, base_url="http://127.0.0.1", raise_server_exceptions=False, follow_redirects=False
        )

    def __enter__(self) -> Door:
        self.http.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.__exit__(None, None, None)
        self.sim.node.close()

    def admit(self, name: str, *, own_key: bool = False, parties: Sequence[str] = ()) -> None:
        """Admit a member and remember its API key."""
        api_key = self.sim.admit(name, own_key=own_key, parties=parties).api_key
        assert api_key is not None
        self.keys[name] = api_key

    def headers(self, member: str | None, **more: str) -> dict[str, str]:
        """The headers of a request by a member."""
        sent = {name.replace("_", "-"): value for name, value in more.items()}
        return sent if member is None else {"Authorization": f"Bearer {self.keys[member]}", **sent}

    def get(self, path: str, member: str | None = "farm", **more: str) -> Any:
        """GET a path."""
        return self.http.get(path, headers=self.headers(member, **more))

    def post(
        self, body: Any, member: str | None = "farm", kind: str = EPCIS, path: str = "/epcis/capture"
    ) -> Any:
        """POST a body; anything but bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, content=data, headers=self.headers(member, content_type=kind))

    def state(self, body: Any, member: str | None = "operator") -> Any:
        """POST a statement."""
        return self.post(body, member, "application/json", "/api/statements")

    def captured(self, body: bytes, member: str = "farm", kind: str = EPCIS) -> dict[str, Any]:
        """Capture a body that is accepted; its settled job."""
        answer = self.post(body, member, kind)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = self.get(answer.headers["location"], member, prefer="wait=20").json()
        assert job["state"] == "sequenced", job
        return job

    def fingerprint(self) -> dict[str, Any]:
        """How much of everything is stored, projections included, and what the log has published."""
        return self.sim.counts() | {"checkpoint": self.sim.node.log.published().note}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Whatever happens in the block stores nothing, and leaves the node able to take and answer."""
        before = self.fingerprint()
        yield
        assert self.fingerprint() == before
        assert self.http.get("/healthz").json() == {"status": "ok"}
        ready = self.http.get("/readyz")
        assert (ready.status_code, ready.json()["writable"], ready.json()["queued"]) == (200, True, 0)

    def refused(self, answer: Any, status: int, rule: str, exception: str | None = None) -> dict[str, Any]:
        """The problem document of an answer that refuses with this status and rule.

        Below `/epcis` its type is this exception of the standard, or the one that nearly always goes with the status.
        """
        assert answer.status_code == status, (answer.status_code, answer.text[:500])
        assert answer.headers["content-type"] == "application/problem+json"
        body: dict[str, Any] = answer.json()
        assert body["rule"] == rule, body
        if answer.request.url.path.startswith("/epcis"):
            assert body["type"] == f"epcisException:{exception or EXCEPTIONS.get(status, OTHERWISE)}", body
        else:
            assert body["type"] == f"urn:loomark:problem:{rule}", body
        assert body["status"] == status
        assert body["title"]
        assert body["detail"]
        findings = body.get("findings", [])
        assert len(findings) <= _OFFERED
        assert body.get("findingCount", 0) >= len(findings)
        for finding in findings:
            _check_finding(finding)
        return body

    def finding(self, answer: Any, rule: str, status: int = 400) -> dict[str, Any]:
        """The first finding of a refusal by this rule; there is one wherever content is refused."""
        findings = self.refused(answer, status, rule)["findings"]
        assert findings[0]["rule"] == rule
        found: dict[str, Any] = findings[0]
        return found

    def _operator_key(self) -> str:
        key = self.sim.node.new_operator_key
        assert key is not None
        return key


def _check_finding(finding: Mapping[str, Any]) -> None:
    assert finding.keys() - {"line"} == {"record", "pointer", "rule", "expected", "got"}
    assert finding.get("line", 1) >= 1
    assert finding["record"] is None or finding["record"] >= 0
    assert finding["pointer"] == "" or finding["pointer"].startswith("/")
    assert finding["rule"]
    assert finding["expected"]
