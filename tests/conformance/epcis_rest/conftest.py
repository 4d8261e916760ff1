"""Options of the suite, the server it talks to, and the report at the end."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .clauses import MARKER, clauses_of
from .report import Line, Report
from .server import Server, Target
from .world import World

_REPORT = pytest.StashKey[Report]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("epcis", "conformance of an EPCIS 2.0 server")
    group.addoption("--epcis-url", help="base URL, below which /events lies (or EPCIS_URL)")
    group.addoption("--epcis-key", help="bearer key of a client that captures and queries (or EPCIS_KEY)")
    group.addoption("--epcis-second-key", help="bearer key of another client (or EPCIS_SECOND_KEY)")
    group.addoption("--epcis-name", help="what is tested, for the report (or EPCIS_NAME)")
    group.addoption("--epcis-report", help="file to write the report to, as Markdown (or EPCIS_REPORT)")


def _told(config: pytest.Config, name: str) -> str | None:
    # Options are unknown where this file was found too late for the command line.
    told = config.getoption(f"epcis_{name}", None) or os.environ.get(f"EPCIS_{name.upper()}")
    return str(told) if told else None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(where, level, text): the rule of the standard that a test checks"
    )
    config.stash[_REPORT] = Report()


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """Where the server is; whoever embeds the suite may start one, as fixture `own_epcis_server`."""
    url = _told(request.config, "url")
    if url:
        told = (_told(request.config, name) for name in ("key", "second_key", "name"))
        key, second_key, name = told
        return Target(url, key, second_key, name or url)
    try:
        own = request.getfixturevalue("own_epcis_server")
    except pytest.FixtureLookupError:
        pytest.skip("no server was named: set EPCIS_URL or --epcis-url")
    return Target(**own)


@pytest.fixture(scope="session")
def server(target: Target) -> Iterator[Server]:
    """The server under test, spoken to with the first key."""
    client = Server(target.url, target.key)
    yield client
    client.close()


@pytest.fixture(scope="session")
def second(target: Target) -> Iterator[Server]:
    """The server under test, spoken to with the second key."""
    if target.second_key is None:
        pytest.skip("no second key was given (EPCIS_SECOND_KEY)")
    client = Server(target.url, target.second_key)
    yield client
    client.close()


@pytest.fixture(scope="session")
def world(server: Server) -> World:
    """Events of every kind, captured once."""
    made = World()
    for document in made.documents():
        server.capture(document)
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember how a test of this suite ended; set-up counts where the test did not run."""
    outcome = yield
    found = clauses_of(item.iter_markers(MARKER))
    if found and (outcome.when == "call" or outcome.outcome != "passed"):
        reason = outcome.longrepr[2] if isinstance(outcome.longrepr, tuple) else ""
        line = Line(item.name, outcome.outcome, str(reason).removeprefix("Skipped: "))
        for clause in found:
            item.config.stash[_REPORT].add(clause, line)
    return outcome


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash[_REPORT]
    name = _told(config, "name") or _told(config, "url") or ""
    if not report.lines or not (name or _told(config, "report")):
        return
    for line in report.summary():
        terminalreporter.write_line(line)
    path = _told(config, "report")
    if path:
        Path(path).write_text(report.page(name), encoding="utf-8")
        terminalreporter.write_line(f"written: {path}")
