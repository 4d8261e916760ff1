"""The small files that a node makes once are there whole or not at all, whatever fails while they are written."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.serve import _session_secret
from api.settings import FILE_NAME, Settings, write_settings
from fabric.capture.keyring import Keyring
from fabric.integrity import check_node
from ledger.ed25519 import SigningKey
from ledger.errors import Conflict, NotFound
from ledger.keyfile import read_key_file, write_key_file
from ledger.note import parse_vkey

from .test_fork_guard import Folder, folder

__all__ = ["folder"]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process may be longer: the write is cut there, and the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_key_that_could_not_be_written_is_not_there(tmp_path: Path) -> None:
    path, key = tmp_path / "farm.key", SigningKey.generate()
    with room_for(20), pytest.raises(OSError, match="too large"):
        write_key_file(path, key)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotFound):
        read_key_file(path)
    write_key_file(path, key)
    assert read_key_file(path).public_bytes == key.public_bytes
    with pytest.raises(Conflict):
        write_key_file(path, SigningKey.generate())
    assert read_key_file(path).public_bytes == key.public_bytes
    assert [one.name for one in tmp_path.iterdir()] == ["farm.key"]


def test_what_a_death_left_of_a_key_goes_at_the_next_start(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    keyring.create_folder()
    (tmp_path / "service/.farm.key.17.new").write_bytes(b"loomark/key")
    Keyring(tmp_path).create_folder()
    assert list((tmp_path / "service").iterdir()) == []


def test_a_session_key_that_was_cut_short_is_not_signed_with(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    for left in (b"", bytes(31)):
        path.write_bytes(left)
        secret = _session_secret(path)
        assert len(secret) == 32
        assert secret.strip(b"\0")
        assert _session_secret(path) == secret == path.read_bytes()
        assert os.stat(path).st_size == 32


def test_settings_that_could_not_be_written_are_not_there(tmp_path: Path) -> None:
    settings = Settings(tmp_path, origin="log.example/small")
    with room_for(30), pytest.raises(OSError, match="too large"):
        write_settings(settings)
    assert not (tmp_path / FILE_NAME).exists()
    write_settings(settings)
    assert 'origin = "log.example/small"' in (tmp_path / FILE_NAME).read_text()


def test_a_key_made_for_an_admission_that_never_came_is_no_fault(folder: Folder) -> None:
    """The node made it, and was killed before the statement that names it was stored."""
    assert folder.node is not None
    write_key_file(folder.path / "keys/service/shop.key", SigningKey.generate())
    vkey = parse_vkey(folder.node.vkey)
    assert check_node(folder.path, folder.path / "loomark.db", vkey).faults == ()
    folder.stop()
    folder.start()
    folder.capture()
