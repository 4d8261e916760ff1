"""The client side of tlog-witness, against witnesses in memory: honest ones, and every kind that is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger.checkpoint import checkpoint_of
from ledger.errors import InvalidInput, Unavailable
from ledger.log.cosign import Witnesses
from ledger.log.durable import DiskFiles
from ledger.log.edge import Edge
from ledger.log.guard import ReadOnlyLog
from ledger.log.publish import QuorumMissing
from ledger.log.tiles import TileStore
from ledger.merkle import leaf_hash
from ledger.note import VerifierKey, cosign, note_bytes, parse_note, parse_vkey, verify_note
from ledger.policy import parse_policy
from ledger.witness.exchange import SIZE_TYPE, Answer, parse_request
from ledger.witness.store import WitnessStore
from ledger.witness.witness import Witness

from ..witness.logs import ORIGIN, MemoryLog, key_of

LOG = MemoryLog()
NAMES = ("one", "two", "three")


@dataclass
class Near:
    """A witness that is asked by a call. `turn` replaces what it answers, given the body and the honest answer."""

    witness: Witness
    turn: Callable[[bytes, Callable[[], Answer]], Answer] | None = None
    shows: bytes | Exception | None = None
    asked: list[int] = field(default_factory=list)

    def post(self, path: str, body: bytes) -> Answer:
        assert path == "add-checkpoint"
        self.asked.append(parse_request(body).old)
        if self.turn is not None:
            return self.turn(body, lambda: self.witness.add_checkpoint(body))
        return self.witness.add_checkpoint(body)

    def get(self, path: str) -> Answer:
        if isinstance(self.shows, Exception):
            raise self.shows
        note = self.shows if self.shows is not None else self.witness.checkpoint(path.partition("/")[0])
        return Answer(404, b"none\n") if note is None else Answer(200, note)

    def close(self) -> None:
        pass


@dataclass
class World:
    """Three witnesses, a tree on disk, and a client that asks them."""

    folder: Path
    near: Mapping[str, Near]
    tiles: TileStore

    def client(self, quorum: str = "group all3 2 one two three\nquorum all3", **options: object) -> Witnesses:
        lines = [f"log {LOG.vkey.text()}"]
        lines += [f"witness {name} {one.witness.vkey}" for name, one in self.near.items()]
        policy = parse_policy("\n".join([*lines, quorum]))
        return Witnesses(
            policy,
            ORIGIN,
            lambda: [LOG.vkey],
            addresses=self.near,
            **{"rest_s": 0.0, **options},  # type: ignore[arg-type]
        )

    def signers(self, client: Witnesses, size: int) -> list[str]:
        """Who cosigned when the client asks for a tree of this size, each line verified."""
        lines = client.cosign(LOG.note(size), self.tiles)
        head = LOG.head(size)
        keys = [parse_vkey(one.witness.vkey) for one in self.near.values()]
        note = parse_note(LOG.note(size, lines))
        assert checkpoint_of(note) == head
        verified = verify_note(note, [LOG.vkey, *keys])
        assert len(verified) == 1 + len(lines)
        return sorted([one.key.name for one in verified if one.time_s is not None])


@pytest.fixture
def world(tmp_path: Path) -> World:
    near = {}
    for name in NAMES:
        store = WitnessStore(tmp_path / f"{name}.db")
        near[name] = Near(
            Witness(store, name, key_of(name), {ORIGIN: [LOG.vkey]}, clock=lambda: 1_790_000_000)
        )
    tiles, edge = TileStore(tmp_path / "log", DiskFiles()), Edge()
    for index in range(600):
        edge.append(leaf_hash(f"main {index}".encode()), f"main {index}".encode())
    tiles.write(edge.take_growth())
    return World(tmp_path, near, tiles)


def test_all_that_answer_cosign_and_one_request_each_is_enough(world: World) -> None:
    client = world.client("group g all one two three\nquorum g")
    assert world.signers(client, 300) == sorted(NAMES)
    assert world.signers(client, 513) == sorted(NAMES)
    assert [one.asked for one in world.near.values()] == [[0, 300]] * 3
    assert set(client.counts.outcomes()) == {(name, "cosigned") for name in NAMES}


def test_a_new_client_learns_the_size_from_what_a_witness_shows(world: World) -> None:
    everybody = "group g all one two three\nquorum g"
    world.signers(world.client(everybody), 300)
    client = world.client(everybody)
    client.marks(ORIGIN)
    assert world.signers(client, 400) == sorted(NAMES)
    assert world.near["one"].asked == [0, 300]


def test_a_new_client_learns_the_size_from_a_conflict_where_nothing_is_shown(world: World) -> None:
    everybody = "group g all one two three\nquorum g"
    world.signers(world.client(everybody), 300)
    for one in world.near.values():
        one.shows = Unavailable("no monitoring path")
    client = world.client(everybody)
    assert client.marks(ORIGIN) == ()
    assert world.signers(client, 400) == sorted(NAMES)
    assert world.signers(client, 500) == sorted(NAMES)
    assert world.near["one"].asked == [0, 0, 300, 400]


def _raises(error: Exception) -> Callable[[bytes, Callable[[], Answer]], Answer]:
    def turn(_body: bytes, _honest: Callable[[], Answer]) -> Answer:
        raise error

    return turn


def _says(answer: Answer) -> Callable[[bytes, Callable[[], Answer]], Answer]:
    return lambda _body, _honest: answer


def _line(name: str, key: str, text: str, time_s: int = 5) -> bytes:
    return cosign(text, name, key_of(key), time_s).text().encode()


def _other_head(_body: bytes, honest: Callable[[], Answer]) -> Answer:
    honest()
    return Answer(200, _line("one", "one", LOG.head(17).text()))


def _flooded(_body: bytes, honest: Callable[[], Answer]) -> Answer:
    return Answer(200, honest().body * 33)


HOSTILE = {
    "unreachable": (_raises(Unavailable("refused")), "unreachable"),
    "too slow": (_raises(TimeoutError()), "timed-out"),
    "oversized": (_raises(InvalidInput("too large", rule="answer-too-large")), "garbage"),
    "empty": (_says(Answer(200, b"")), "garbage"),
    "noise": (_says(Answer(200, b"\xff\x00" * 100)), "garbage"),
    "a page": (_says(Answer(200, b"<html>\n\n</html>\n")), "garbage"),
    "another's line": (_says(Answer(200, _line("two", "two", LOG.head(300).text()))), "garbage"),
    "another key under its name": (_says(Answer(200, _line("one", "two", LOG.head(300).text()))), "garbage"),
    "a line without time": (_says(Answer(200, _line("one", "one", LOG.head(300).text(), 0))), "garbage"),
    "a line under another head": (_other_head, "garbage"),
    "its line many times": (_flooded, "garbage"),
    "a redirect": (_says(Answer(302, b"")), "refused-302"),
    "404": (_says(Answer(404, b"unknown log\n")), "refused-404"),
    "403": (_says(Answer(403, b"")), "refused-403"),
    "500": (_says(Answer(500, b"")), "refused-500"),
    "a conflict without a size": (_says(Answer(409, b"soon\n")), "garbage"),
    "a conflict beyond all trees": (_says(Answer(409, b"9007199254740992\n")), "garbage"),
    "a conflict again and again": (_says(Answer(409, b"3\n", SIZE_TYPE)), "refused-409"),
    "a refusal that it cannot back": (_says(Answer(422, b"no\n")), "refused-422"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_a_hostile_witness_answers_reaches_no_checkpoint(world: World, kind: str) -> None:
    world.near["one"].turn, outcome = HOSTILE[kind]
    client = world.client()
    assert world.signers(client, 300) == ["three", "two"]
    assert client.counts.outcomes()["one", outcome] == 1
    assert len(world.near["one"].asked) <= 2
    assert client.counts.missed() == {}


def test_its_own_line_among_others_is_found(world: World) -> None:
    def crowded(_body: bytes, honest: Callable[[], Answer]) -> Answer:
        other = _line("stranger", "stranger", LOG.head(300).text())
        return Answer(200, other + honest().body + b"\xe2\x80\x94 three AAAAAAA=\n")

    world.near["one"].turn = crowded
    assert world.signers(world.client("quorum one"), 300)[0] == "one"


def test_fail_closed_raises_and_is_met_when_asked_again(world: World) -> None:
    client = world.client(require=True)
    for name in ("one", "two"):
        world.near[name].turn = _raises(Unavailable("down"))
    with pytest.raises(QuorumMissing, match="got cosignatures by three"):
        client.cosign(LOG.note(300), world.tiles)
    assert client.counts.missed() == {"withheld": 1}
    world.near["one"].turn = None
    assert world.signers(client, 300) == ["one", "three"]


def test_fail_open_gives_what_there_is_and_asks_again_only_for_the_rest(world: World) -> None:
    client = world.client()
    for name in ("one", "two"):
        world.near[name].turn = _raises(Unavailable("down"))
    lines = client.cosign(LOG.note(300), world.tiles)
    assert [line.name for line in lines] == ["three"]
    assert client.counts.missed() == {"published": 1}
    note = LOG.note(300, lines)
    assert client.is_lacking(note)
    for name in ("one", "two"):
        world.near[name].turn = None
    lines = client.cosign(note, world.tiles)
    assert sorted([line.name for line in lines])[:2] != ["three"]
    assert len(lines) >= 2
    assert world.near["three"].asked == [0]
    assert not client.is_lacking(LOG.note(300, lines))


def test_a_false_line_that_lies_in_the_checkpoint_already_is_dropped(world: World) -> None:
    key = parse_vkey(world.near["one"].witness.vkey)
    forged = cosign(LOG.head(299).text(), "one", key_of("one"), 5)
    assert forged.key_id == key.key_id
    lines = world.client("group g all one two three\nquorum g").cosign(LOG.note(300, [forged]), world.tiles)
    assert sorted([line.name for line in lines]) == sorted(NAMES)
    assert forged not in lines


def test_a_slow_witness_is_waited_for_no_longer_than_told_and_then_rests(world: World) -> None:
    hold = threading.Event()

    def slow(_body: bytes, honest: Callable[[], Answer]) -> Answer:
        hold.wait(30)
        return honest()

    world.near["one"].turn = world.near["two"].turn = slow
    client = world.client(require=True, timeout_s=0.2)
    with pytest.raises(QuorumMissing):
        client.cosign(LOG.note(300), world.tiles)
    assert client.counts.outcomes() == {
        ("one", "timed-out"): 1,
        ("two", "timed-out"): 1,
        ("three", "cosigned"): 1,
    }
    # It is busy still, so it is not asked a second time beside the first.
    with pytest.raises(QuorumMissing):
        client.cosign(LOG.note(300), world.tiles)
    assert world.near["one"].asked == [0]
    hold.set()


def test_a_witness_that_fails_at_once_is_let_alone_for_a_moment(world: World) -> None:
    client = world.client(require=True, rest_s=3600.0)
    for name in ("one", "two"):
        world.near[name].turn = _raises(Unavailable("down"))
    for _ in range(3):
        with pytest.raises(QuorumMissing):
            client.cosign(LOG.note(300), world.tiles)
    assert [len(one.asked) for one in world.near.values()] == [1, 1, 3]


def test_a_straggler_does_not_hold_up_a_quorum(world: World) -> None:
    hold = threading.Event()

    def slow(_body: bytes, honest: Callable[[], Answer]) -> Answer:
        hold.wait(30)
        return honest()

    world.near["one"].turn = slow
    client = world.client(timeout_s=30.0)
    assert world.signers(client, 300) == ["three", "two"]
    assert client.counts.outcomes()["one", "late"] == 1
    hold.set()


def _note_of(size: int, log: MemoryLog = LOG) -> bytes:
    return log.note(size)


def test_a_witness_that_shows_a_larger_tree_stops_the_log(world: World) -> None:
    world.signers(world.client(), 513)
    client = world.client()
    with pytest.raises(ReadOnlyLog) as stopped:
        client.cosign(LOG.note(300), world.tiles)
    assert stopped.value.state.against.startswith("witness ")
    assert stopped.value.state.reason == "the head is behind: size 300 after 513"
    assert client.marks(ORIGIN)


def test_a_witness_that_shows_another_tree_stops_the_log(world: World) -> None:
    other = MemoryLog("other")
    assert world.near["one"].witness.add_checkpoint(other.request(0, 200)).status == 200
    client = world.client()
    with pytest.raises(ReadOnlyLog) as stopped:
        client.cosign(LOG.note(300), world.tiles)
    assert (stopped.value.state.against, stopped.value.state.reason) == (
        "witness one",
        "the head is different: another root at size 200",
    )


def test_a_claim_of_a_larger_tree_stops_the_log_and_is_called_a_claim(world: World) -> None:
    world.near["one"].turn = _says(Answer(409, b"1000\n", SIZE_TYPE))
    client = world.client()
    with pytest.raises(ReadOnlyLog, match="claims without showing"):
        client.cosign(LOG.note(300), world.tiles)


def test_marks_are_asked_for_once_and_are_what_the_log_signed(world: World) -> None:
    world.signers(world.client("group g all one two three\nquorum g"), 300)
    world.near["two"].shows = MemoryLog(key=key_of("stranger")).note(900)
    world.near["three"].shows = Unavailable("down")
    client = world.client()
    marks = client.marks(ORIGIN)
    assert [(mark.name, mark.size, mark.root) for mark in marks] == [("witness one", 300, LOG.head(300).root)]
    world.near["one"].shows = LOG.note(513)
    assert client.marks(ORIGIN) == marks


@pytest.mark.parametrize(
    "shown",
    [
        b"",
        b"noise",
        MemoryLog(origin="elsewhere.example").note(900),
        note_bytes(f"{ORIGIN}\n900\nAAAA\n", []),
        LOG.note(900)[:-20],
    ],
)
def test_what_a_witness_shows_without_the_logs_signature_is_no_mark(world: World, shown: bytes) -> None:
    for one in world.near.values():
        one.shows = shown
    assert world.client().marks(ORIGIN) == ()


def test_an_old_checkpoint_shown_again_is_a_mark_that_contradicts_nothing(world: World) -> None:
    world.near["one"].shows = LOG.note(17)
    client = world.client()
    assert [(mark.size, mark.root) for mark in client.marks(ORIGIN)] == [(17, LOG.head(17).root)]
    assert len(world.signers(client, 300)) >= 2


def test_thirty_two_signature_lines_are_never_exceeded(tmp_path: Path, world: World) -> None:
    crowd: dict[str, Near] = {}
    for number in range(40):
        name = f"w{number:02}"
        store = WitnessStore(tmp_path / f"{name}.db")
        crowd[name] = Near(Witness(store, name, key_of(name), {ORIGIN: [LOG.vkey]}))
    many = World(tmp_path, crowd, world.tiles)
    lines = many.client(f"group g all {' '.join(crowd)}\nquorum g").cosign(LOG.note(300), world.tiles)
    assert len(lines) == 31
    assert len(parse_note(LOG.note(300, lines)).signatures) == 32


def test_keys_of_the_policy_are_what_is_verified_with(world: World) -> None:
    key = VerifierKey("one", 0x04, key_of("somebody else").public_bytes)
    policy = parse_policy(f"log {LOG.vkey.text()}\nwitness one {key.text()}\nquorum one")
    client = Witnesses(policy, ORIGIN, lambda: [LOG.vkey], addresses={"one": world.near["one"]})
    assert client.cosign(LOG.note(300), world.tiles) == []
    assert client.counts.outcomes() == {("one", "garbage"): 1}
