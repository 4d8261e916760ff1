"""Signing by a program of the key's owner: a hardware module, a key service. I/O; imported by name.

The program gets the message on standard input and answers with the signature, raw or in base64, on standard output.
It is started anew for each signature, without a shell, and its answer is verified before anybody uses it. POSIX only:
elsewhere pipes cannot be waited for, and every signature is refused.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Final

from . import ed25519
from .ed25519 import Signer
from .errors import Unavailable

__all__ = ["DEFAULT_TIMEOUT_S", "MAX_ANSWER_BYTES", "CommandSigner", "Signer"]

DEFAULT_TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 8_192
_CHUNK: Final = 65_536
_WRITTEN_AT_ONCE: Final = 512
_OURS: Final = "LOOMARK_"

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether (public key, message, signature) holds."""


class CommandSigner:
    """A :class:`ledger.ed25519.Signer` whose key another program holds.

    ``command`` is run as it stands; with another ``verify`` it signs for another scheme. Each failure is
    :class:`ledger.errors.Unavailable`: no program, an exit code, no answer in ``timeout_s``, more than 8,192 bytes, or
    a signature that does not hold. Messages name the program alone, because arguments may hold a PIN.
    """

    def __init__(
        self,
        command: Sequence[str],
        public: bytes,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        *,
        verify: Verify = ed25519.verify,
    ) -> None:
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._verify = verify
        self.public_bytes = public

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message``, verified."""
        answer = self._run(message)
        for signature in (answer, _from_base64(answer)):
            if self._verify(self.public_bytes, message, signature):
                return signature
        raise self._failed(f"expected a signature by {ed25519.key_id(self.public_bytes)}, got another answer")

    def _run(self, message: bytes) -> bytes:
        if os.name == "nt":
            raise self._failed("expected a POSIX system, which programs that sign need")
        # Our own secrets are none of its business; what it needs beside them it may have.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError):
            raise self._failed("expected a program that can be started") from None
        with process:
            try:
                answer = self._exchange(process, message)
                code = process.wait(self._timeout_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                raise self._failed(f"expected its end within {self._timeout_s:g} s") from None
            except BaseException:
                _kill(process)
                raise
        if code != 0:
            raise self._failed(f"expected exit code 0, got {code}")
        return answer

    def _exchange(self, process: subprocess.Popen[bytes], message: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        deadline, answer, left = time.monotonic() + self._timeout_s, b"", memoryview(message)
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdin, selectors.EVENT_WRITE)
            ready.register(process.stdout, selectors.EVENT_READ)
            while ready.get_map():
                found = ready.select(max(0.0, deadline - time.monotonic()))
                if not found and time.monotonic() >= deadline:
                    raise self._failed(f"expected an answer within {self._timeout_s:g} s")
                for key, _ in found:
                    if key.fileobj is process.stdin:
                        left = _send(process.stdin, left, ready)
                        continue
                    read = os.read(process.stdout.fileno(), _CHUNK)
                    answer += read
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise self._failed(f"expected at most {MAX_ANSWER_BYTES} bytes of answer")
                    if not read:
                        ready.unregister(process.stdout)
        return answer

    def _failed(self, why: str) -> Unavailable:
        return Unavailable(f"the signer {self._command[0]}: {why}")

    def __repr__(self) -> str:
        return f"CommandSigner(key_id={ed25519.key_id(self.public_bytes)!r})"


def _send(pipe: IO[bytes], left: memoryview, ready: selectors.BaseSelector) -> memoryview:
    try:
        # A pipe that is ready takes this much without blocking (POSIX asks for 512 bytes).
        left = left[os.write(pipe.fileno(), left[:_WRITTEN_AT_ONCE]) :]
    except BrokenPipeError:
        # A program that needs no message has closed its end; its answer decides.
        left = left[len(left) :]
    if not left:
        ready.unregister(pipe)
        with suppress(BrokenPipeError):
            pipe.close()
    return left


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Its own session, so that what it started itself ends with it.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()


def _from_base64(answer: bytes) -> bytes:
    try:
        return b64decode(answer.strip(), validate=True)
    except (Base64Error, ValueError):
        return b""
