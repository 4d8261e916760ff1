"""Processes that outlive the command that started them, and are ended by number: never a process of somebody else.

A number comes back once its process has ended, so each record keeps when the process began as well; what has the number
but another beginning is not ours and is not touched. A process does nothing before it is in the record on the disk, so that
a command that is killed leaves nothing that a later one could not end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from .errors import NotReady

GRACE_S: Final = 10.0
_PAUSE_S: Final = 0.05
# What a child may know of this environment: nothing that configures Hyperledger Fabric, and no proxy.
_PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "GOMAXPROCS")


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started: its number and when it began, as the system tells it."""

    pid: int
    began: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every child."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | dict(extra or {})


class Processes:
    """The processes of one network, by name, recorded in a file. Safe to share by threads of one process."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._lock = threading.RLock()

    def recorded(self) -> dict[str, Running]:
        """What was started and not ended by us; it may have ended by itself."""
        try:
            kept = json.loads(self._record.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return {name: Running(**values) for name, values in kept.items()}

    def alive(self, name: str) -> bool:
        """Whether the process that was started under this name still runs."""
        running = self.recorded().get(name)
        return running is not None and is_alive(running)

    def start(
        self, name: str, command: Sequence[str], log: Path, extra: Mapping[str, str] | None = None
    ) -> Running:
        """Start a process in a session of its own; what it says is added to ``log``. Nothing to do where it runs."""
        with self._lock:
            running = self.recorded().get(name)
            if running is not None and is_alive(running):
                return running
            with _uninterrupted(), _spawned(command, log, environment(extra)) as running:
                self._keep(self.recorded() | {name: running})
            return running

    def stop(self, names: Iterable[str], *, kill: bool = False) -> None:
        """End processes, all at once: asked first, and killed after ten seconds, or at once with ``kill``."""
        with self._lock:
            recorded = self.recorded()
            ending = {name: recorded[name] for name in names if name in recorded}
            end(ending.values(), signal.SIGKILL if kill else signal.SIGTERM)
            self._keep({name: running for name, running in recorded.items() if name not in ending})

    def rename(self, names: Mapping[str, str]) -> None:
        """Keep processes under other names; what had those names is forgotten."""
        with self._lock:
            recorded = self.recorded()
            moved = {names[name]: recorded[name] for name in names if name in recorded}
            self._keep({name: recorded[name] for name in recorded if name not in names} | moved)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process that runs; :class:`NotReady` where it does not."""
        running = self.recorded().get(name)
        if running is None or not is_alive(running):
            raise NotReady(f"{name} is not running")
        os.kill(running.pid, number)

    def _keep(self, recorded: Mapping[str, Running]) -> None:
        self._record.parent.mkdir(parents=True, exist_ok=True)
        passing = self._record.with_suffix(".new")
        passing.write_text(
            json.dumps({name: asdict(running) for name, running in recorded.items()}, indent=1), "utf-8"
        )
        passing.replace(self._record)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals that end a command wait, so that no process runs that is not in the record."""
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)


@contextlib.contextmanager
def _spawned(command: Sequence[str], log: Path, variables: Mapping[str, str]) -> Iterator[Running]:
    """A process that waits for the end of this block before it becomes ``command``.

    If the block fails, or whoever is in it dies, nobody says that it may go on, and it ends by itself.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    waits, says = os.pipe()
    try:
        pid = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", 'read -r go && exec "$@" </dev/null', "sh", *command],
            variables,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, waits, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            # A child is not to inherit that signals wait.
            setsigmask=[],
        )
        yield Running(pid, began(pid) or "")
        os.write(says, b"go\n")
    finally:
        os.close(waits)
        os.close(says)


def end(processes: Iterable[Running], first: signal.Signals = signal.SIGTERM) -> None:
    """End processes and wait until they are gone."""
    left = [running for running in processes if is_alive(running)]
    for number in (first, signal.SIGKILL):
        for running in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, number)
        # A process that was stopped by a signal hears of its end only when it may go on.
        for running in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGCONT)
        left = _still_alive(left, GRACE_S)
        if not left:
            return


def _still_alive(processes: list[Running], patience_s: float) -> list[Running]:
    deadline = time.monotonic() + patience_s
    while True:
        processes = [running for running in processes if is_alive(running)]
        if not processes or time.monotonic() > deadline:
            return processes
        time.sleep(_PAUSE_S)


def is_alive(running: Running) -> bool:
    """Whether this very process still runs; one that ended and nobody has waited for does not."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(running.pid, os.WNOHANG)
    return began(running.pid) == running.began != ""


def began(pid: int) -> str | None:
    """When a process began, in words that only compare; None where none of that number runs."""
    try:
        # The command's name, in parentheses, may itself hold blanks and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _began_by_ps(pid)


def _began_by_ps(pid: int) -> str | None:
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, when = asked.stdout.strip().partition(" ")
    return when.strip() if when and not state.startswith("Z") else None


def memory_bytes(running: Running) -> int | None:
    """Resident memory of a process; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{running.pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def last_words(log: Path, size_bytes: int = 1500) -> str:
    """The end of what a process said."""
    try:
        return log.read_bytes()[-size_bytes:].decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return "(it said nothing)"


def wait_until(
    true: Callable[[], bool], what: str, patience_s: float, watch: Callable[[], None] | None = None
) -> None:
    """Wait until ``true`` is; ``watch`` may raise sooner. :class:`NotReady` says ``what`` did not happen."""
    deadline = time.monotonic() + patience_s
    while not true():
        if watch is not None:
            watch()
        if time.monotonic() > deadline:
            raise NotReady(f"not within {patience_s:.0f} s: {what}")
        time.sleep(_PAUSE_S)
