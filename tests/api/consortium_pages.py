"""The demonstration's consortium behind its application, and pages as a browser's parser sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from fabric.scenario import demo_scenario
from fabric.visibility.reader import Reader
from tests.simulator import START_MS, Simulator

VOID = frozenset({"meta", "link", "input", "br", "img", "hr", "source", "wbr"})


class Site:
    """A node with its pages; `browse` asks as somebody who logged in, None as nobody."""

    def __init__(self, folder: Path) -> None:
        self.sim = Simulator(folder / "node")
        self.keys: dict[str, str] = {}
        self.app = create_app(self.sim.node, Settings(folder / "node"), bytes(32))
        self._clients: dict[str | None, TestClient] = {}

    def admit(self, name: str, parties: Sequence[str] = (), title: str | None = None) -> None:
        """Admit a member; the node captures for it."""
        body = {"type": "member", "subject": name, "name": title or name.title(), "parties": list(parties)}
        posted, outcome = self.sim.state(body)
        assert outcome.state == "sequenced", outcome
        assert posted.api_key is not None
        self.keys[name] = posted.api_key

    def grant(self, name: str, role: str) -> None:
        """Let a member read everything."""
        body = {"type": "role", "grantee": name, "role": role, "for": "all", "until": None}
        assert self.sim.state(body)[1].state == "sequenced"

    def reader(self, name: str) -> Reader:
        """In whose sight a member reads."""
        return self.sim.node.reader(name)

    def client(self, name: str | None) -> TestClient:
        """A browser of its own for each person, logged in by the form."""
        if name not in self._clients:
            client = TestClient(self.app, base_url="http://127.0.0.1", follow_redirects=False)
            # As browsers send it: what is no page comes as it is.
            client.headers["accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
            if name is not None:
                assert client.post("/login", data={"key": self.keys[name]}).status_code == 303
            self._clients[name] = client
        return self._clients[name]

    def get(self, path: str, name: str | None = "recall") -> Any:
        """GET a page."""
        return self.client(name).get(path)

    def page(self, path: str, name: str | None = "recall", status: int = 200) -> Page:
        """A page, parsed."""
        answer = self.get(path, name)
        assert answer.status_code == status, (answer.status_code, answer.text[:300])
        assert answer.headers["content-type"].startswith("text/html")
        return parse(answer.text)

    def close(self) -> None:
        """Stop the node."""
        self.sim.node.close()


def demo_site(folder: Path) -> tuple[Site, str]:
    """The demonstration's five members with what they captured, a recall team that reads all; the bad lot."""
    demo = demo_scenario(folder / "scenario", now=START_MS // 1000)
    site = Site(folder)
    members = json.loads((folder / "scenario" / "members.json").read_text())["members"]
    for member in members:
        site.admit(member["id"], member["parties"], member["name"])
    site.admit("recall", title="Recall Desk")
    site.grant("recall", "recall")
    for member in members:
        for file in sorted((folder / "scenario" / member["folder"]).glob("*.json*")):
            site.sim.post(member["id"], file.read_bytes())
    return site, demo.contaminated


def thing_path(iri: str) -> str:
    """The address of a thing's page."""
    return "/things/" + quote(iri, safe="")


def trace_path(iri: str, direction: str = "forward") -> str:
    """The address of a trace."""
    return f"/trace?thing={quote(iri, safe='')}&direction={direction}"


@dataclass
class Element:
    """One element of a page."""

    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        """This element and all inside it."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    @property
    def text(self) -> str:
        """What stands inside, with single spaces."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join(" ".join(parts).split())


class Page:
    """A parsed page."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self.text = root.text

    def all(self, *tags: str) -> list[Element]:
        """Every element with one of these tags, in order."""
        return [element for element in self.root.walk() if element.tag in tags]

    def one(self, tag: str) -> Element:
        """The only element with a tag."""
        (found,) = self.all(tag)
        return found

    def section(self, identifier: str) -> Element:
        """What follows the heading with this id: its table."""
        elements = list(self.root.walk())
        start = next(i for i, one in enumerate(elements) if one.attributes.get("id") == identifier)
        return next(one for one in elements[start + 1 :] if one.tag in ("table", "h2"))

    def of_class(self, name: str) -> Element:
        """The first element of a class."""
        return next(one for one in self.root.walk() if name in one.attributes.get("class", "").split())

    def links(self) -> list[str]:
        """Where the page leads."""
        return [one.attributes["href"] for one in self.all("a") if "href" in one.attributes]


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Page:
    """A page; every element that opens has to close, in order."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder._open == [builder.root], "an element was left open"
    return Page(builder.root)
