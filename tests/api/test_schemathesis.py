"""Requests made from our own OpenAPI description, right and wrong: never a 5xx, never a status it does not tell of."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from bench.serving import Served, wait_until_covered

SLICE_CASES = 150
SOAK_CASES = 10_000
MANY_PARAMETERS = 30
TIMEOUT_S = 60.0
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


class Node(Served):
    """A served node with one member, one event and one named query, so that there is something to find."""

    api_key: str

    def __enter__(self) -> Node:
        super().__enter__()
        self.api_key = self.admit({"members": [{"id": "farm", "name": "Farm", "parties": []}]})["farm"]
        with self.client(self.api_key) as http:
            answer = http.post("/epcis/capture", json=document())
            wait_until_covered(http, answer.headers["location"])
            http.post("/epcis/queries", json={"name": "all", "query": {}})
        return self


def document() -> dict[str, Any]:
    """One event."""
    event = {
        "type": "ObjectEvent",
        "eventTime": "2026-05-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": ["https://id.gs1.org/01/09506000134352/21/1"],
    }
    return {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-05-02T00:00:00Z",
        "epcisBody": {"eventList": [event]},
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(
        tmp_path_factory.mktemp("described") / "node", environment={"LOOMARK_PREPARE_PROCESSES": "1"}
    ) as node:
        yield node


class Walk:
    """Cases of all operations of the description, and what was answered."""

    def __init__(self, node: Node, seed: int) -> None:
        self.node = node
        self.seed = seed
        self.schema = schemathesis.openapi.from_url(f"{node.url}/openapi.json")
        self.operations = [found.ok() for found in self.schema.get_all_operations() if isinstance(found, Ok)]
        self.headers = {"Authorization": f"Bearer {node.api_key}"}
        self.faults: dict[str, str] = {}
        self.answers: Counter[int] = Counter()
        load_all_checks()
        self.checks: Any = CHECKS.get_by_names(["not_a_server_error", "status_code_conformance"])

    def leave_out_most_queries(self) -> None:
        """Keep two of the operations that take a whole query, by the seed: they share one reader, and cost the most."""
        queries = [one for one in self.operations if len(list(one.query)) > MANY_PARAMETERS]
        kept = random.Random(self.seed).sample(queries, min(2, len(queries)))
        self.operations = [one for one in self.operations if one not in queries or one in kept]

    def run(self, cases: int, each: int) -> None:
        """At least `cases` requests: `each` for every operation and mode, again with another seed until there are enough."""
        while self.answers.total() < cases:
            for operation in self.operations:
                for mode in MODES:
                    self._try(operation, mode, each)
            self.seed += 1

    def _try(self, operation: Any, mode: schemathesis.GenerationMode, each: int) -> None:
        @hypothesis.seed(self.seed)
        @hypothesis.settings(
            max_examples=each,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case[Any]) -> None:
            self._ask(operation.label, case)

        try:
            ask()
        except hypothesis.errors.Unsatisfiable:
            # Some operations take nothing that could be wrong.
            return

    def _ask(self, label: str, case: schemathesis.Case[Any]) -> None:
        answer = case.call(base_url=self.node.url, headers=self.headers, timeout=TIMEOUT_S)
        self.answers[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=self.checks)
        except (AssertionError, BaseExceptionGroup) as fault:
            asked = case.as_curl_command(headers={})
            self.faults.setdefault(f"{label} -> {answer.status_code}", f"{asked[:3000]}\n{str(fault)[:500]}")


def _holds(walk: Walk, seed: int, cases: int, each: int) -> None:
    node = walk.node
    walk.run(cases, each)
    print(f"seed {seed}: {walk.answers.total()} cases, {dict(walk.answers)}")
    assert walk.faults == {}, json.dumps(walk.faults, indent=1)
    with node.client(node.api_key) as http:
        assert http.get("/readyz").status_code == 200


def test_what_the_description_allows_is_answered_as_it_says(node: Node, seed: int) -> None:
    walk = Walk(node, seed)
    walk.leave_out_most_queries()
    _holds(walk, seed, SLICE_CASES, 2)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_thousand_cases_are_answered_as_the_description_says(node: Node, seed: int) -> None:
    _holds(Walk(node, seed), seed, SOAK_CASES, 60)
