"""The guard of tests/conftest.py: nothing leaves this machine, everything on it works."""

from __future__ import annotations

import socket

import pytest

from tests.conftest import is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "::1", "::1%lo", "localhost", "", None, b"127.0.0.1"]
)
def test_names_of_this_machine_pass(host: object) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "example.org", "127.0.0.1.example.org"]
)
def test_other_machines_do_not_pass(host: object) -> None:
    assert not is_loopback(host)


def test_connecting_datagrams_and_name_lookups_beyond_loopback_are_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        with pytest.raises(RuntimeError, match="loopback"):
            datagrams.sendto(b"x", ("192.0.2.1", 9))
        with pytest.raises(RuntimeError, match="loopback"):
            datagrams.connect(("192.0.2.1", 9))
    with pytest.raises(RuntimeError, match="this machine"):
        socket.create_connection(("example.org", 80), timeout=1)


def test_connecting_on_loopback_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            client.sendall(b"x")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(1) == b"x"
