"""A node in a process of its own, for the demonstration and for measurements: started, watched, stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from ledger.errors import Unavailable

STOP_TIMEOUT_S = 30.0
LOG_FILE = "serve.log"


class ChildNode:
    """`loomark serve` on a loopback port, 0 picks a free one. Use as a context manager; it ends by its process id.

    `operator_key` is empty when the node had one before. What the node logs goes to `serve.log` in its folder.
    """

    def __init__(
        self, data: Path, *flags: str, port: int = 0, environment: Mapping[str, str] | None = None
    ) -> None:
        self._data = data
        self._flags = (*flags, "--port", str(port))
        self._environment = {**os.environ, **(environment or {})}
        self.url = ""
        self.operator_key = ""

    def __enter__(self) -> ChildNode:
        self._data.mkdir(parents=True, exist_ok=True)
        self._log = (self._data / LOG_FILE).open("ab")
        before = self._log.tell()
        command = [sys.executable, "-m", "api.cli", "serve", "--data", str(self._data), *self._flags]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log, text=True, env=self._environment
        )
        try:
            if self._is_listening():
                return self
        except BaseException:
            # Nobody else ends what is interrupted here: the block that would have has not begun.
            self.stop()
            raise
        self._close()
        said = _refusal(self._data / LOG_FILE, before)
        raise Unavailable(said or f"the node did not start; {self._data / LOG_FILE} says why")

    def _is_listening(self) -> bool:
        """Wait for the line that says so; False where the node ended before."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if key := re.match(r"LOOMARK_OPERATOR_KEY=(\S+)", line):
                self.operator_key = key[1]
            if address := re.match(r"listening on (\S+)", line):
                self.url = address[1]
                return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the node in order, and by force when it has not ended in time; nothing happens the second time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self._close()

    def _close(self) -> None:
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


def _refusal(log: Path, start: int) -> str | None:
    """Why the node did not start, where it said so in one line: what follows `loomark:` after byte `start`."""
    written = log.read_bytes()[start:].decode("utf-8", "replace")
    found = re.findall(r"^loomark: (.+)$", written, re.MULTILINE)
    return found[-1] if found else None
