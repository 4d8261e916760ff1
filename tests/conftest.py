"""What every test stands on: one printed seed, no network beyond loopback, and where shared data lies.

The seed drives hypothesis and the `seed` fixture alike; `LOOMARK_TEST_SEED=N` (or `--hypothesis-seed=N`)
repeats a run. The network guard works in this process only: a test that starts another process answers
for what that process connects to.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# derandomize is set because hypothesis would otherwise fix its own seed wherever CI is in the environment.
settings.register_profile("loomark", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("loomark")


class BeyondLoopback(RuntimeError):
    """A test reached for a machine other than this one. Not an OSError: code under test must not absorb it."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed before the hypothesis plugin reads its own option."""
    chosen = config.getoption("--hypothesis-seed") or os.environ.get("LOOMARK_TEST_SEED")
    config.option.hypothesis_seed = str(chosen or secrets.randbelow(2**32))
    # Processes that share the tests among them choose the same slices.
    os.environ["LOOMARK_TEST_SEED"] = config.option.hypothesis_seed


def _seed_line(config: pytest.Config) -> str:
    return f"seed: {config.option.hypothesis_seed} (LOOMARK_TEST_SEED={config.option.hypothesis_seed} repeats it)"


def pytest_report_header(config: pytest.Config) -> str:
    """Name the seed before the first test."""
    return _seed_line(config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the seed again beside the failures, where it is looked for."""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(_seed_line(config))


def is_loopback(host: object) -> bool:
    """Whether a host of a socket address is this machine: 127.0.0.0/8, ::1, `localhost` or nothing."""
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.split("%")[0]).is_loopback
    except ValueError:
        return False


def _require_loopback(family: int, address: Any) -> None:
    if family == getattr(socket, "AF_UNIX", None):
        return
    if not (isinstance(address, tuple) and is_loopback(address[0])):
        raise BeyondLoopback(f"expected an address on loopback, got {address!r}")


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    """Refuse connections, datagrams and name look-ups that would leave this machine."""
    real_connect, real_connect_ex = socket.socket.connect, socket.socket.connect_ex
    real_sendto, real_getaddrinfo = socket.socket.sendto, socket.getaddrinfo

    def connect(self: socket.socket, address: Any) -> None:
        _require_loopback(self.family, address)
        real_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _require_loopback(self.family, address)
        return real_connect_ex(self, address)

    def sendto(self: socket.socket, data: Any, *arguments: Any) -> int:
        _require_loopback(self.family, arguments[-1])
        return real_sendto(self, data, *arguments)

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if not is_loopback(host):
            raise BeyondLoopback(f"expected a name or address of this machine, got {host!r}")
        return real_getaddrinfo(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket.socket, "connect_ex", connect_ex)
        patch.setattr(socket.socket, "sendto", sendto)
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The run's seed, for what rotates from run to run; derive from it, never from the clock."""
    return int(pytestconfig.option.hypothesis_seed)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real documents and vectors: LOOMARK_TEST_DATA, else ../shared/data beside the checkout."""
    folder = Path(os.environ.get("LOOMARK_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no shared test data (set LOOMARK_TEST_DATA): {folder} is not a folder")
    return folder.resolve()
