"""A backup is taken beside a working node, holds no marks of its own, and a restored one signs only what is safe."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.serving import Served
from fabric.capture.backup import MANIFEST, back_up, verify_backup
from fabric.capture.witnessing import POLICY_FILE
from ledger.errors import Conflict, InvalidInput, NotFound
from ledger.log.guard import HIGH_WATER

from .served import Load, Promises
from .test_fork_guard import Folder, assert_refuses, folder

NOW_MS = 1_790_000_000_000

__all__ = ["folder"]


def backed_up(folder: Folder, name: str = "backup", *, keys: bool = True) -> Path:
    target = folder.path.with_name(name)
    back_up(folder.path, folder.path / "loomark.db", target, now_ms=NOW_MS, keys=keys)
    return target


def restored(folder: Folder, backup: Path) -> Folder:
    """What somebody does who lost the folder: copy the backup, and start on it."""
    other = Folder(backup.with_name(f"restored-{backup.name}"), folder.chance)
    shutil.copytree(backup, other.path)
    other.names, other.proofs = [*folder.names], [*folder.proofs]
    return other


def test_a_backup_beside_a_node_under_load_is_whole_and_starts(tmp_path: Path, seed: int) -> None:
    chance, promises = random.Random(seed), Promises()
    command = [sys.executable, "-m", "api.cli", "backup"]
    with Served(tmp_path / "node") as node:
        keys = node.admit(
            {"members": [{"id": name, "name": name, "parties": []} for name in ("farm", "shop")]}
        )
        with Load(node, keys, promises, chance) as load:
            for number in range(3):
                arguments = [str(tmp_path / str(number)), "--data", str(tmp_path / "node")]
                subprocess.run([*command, *arguments, "--with-keys"], check=True, capture_output=True)
            assert load.answers.count(202), "nothing was captured meanwhile"
        assert node.process.poll() is None
    for number in range(3):
        done = subprocess.run(
            [*command, str(tmp_path / str(number)), "--verify", "--json"], check=True, capture_output=True
        )
        assert json.loads(done.stdout)["keys"] is True
    newest = tmp_path / "2"
    high_water = (tmp_path / "node/high-water").read_text().split("\n")
    size, root = verify_backup(newest).head.size, verify_backup(newest).head.root
    assert size <= int(high_water[1])
    assert root != bytes(32)


def test_a_backup_holds_neither_marks_nor_keys_unless_asked(folder: Folder) -> None:
    folder.capture(3)
    plain, whole = backed_up(folder, "plain", keys=False), backed_up(folder, "whole")
    for backup in (plain, whole):
        names = {path.relative_to(backup).as_posix() for path in backup.rglob("*") if path.is_file()}
        assert not {name for name in names if "high-water" in name or name.startswith(("lock", "graph"))}
        assert bool({name for name in names if name.startswith("keys/")}) is (backup is whole)
        assert stat.S_IMODE(backup.stat().st_mode) == 0o700
        assert verify_backup(backup).keys is (backup is whole)
    for path in [whole / "loomark.db", *(whole / "keys").rglob("*.key")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (whole / "keys/log.key").read_bytes() == (folder.path / "keys/log.key").read_bytes()


def test_a_restored_node_asks_the_witnesses_that_its_original_asked(folder: Folder) -> None:
    folder.capture(2)
    (folder.path / POLICY_FILE).write_text("quorum none\n")
    backup = backed_up(folder, keys=False)
    assert verify_backup(backup).files.keys() >= {POLICY_FILE}
    assert (backup / POLICY_FILE).read_bytes() == (folder.path / POLICY_FILE).read_bytes()
    (backup / POLICY_FILE).write_text("")
    with pytest.raises(InvalidInput, match=POLICY_FILE):
        verify_backup(backup)


def test_a_backup_does_not_go_over_anything(folder: Folder, tmp_path: Path) -> None:
    target = backed_up(folder)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with pytest.raises(Conflict, match="empty folder"):
        backed_up(folder)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def test_a_backup_with_any_file_changed_missing_or_added_is_refused(folder: Folder) -> None:
    folder.capture()
    target = backed_up(folder)
    for path in sorted(path for path in target.rglob("*") if path.is_file() and path.name != MANIFEST):
        data = path.read_bytes()
        flip(path, folder.chance)
        with pytest.raises(InvalidInput, match=f"{path.relative_to(target)} different"):
            verify_backup(target)
        path.unlink()
        with pytest.raises(InvalidInput, match=f"{path.relative_to(target)} missing"):
            verify_backup(target)
        path.write_bytes(data)
    (target / "extra").write_bytes(b"")
    with pytest.raises(InvalidInput, match="extra additional"):
        verify_backup(target)
    (target / "extra").unlink()
    verify_backup(target)


def without(target: Path) -> None:
    (target / MANIFEST).unlink()


def cut(target: Path) -> None:
    path = target / MANIFEST
    path.write_bytes(path.read_bytes()[:-10])


def of_another_size(target: Path) -> None:
    path = target / MANIFEST
    value = json.loads(path.read_bytes())
    value["head"][0] += 1
    path.write_text(json.dumps(value))


def of_another_shape(target: Path) -> None:
    (target / MANIFEST).write_text('{"backup": "loomark/backup/v1", "files": []}')


@pytest.mark.parametrize(
    "spoil", [without, cut, of_another_size, of_another_shape], ids=lambda each: each.__name__
)
def test_a_manifest_that_is_no_manifest_of_this_backup_is_refused(
    folder: Folder, spoil: Callable[[Path], None]
) -> None:
    target = backed_up(folder)
    spoil(target)
    with pytest.raises((InvalidInput, NotFound)):
        verify_backup(target)


def test_a_restored_backup_signs_nothing_before_it_is_told_what_was_signed_last(folder: Folder) -> None:
    other = restored(folder, backed_up(folder))
    folder.stop()
    other.start()
    assert_refuses(other, HIGH_WATER, "expected the file that goes with a published log, got none")
    other.stop()
    other.start()
    assert_refuses(other, HIGH_WATER, "got none")
    other.stop()


def test_a_backup_of_the_newest_head_goes_on_with_the_high_water_file(folder: Folder) -> None:
    folder.capture()
    other = restored(folder, backed_up(folder))
    folder.stop()
    (other.path / "high-water").write_bytes((folder.path / "high-water").read_bytes())
    other.start()
    other.capture(2)
    other.verify_all()
    other.stop()


def test_an_older_backup_stays_read_only_and_can_still_be_asked(folder: Folder) -> None:
    folder.capture()
    backup = backed_up(folder)
    folder.capture()
    other = restored(folder, backup)
    folder.stop()
    (other.path / "high-water").write_bytes((folder.path / "high-water").read_bytes())
    other.start()
    assert_refuses(other, HIGH_WATER, "the head is behind: size 10 after 12")
    other.stop()


def test_the_newest_checkpoint_that_anybody_holds_does_for_a_lost_high_water_file(folder: Folder) -> None:
    """Its first three lines are such a file; an older one would let the log fork, and only a newer one stops it."""
    folder.capture()
    backup = backed_up(folder)
    note = (folder.path / "log/checkpoint").read_text()
    folder.stop()
    other = restored(folder, backup)
    (other.path / "high-water").write_text("".join(note.splitlines(keepends=True)[:3]))
    other.start()
    other.capture()
    other.verify_all()
    other.stop()


def test_a_backup_command_says_what_it_wants(tmp_path: Path) -> None:
    for arguments in (["--verify", "--data", str(tmp_path)], ["--verify"], ["--data", str(tmp_path)]):
        command = [sys.executable, "-m", "api.cli", "backup", str(tmp_path / "to"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        assert done.returncode != 0
        assert done.stderr.startswith("loomark: expected")
        assert not (tmp_path / "to").exists()


def test_a_node_on_a_database_server_is_not_backed_up_by_its_folder(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    command = [sys.executable, "-m", "api.cli", "backup", str(target), "--data", str(tmp_path)]
    environment = os.environ | {"LOOMARK_DATABASE": "postgresql://loomark:hidden@127.0.0.1:1/none"}

    done = subprocess.run(command, capture_output=True, text=True, env=environment)

    assert done.returncode == 1
    assert "pg_dump" in done.stderr
    assert "hidden" not in done.stderr
    assert not target.exists()
