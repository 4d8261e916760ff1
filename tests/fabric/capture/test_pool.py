"""The prepare pool: errors cross whole, a dead worker costs one request, no worker outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fabric.capture.pool import PreparePool
from fabric.capture.prepare import Limits
from ledger.errors import InvalidInput, Unavailable
from tests.simulator import CONTEXT, EPCIS

EVENT = (
    '{"@context": "%s", "type": "ObjectEvent", "eventTime": "2026-05-01T08:00:00Z", "eventTimeZoneOffset": "+00:00",'
    ' "action": "OBSERVE", "epcList": ["https://id.gs1.org/01/%s/21/1"]}'
)
GOOD = (EVENT % (CONTEXT, "09506000134352")).encode()
BAD = (EVENT % (CONTEXT, "09506000134353")).encode()


@pytest.fixture(scope="module")
def pool() -> Iterator[PreparePool]:
    pool = PreparePool(Limits(), workers=1)
    yield pool
    pool.close()


def test_a_prepared_document_crosses_whole(pool: PreparePool) -> None:
    prepared = pool.submit(GOOD, EPCIS).result(60)
    assert [record.kind for record in prepared.records] == [0, 2]
    assert prepared.events[0].lines[0][0] == "https://id.gs1.org/01/09506000134352/21/1"


def test_a_refusal_keeps_its_findings(pool: PreparePool) -> None:
    with pytest.raises(InvalidInput) as refusal:
        pool.submit(BAD, EPCIS).result(60)
    assert refusal.value.rule == "bad-check-digit"
    assert refusal.value.findings[0].pointer == "/epcList/0"


def test_a_dead_worker_costs_its_request_and_the_pool_is_made_anew(pool: PreparePool) -> None:
    pool.submit(GOOD, EPCIS).result(60)
    (worker,) = pool.pids()
    os.kill(worker, signal.SIGSTOP)
    lost = pool.submit(GOOD, EPCIS)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(Unavailable):
        lost.result(60)
    assert pool.submit(GOOD, EPCIS).result(60).size == len(GOOD)
    assert pool.pids() != [worker]


def die_while_answering(size_bytes: int) -> None:
    """In a worker: send the length of an answer and the first bytes of it, as a kill at that moment leaves it."""
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    answers = frame.f_locals["result_queue"]
    with answers._wlock:
        os.write(answers._writer.fileno(), size_bytes.to_bytes(4, "big") + b"some")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_while_it_answers_is_noticed() -> None:
    pool = PreparePool(Limits(), workers=2)
    try:
        pool.warm()
        before = pool.pids()
        pool._executor.submit(die_while_answering, 1_000_000)
        lost = pool.submit(GOOD, EPCIS)
        with suppress(Unavailable):
            lost.result(60)
        deadline = time.monotonic() + 60
        while set(pool.pids()) & set(before) and time.monotonic() < deadline:
            with suppress(Unavailable):
                pool.submit(GOOD, EPCIS).result(60)
        assert not set(pool.pids()) & set(before)
        assert pool.submit(GOOD, EPCIS).result(60).size == len(GOOD)
    finally:
        pool.close()


PARENT = """
import os, sys
from fabric.capture.pool import PreparePool
from fabric.capture.prepare import Limits

if __name__ == "__main__":
    pool = PreparePool(Limits(), workers=1)
    pool.warm()
    print(*pool.pids(), flush=True)
    sys.stdin.read()
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = str(Path(__file__).resolve().parents[3])
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 1
    assert not any(is_running(pid) for pid in workers)
