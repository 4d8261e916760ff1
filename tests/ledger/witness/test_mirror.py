"""A replaying witness and the logs it looks into, over HTTP: sound ones, and every kind that broke a rule."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ledger.checkpoint import checkpoint_of
from ledger.errors import InvalidInput, LoomarkError
from ledger.merkle import consistency_path, leaf_hash
from ledger.misbehaviour import parse_misbehaviour, verify_misbehaviour
from ledger.note import parse_note, parse_vkey, verify_note
from ledger.policy import parse_policy, policy_text
from ledger.tile import TILE_WIDTH, parse_tile_path
from ledger.witness.exchange import Answer, origin_hash, request_bytes
from ledger.witness.mirror import Mirror, open_mirror
from ledger.witness.settings import FollowedLog
from ledger.witness.store import WitnessStore
from ledger.witness.witness import Witness

from ..consortium import Consortium
from ..monitor.hostile import BREAKING, ShownLog, broken, capture, consortium, signed_note
from .logs import key_of

API_KEY = "key-of-a-reader"


class _Handler(BaseHTTPRequestHandler):
    server: TileServer

    def do_GET(self) -> None:
        served = self.server
        served.asked.append(self.path)
        tile = parse_tile_path(self.path.removeprefix("/log/tile/"))
        if tile.level == "entries" and self.headers.get("authorization") != f"Bearer {API_KEY}":
            self._send(401, b"")
        elif (
            served.only_full
            and tile.width < TILE_WIDTH
            and len(served.log.entries) >= TILE_WIDTH * (tile.index + 1)
        ):
            self._send(404, b"")
        else:
            try:
                self._send(200, served.log.tile(tile))
            except LoomarkError:
                self._send(404, b"")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


class TileServer(ThreadingHTTPServer):
    """The tiles of a log in memory; `only_full` serves no partial tile where the full one exists."""

    daemon_threads = True

    def __init__(self, log: ShownLog) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.log = log
        self.only_full = False
        self.asked: list[str] = []


class Replaying:
    """A witness that replays one log, and its folder."""

    def __init__(self, folder: Path, one: Consortium, entries: list[bytes] | None = None) -> None:
        self.folder = folder
        self.one = one
        self.server = TileServer(ShownLog(one.origin, one.entries if entries is None else entries))
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        (folder / "reader.key").write_text(API_KEY + "\n")
        self.store = WitnessStore(folder / "witness.db")
        self.key_file: str | None = "reader.key"
        self.start()

    def start(self) -> None:
        url = f"http://127.0.0.1:{self.server.server_port}/log"
        log = FollowedLog(self.one.origin, (self.one.log_vkey(),), url, self.key_file)
        self.mirror: Mirror = open_mirror(self.folder / "mirror", self.folder, log)
        self.witness = Witness(
            self.store,
            "witness.example/replay",
            key_of("replay"),
            {self.one.origin: [self.one.log_vkey()]},
            replayers={self.one.origin: self.mirror},
        )

    def restart(self) -> None:
        self.mirror.close()
        self.start()

    def submit(self, size: int | None = None, old: int | None = None) -> Answer:
        entries = self.server.log.entries[:size]
        old = self.size() if old is None else old
        leaves = [leaf_hash(data) for data in entries]
        proof = consistency_path(leaves, old) if 0 < old < len(leaves) else []
        return self.witness.add_checkpoint(request_bytes(old, proof, signed_note(self.one.origin, entries)))

    def size(self) -> int:
        note = self.witness.checkpoint(origin_hash(self.one.origin))
        return 0 if note is None else checkpoint_of(parse_note(note)).size

    def evidence(self) -> list[Path]:
        return sorted((self.folder / "mirror" / origin_hash(self.one.origin) / "evidence").iterdir())

    def close(self) -> None:
        self.mirror.close()
        self.store.close()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Replaying]]:
    made: list[Replaying] = []
    yield made
    for one in made:
        one.close()


def grow(one: Consortium, captures: int) -> None:
    for _ in range(captures):
        one.sequence(capture(one))
    one.publish()


def test_a_sound_log_is_read_once_and_cosigned_as_it_grows(tmp_path: Path, started: list[Replaying]) -> None:
    one = consortium()
    replaying = Replaying(tmp_path, one)
    started.append(replaying)
    for captures in (2, 3, 260):
        grow(one, captures)
        assert replaying.submit().status == 200
        assert replaying.size() == len(one.entries)
    replaying.restart()
    replaying.server.asked.clear()
    grow(one, 1)
    assert replaying.submit().status == 200
    bundles = [path for path in replaying.server.asked if "entries" in path]
    assert bundles == [f"/log/tile/entries/001.p/{len(one.entries) - TILE_WIDTH}"]
    note = parse_note(replaying.witness.checkpoint(origin_hash(one.origin)) or b"")
    assert len(verify_note(note, [one.log_vkey(), parse_vkey(replaying.witness.vkey)])) == 2
    assert replaying.evidence() == []


def test_where_partial_tiles_are_gone_the_full_ones_serve(tmp_path: Path, started: list[Replaying]) -> None:
    one = consortium()
    grow(one, 100)
    size = len(one.entries)
    grow(one, 300)
    replaying = Replaying(tmp_path, one)
    started.append(replaying)
    replaying.server.only_full = True
    assert replaying.submit(size).status == 200
    assert replaying.submit().status == 200
    assert replaying.size() == len(one.entries)


@pytest.mark.parametrize("name", sorted(BREAKING))
def test_a_log_that_broke_a_rule_is_not_cosigned_and_the_evidence_holds(
    tmp_path: Path, started: list[Replaying], name: str
) -> None:
    one, entries = broken(name)
    replaying = Replaying(tmp_path, one, entries)
    started.append(replaying)
    for _ in range(2):
        answer = replaying.submit()
        assert answer.status == 422
        assert answer.body.startswith(b"replay: ")
        assert replaying.size() == 0
    policy = parse_policy(policy_text(one.log_vkey()))
    (path, *_) = replaying.evidence()
    found = verify_misbehaviour(parse_misbehaviour(path.read_bytes()), policy)
    assert found.kind.encode() in answer.body
    # A restart forgets nothing of it.
    replaying.restart()
    assert replaying.submit().status == 422


def test_a_rule_broken_later_ends_the_cosigning_there(tmp_path: Path, started: list[Replaying]) -> None:
    one = consortium()
    replaying = Replaying(tmp_path, one)
    started.append(replaying)
    assert replaying.submit().status == 200
    size = replaying.size()
    replaying.server.log.entries = [*one.entries, b'{"after":"nonsense"}']
    assert replaying.submit().status == 422
    assert replaying.size() == size
    # What was signed cannot be taken back: a sound tree beside it is refused as well.
    grow(one, 2)
    replaying.server.log.entries = one.entries
    assert replaying.submit().status == 422
    assert replaying.size() == size


def _hidden(replaying: Replaying) -> None:
    replaying.server.log.hides_entries = True


def _silent(replaying: Replaying) -> None:
    replaying.server.log.withheld = True


def _closed(replaying: Replaying) -> None:
    replaying.key_file = None
    replaying.restart()


def _other_entries(replaying: Replaying) -> None:
    shown = replaying.server.log
    true = shown.tile

    class Lying(ShownLog):
        def tile(self, tile: object) -> bytes:
            found = true(tile)  # type: ignore[arg-type]
            return found[:-3] + bytes(3) if getattr(tile, "level", 0) == "entries" else found

    replaying.server.log = Lying(shown.origin, shown.entries)


def _short(replaying: Replaying) -> None:
    shown = replaying.server.log
    true = shown.tile

    class Short(ShownLog):
        def tile(self, tile: object) -> bytes:
            return true(tile)[:-1]  # type: ignore[arg-type]

    replaying.server.log = Short(shown.origin, shown.entries)


@pytest.mark.parametrize("spoil", [_hidden, _silent, _closed, _other_entries, _short])
def test_what_is_withheld_or_unsigned_is_no_evidence_and_is_made_up_for(
    tmp_path: Path, started: list[Replaying], spoil: object
) -> None:
    one = consortium()
    replaying = Replaying(tmp_path, one)
    started.append(replaying)
    sound = replaying.server.log
    assert callable(spoil)
    spoil(replaying)
    answer = replaying.submit()
    assert answer.status == 503, answer.body
    assert replaying.size() == 0
    assert replaying.evidence() == []
    sound.hides_entries = sound.withheld = False
    replaying.server.log, replaying.key_file = sound, "reader.key"
    replaying.restart()
    assert replaying.submit().status == 200
    assert replaying.size() == len(one.entries)


def test_a_key_file_that_is_missing_is_said_at_the_start(tmp_path: Path) -> None:
    one = consortium()
    log = FollowedLog(one.origin, (one.log_vkey(),), "http://127.0.0.1:9/log", "missing.key")
    with pytest.raises(InvalidInput, match=r"missing\.key"):
        open_mirror(tmp_path / "mirror", tmp_path, log)
