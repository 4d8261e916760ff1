"""`GET /api/things/{iri}`: the graph's answer, in the form that was asked for, with the tree size it covers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pyoxigraph import RdfFormat, parse

from api.routes.things import JSON_LD, SIZE_HEADER, TURTLE, chosen_form
from fabric.graph import Source, rebuild

from .consortium_pages import Site, demo_site


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    site, lot = demo_site(tmp_path_factory.mktemp("things"))
    yield site, lot
    site.close()


def ask(site: Site, path: str, name: str = "recall", **headers: str) -> Any:
    return site.client(None).get(path, headers={"Authorization": f"Bearer {site.keys[name]}", **headers})


def encoded(iri: str) -> str:
    return "/api/things/" + quote(iri, safe="")


def test_before_the_first_snapshot_one_is_asked_to_come_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.admit("farm")
    answer = ask(site, encoded("https://id.gs1.org/01/09506000134352"), "farm")
    site.close()
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


@pytest.fixture(scope="module")
def size(demo: tuple[Site, str]) -> int:
    """The tree size that the published graph covers."""
    node = demo[0].sim.node
    return rebuild(node.folder / "graph", Source(node.reading)).size


def test_json_ld_is_the_default_and_says_its_size_twice(demo: tuple[Site, str], size: int) -> None:
    site, lot = demo
    answer = ask(site, encoded(lot), accept="*/*")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == JSON_LD
    assert answer.headers[SIZE_HEADER] == str(size)
    body = json.loads(answer.content)
    assert body["@graph"][0]["@id"] == lot
    assert [node["coveredSize"] for node in body["@graph"] if "coveredSize" in node] == [size]


def test_turtle_where_it_is_preferred(demo: tuple[Site, str], size: int) -> None:
    site, lot = demo
    answer = ask(site, encoded(lot), accept="text/turtle, application/ld+json;q=0.5")
    assert answer.headers["content-type"].startswith(TURTLE)
    assert answer.headers[SIZE_HEADER] == str(size)
    triples = list(parse(answer.content, format=RdfFormat.TURTLE))
    assert any(getattr(one.subject, "value", "") == lot for one in triples)
    sizes = [one.object.value for one in triples if one.predicate.value.endswith("coveredSize")]
    assert sizes == [str(size)]


def test_a_raw_address_and_another_spelling_answer_alike(demo: tuple[Site, str], size: int) -> None:
    site, lot = demo
    expected = ask(site, encoded(lot)).content
    assert json.loads(expected)["@graph"][-1]["coveredSize"] == size
    assert ask(site, f"/api/things/{lot}").content == expected
    gtin, code = lot.split("/")[4], lot.split("/")[6]
    assert ask(site, f"/api/things/https://farm.example/a/01/{gtin}/10/{code}?x=1").content == expected


def test_a_hidden_thing_is_answered_like_an_unknown_one(demo: tuple[Site, str], size: int) -> None:
    site, lot = demo
    unknown = lot.rsplit("/", 1)[0] + "/NOBODY-NAMED-IT"
    assert size
    hidden, missing = ask(site, encoded(lot), "retailer"), ask(site, encoded(unknown), "retailer")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.content == missing.content
    assert SIZE_HEADER not in hidden.headers


def test_the_page_tells_how_far_the_graph_has_come(demo: tuple[Site, str], size: int) -> None:
    site, lot = demo
    footer = site.page("/things/" + quote(lot, safe="")).one("footer").text
    assert f"the knowledge graph covers {size}" in footer


def test_nobody_asks_without_a_key(demo: tuple[Site, str]) -> None:
    site, lot = demo
    answer = site.client(None).get(encoded(lot), headers={"accept": "*/*"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON_LD),
        ("application/json", JSON_LD),
        ("application/ld+json;q=0.2, text/turtle;q=0.9", TURTLE),
        ("text/turtle;q=0, */*;q=0.1", JSON_LD),
        ("Text/Turtle ; charset=utf-8", TURTLE),
        ("image/png", JSON_LD),
        ("text/turtle;q=nonsense", TURTLE),
    ],
)
def test_the_form_follows_what_is_preferred(accept: str, form: str) -> None:
    assert chosen_form(accept) == form
