"""Capture jobs: the list, one of them, and what their members mean together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from .clauses import must, should
from .documents import document, fresh_place, object_event
from .identifiers import fresh
from .server import Server, next_link, refused

ONE = "GET /capture/{captureID}"
LIST = "GET /capture"


@pytest.fixture(scope="module")
def location(server: Server) -> str:
    """The job of a capture that succeeded."""
    answer = server.post("/capture", document([object_event(fresh_place())]))
    assert answer.status_code == 202, answer.text
    location = server.absolute(answer.headers["location"])
    server.job(location)
    return location


def is_job(job: dict[str, Any]) -> None:
    """The members that a capture job has, and their types."""
    assert isinstance(job["captureID"], str)
    assert isinstance(job["running"], bool)
    assert isinstance(job["success"], bool)
    assert job["captureErrorBehaviour"] in ("rollback", "proceed")
    created = datetime.fromisoformat(job["createdAt"])
    assert created.tzinfo is not None
    if not job["running"]:
        assert datetime.fromisoformat(job["finishedAt"]) >= created
    if not job["success"]:
        assert job.get("errors") or job.get("errorFile")


@must(
    ONE, "A job tells its ID, whether it runs and succeeds, the error behaviour, and when it began and ended."
)
def test_a_job_has_its_members(server: Server, location: str) -> None:
    job = server.job(location)
    is_job(job)
    assert location.rstrip("/").endswith(job["captureID"])


@must(
    "schema CaptureJob",
    "Not running and success: all events are captured; errors is empty where it is given.",
)
def test_a_finished_job_without_errors_succeeded(server: Server, location: str) -> None:
    job = server.job(location)
    assert (job["running"], job["success"], job["captureErrorBehaviour"]) == (False, True, "rollback")
    assert job.get("errors", []) == []


@must(
    "schema CaptureJob",
    "A job that runs is not yet a failure without errors; one that ended does not run again.",
)
def test_a_job_that_ended_stays_as_it_is(server: Server, location: str) -> None:
    first = server.job(location)
    again = server.job(location)
    members = ("captureID", "running", "success", "captureErrorBehaviour", "createdAt", "finishedAt")
    assert [first[name] for name in members] == [again[name] for name in members]


@must(
    ONE,
    "404 for a job that is not there. Reading: NoSuchResourceException as in its example, or NoSuchNameException as in its schema.",
)
def test_an_unknown_job_is_not_found(server: Server) -> None:
    refused(server.get(f"/capture/{fresh()}"), 404, "NoSuchResourceException", "NoSuchNameException")


@should(ONE, "The answer names the EPCIS version.")
def test_the_answer_names_the_version(server: Server, location: str) -> None:
    assert server.ask("GET", location).headers["gs1-epcis-version"].startswith("2.")


@must(LIST, "The list is an array of jobs, each once.")
def test_the_list_holds_jobs(server: Server, location: str) -> None:
    answer = server.get("/capture")
    assert answer.status_code == 200
    jobs = answer.json()
    assert jobs
    for job in jobs:
        is_job(job)
    assert len({job["captureID"] for job in jobs}) == len(jobs)
    assert len(jobs) <= 30


@must(LIST, "The list is paged: every page keeps to perPage, and a walk repeats no job.")
def test_the_list_is_paged(server: Server, location: str) -> None:
    for _ in range(2):
        server.capture(document([object_event(fresh_place())]))
    answer, seen = server.get("/capture", {"perPage": "1"}), []
    for _ in range(3):
        jobs = answer.json()
        assert len(jobs) == 1
        seen.append(jobs[0]["captureID"])
        following = next_link(answer)
        assert following is not None
        answer = server.ask("GET", server.absolute(following))
        assert answer.status_code == 200, answer.text
    assert len(set(seen)) == 3


@must(LIST, "A job that was just created can be found in the list.")
def test_a_fresh_job_is_listed(server: Server) -> None:
    answer = server.post("/capture", document([object_event(fresh_place())]))
    job = server.finish(answer)
    listed = server.get("/capture", {"perPage": "1000"})
    for _ in range(50):
        if job["captureID"] in {one["captureID"] for one in listed.json()}:
            return
        following = next_link(listed)
        assert following is not None, "the list ended without the job"
        listed = server.ask("GET", server.absolute(following))
    pytest.skip("more jobs than this suite reads")


@must(
    "schema CaptureJob", "A job may be asked for while it runs; running and success without an error say so."
)
def test_a_job_is_told_from_the_beginning(server: Server) -> None:
    answer = server.post("/capture", document([object_event(fresh_place()) for _ in range(50)]))
    location = server.absolute(answer.headers["location"])
    early = server.ask("GET", location)
    assert early.status_code == 200
    is_job(early.json())
    assert early.json()["success"] is True
    assert server.job(location)["success"] is True
