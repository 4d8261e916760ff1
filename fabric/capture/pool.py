"""The prepare pool: one spawned process a core, which validates and commits; no database, no keys.

Workers end with their parent: each waits on its sentinel, so a killed node leaves no process. A worker that
dies takes the requests in the pool with it, which may be sent again; the pool is made anew at once. That holds at whatever
line it dies, which the executor alone does not promise (`_break_when_stuck`).
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import count
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Protocol

from ledger.errors import LoomarkError, Unavailable

from .prepare import NOTHING, Asked, Limits, Prepared, prepare

NICE: Final = 5
"""Of the processes that prepare; the writer is at 0, the projector of the graph behind both."""

NOTICED_WITHIN_S: Final = 1.0
"""How long an executor may take to see that a worker died."""

_COLLECT_EVERY: Final = 64
_turns = count(1)


class Preparer(Protocol):
    """Prepares submissions, several at a time. The future raises what `prepare` raises, or Unavailable."""

    def submit(self, body: bytes, media_type: str, asked: Asked = NOTHING) -> Future[Prepared]:
        """Begin to prepare a submission."""

    def close(self) -> None:
        """Stop; what runs is finished first, what waits is not begun."""


class PreparePool:
    """`Preparer` over spawned processes. Safe to share by threads."""

    def __init__(self, limits: Limits, workers: int | None = None) -> None:
        self._limits = limits
        self._workers = workers or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._closed = False
        self._executor = self._start()

    def submit(self, body: bytes, media_type: str, asked: Asked = NOTHING) -> Future[Prepared]:
        """Begin to prepare a submission in some worker."""
        outcome: Future[Prepared] = Future()
        # Running from the start: who gives up waiting cannot cancel what a worker will answer.
        outcome.set_running_or_notify_cancel()
        executor = self._executor
        try:
            running = executor.submit(_prepare, body, media_type, self._limits, asked)
        except (BrokenProcessPool, RuntimeError):
            self._renew(executor)
            outcome.set_exception(_lost())
            return outcome
        running.add_done_callback(lambda done: self._settle(done, outcome, executor))
        return outcome

    def warm(self) -> None:
        """Wait until every worker has started and imported what it needs."""
        for begun in [self._executor.submit(_pid) for _ in range(self._workers)]:
            begun.result()

    def pids(self) -> list[int]:
        """The process ids of the workers that run now."""
        return sorted(self._executor._processes or {})

    def close(self) -> None:
        """Stop the workers; what runs is finished first, what waits is not begun."""
        with self._lock:
            self._closed = True
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(self._workers, context, initializer=_end_with_parent)
        # Each of the first tasks starts a worker; their imports take a second that the first request need not wait for.
        for _ in range(self._workers):
            executor.submit(_pid)
        threading.Thread(
            target=_break_when_stuck, args=(executor,), name="prepare-watch", daemon=True
        ).start()
        return executor

    def _settle(
        self, done: Future[Prepared | LoomarkError], outcome: Future[Prepared], executor: ProcessPoolExecutor
    ) -> None:
        try:
            result = done.result()
        except BrokenProcessPool:
            self._renew(executor)
            outcome.set_exception(_lost())
            return
        except BaseException as error:
            outcome.set_exception(error)
            return
        if isinstance(result, LoomarkError):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)

    def _renew(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is broken and not self._closed:
                self._executor = self._start()
        broken.shutdown(wait=False)


class InlinePreparer:
    """`Preparer` in the calling thread: for tests, and for tools that prepare one document."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def submit(self, body: bytes, media_type: str, asked: Asked = NOTHING) -> Future[Prepared]:
        """Prepare now."""
        outcome: Future[Prepared] = Future()
        try:
            outcome.set_result(prepare(body, media_type, self._limits, os.urandom, asked))
        except LoomarkError as error:
            outcome.set_exception(error)
        return outcome

    def close(self) -> None:
        """Nothing to stop."""


def collect_rarely() -> None:
    """Have Python look for reference cycles seldom, and not among what exists by now.

    A document is tens of thousands of small containers without cycles, freed by counting references; the default
    thresholds would walk all of them again and again, a quarter of the time of a capture.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _break_when_stuck(executor: Any) -> None:
    """Break an executor that the death of one of its workers did not break. Ends with the executor.

    A worker that is killed while it sends an answer leaves a part of it in the pipe that all share, and the executor's
    thread waits for the rest for ever, as the pipe stays open. Once nobody can write to it any more, the thread reads its
    end and breaks the executor as for any other death.
    """
    manager, answers = executor._executor_manager_thread, executor._result_queue
    # Workers are added while there is more to do than they can take.
    processes: dict[int, BaseProcess] = executor._processes
    while manager.is_alive():
        running = [one for one in list(processes.values()) if one.exitcode != 0]
        wait([one.sentinel for one in running], NOTICED_WITHIN_S)
        if any(one.exitcode for one in running):
            manager.join(NOTICED_WITHIN_S)
            if manager.is_alive() and not executor._broken:
                for one in list(processes.values()):
                    one.kill()
                answers._writer.close()
            return


def _prepare(body: bytes, media_type: str, limits: Limits, asked: Asked) -> Prepared | LoomarkError:
    _look_for_cycles()
    # An exception with more than one argument does not survive pickling by its arguments; as a value it does.
    try:
        return prepare(body, media_type, limits, os.urandom, asked)
    except LoomarkError as error:
        return error


def _look_for_cycles() -> None:
    """Collect now and then between documents, when next to nothing is there to look through."""
    if next(_turns) % _COLLECT_EVERY == 0:
        gc.collect()


def _pid() -> int:
    return os.getpid()


def _lost() -> Unavailable:
    return Unavailable("the process that prepared this document ended; send it again")


def _end_with_parent() -> None:
    # One thread writes, and everything waits for it: where both want a core, it gets it.
    if hasattr(os, "nice"):
        os.nice(NICE)
    collect_rarely()
    gc.disable()
    # Ctrl-C reaches the whole terminal group; the parent decides when its workers stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
