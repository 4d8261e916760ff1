"""A demonstration in a process of its own, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_COMMAND = [sys.executable, "-m", "api.cli"]


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def loomark(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Run one command to its end."""
    done = subprocess.run(
        [*_COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
        timeout=400,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def interrupted(folder: Path, *arguments: str, at: str) -> tuple[int, set[int]]:
    """Run a demonstration until it says `at`, then end it by SIGTERM: its exit code, and the processes it had by then."""
    command = [*_COMMAND, "demo", "--data", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if at in line:
                break
        assert at in said
        had = processes_of(folder) - {process.pid}
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        return process.wait(120), had


def processes_of(folder: Path) -> set[int]:
    """The processes that name a folder: on their command line, in their environment, or by where they work."""
    return {int(path.name) for path in Path("/proc").glob("[0-9]*") if _names(path, str(folder))}


def left_of(folder: Path, patience_s: float = 30.0) -> set[int]:
    """The processes that name a folder and do not end by themselves in time."""
    deadline = time.monotonic() + patience_s
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _names(process: Path, folder: str) -> bool:
    try:
        told = [(process / "cmdline").read_bytes(), (process / "environ").read_bytes()]
        return folder.encode() in b"\0".join(told) or os.readlink(process / "cwd").startswith(folder)
    except OSError:
        return False
