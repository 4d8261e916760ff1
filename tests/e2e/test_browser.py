"""A served node in a real browser: pages load whole, break no rule of theirs, fit a phone and print.

Chromium runs headless, once a page, behind a proxy on loopback that adds the session's cookie to each request:
its command line cannot log in. What the browser complains of goes to its log on standard error.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from api.cli.child import ChildNode
from api.headers import CONTENT_SECURITY_POLICY
from fabric.scenario import demo_scenario
from tests.simulator import EPCIS, START_MS

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
PHONE_W = 390
PLACE = "https://id.gs1.org/414/9525004000012"
SSCC = "https://id.gs1.org/00/095250040000000081"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@dataclass
class Browsed:
    """The address of the proxy, and paths of pages by name."""

    url: str
    paths: dict[str, str]


@pytest.fixture(scope="module")
def browsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsed]:
    folder = tmp_path_factory.mktemp("browser")
    demo = demo_scenario(folder / "scenario", now=START_MS // 1000)
    members = json.loads((folder / "scenario" / "members.json").read_text())["members"]
    with ChildNode(folder / "node") as child, httpx2.Client(base_url=child.url, timeout=60) as http:
        keys = {"operator": child.operator_key}
        for one in [*members, {"id": "recall", "name": "Recall Desk", "parties": []}]:
            body = {"type": "member", "subject": one["id"], "name": one["name"], "parties": one["parties"]}
            keys[one["id"]] = _post(http, "/api/statements", body, keys["operator"])["apiKey"]
        role = {"type": "role", "grantee": "recall", "role": "recall", "for": "all", "until": None}
        _post(http, "/api/statements", role, keys["operator"])
        for one in members:
            for file in sorted((folder / "scenario" / one["folder"]).glob("*.json*")):
                _capture(http, file.read_bytes(), keys[one["id"]])
        cookie = http.post("/login", data={"key": keys["recall"]}).headers["set-cookie"].partition(";")[0]
        with Proxy(child.url, cookie) as url:
            yield Browsed(url, _paths(demo.contaminated))


def _post(http: httpx2.Client, path: str, body: Any, key: str) -> Any:
    answer = http.post(path, json=body, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _capture(http: httpx2.Client, document: bytes, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": EPCIS}
    answer = http.post("/epcis/capture", content=document, headers=headers)
    job = http.get(answer.headers["location"], headers={**headers, "Prefer": "wait=30"}).json()
    assert job["state"] == "sequenced", job


def _paths(lot: str) -> dict[str, str]:
    def thing(iri: str) -> str:
        return "/things/" + quote(iri, safe="")

    def trace(iri: str, direction: str) -> str:
        return f"/trace?thing={quote(iri, safe='')}&direction={direction}"

    return {
        "home": "/",
        "search": "/search?q=0903",
        "lot": thing(lot),
        "place": thing(PLACE),
        "carrier": thing(SSCC),
        "forward": trace(lot, "forward"),
        "backward": trace(lot, "backward"),
        "report": f"/report?thing={quote(lot, safe='')}&direction=forward",
        "docs": "/docs",
        "login": "/login",
    }


class Proxy:
    """Serves a node's pages as somebody who logged in sees them, and three pages of its own for the tests."""

    def __init__(self, target: str, cookie: str) -> None:
        client = httpx2.Client(base_url=target, timeout=60, follow_redirects=True)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                own = _OWN.get(self.path.partition("?")[0])
                if own is not None:
                    self._send(200, {"content-type": "text/html", **own[0]}, own[1])
                    return
                open_to_frames = self.headers.get("sec-fetch-dest") == "iframe"
                answer = client.get(self.path, headers={"cookie": cookie, "accept": "text/html"})
                headers = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
                if open_to_frames:
                    headers.pop("content-security-policy", None)
                self._send(answer.status_code, headers, answer.content)

            def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._client = client
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        self._client.close()


_PASSED = ("content-type", "content-security-policy", "x-content-type-options")
# Lays each page out in a frame as wide as a phone, and writes down how wide it really is.
_HARNESS = """<!doctype html><title>wait</title><body><script>
const paths = JSON.parse(decodeURIComponent(location.search.slice(1))), found = {};
for (const [name, path] of Object.entries(paths)) {
  const frame = document.createElement("iframe");
  frame.width = WIDTH; frame.height = 800; frame.style.border = 0; frame.src = path;
  frame.onload = () => {
    const inner = frame.contentDocument;
    found[name] = [inner.documentElement.scrollWidth, inner.querySelectorAll("h1").length];
    document.body.dataset.found = JSON.stringify(found);
  };
  document.body.append(frame);
}
</script>"""
_OWN: dict[str, tuple[dict[str, str], bytes]] = {
    "/harness": ({}, _HARNESS.replace("WIDTH", str(PHONE_W)).encode()),
    "/broken": (
        {"content-security-policy": CONTENT_SECURITY_POLICY},
        b"<!doctype html><title>x</title><p style='color:red'>x</p><script>document.title = 'ran'</script>",
    ),
    "/too-wide": ({}, b"<!doctype html><h1>x</h1><div style='width:900px'>x</div>"),
}


def browse(url: str, folder: Path, *flags: str) -> tuple[str, list[str]]:
    """What a run of the browser printed, and what it complained of."""
    profile = folder / "profile"
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", *flags, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line or "Refused to" in line]
    return done.stdout, complaints


def test_a_broken_rule_would_be_noticed(browsed: Browsed, tmp_path: Path) -> None:
    dom, complaints = browse(browsed.url + "/broken", tmp_path, "--dump-dom")
    assert "<title>x</title>" in dom, "the page's policy kept the script from running"
    assert len(complaints) >= 2


@pytest.mark.parametrize(
    "name", ["home", "search", "lot", "place", "carrier", "forward", "backward", "report", "docs", "login"]
)
def test_a_page_loads_without_a_complaint_and_is_not_blank(
    browsed: Browsed, tmp_path: Path, name: str
) -> None:
    picture = tmp_path / "page.png"
    _, complaints = browse(
        browsed.url + browsed.paths[name], tmp_path, f"--screenshot={picture}", "--window-size=1280,900"
    )
    assert complaints == []
    assert colours(picture) > 20


def test_no_page_is_wider_than_a_phone(browsed: Browsed, tmp_path: Path) -> None:
    asked = {**browsed.paths, "too wide": "/too-wide"}
    query = quote(json.dumps(asked), safe="")
    dom, _ = browse(
        f"{browsed.url}/harness?{query}",
        tmp_path,
        "--dump-dom",
        "--virtual-time-budget=20000",
        "--window-size=1280,900",
    )
    match = re.search(r'data-found="([^"]*)"', dom)
    assert match, dom[:500]
    found = json.loads(match[1].replace("&quot;", '"'))
    assert found.pop("too wide")[0] > PHONE_W
    assert found == {name: [PHONE_W, 1] for name in browsed.paths}


def test_a_trace_prints_on_a_few_sheets(browsed: Browsed, tmp_path: Path) -> None:
    sheet = tmp_path / "trace.pdf"
    browse(
        browsed.url + browsed.paths["forward"], tmp_path, f"--print-to-pdf={sheet}", "--no-pdf-header-footer"
    )
    data = sheet.read_bytes()
    assert data.startswith(b"%PDF-")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", data)) <= 15


def colours(picture: Path) -> int:
    """How many different bytes the rows of a PNG hold, which is one or two for a blank one."""
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    at, packed = 8, b""
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        packed += data[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    return len(set(zlib.decompress(packed)))
