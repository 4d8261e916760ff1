"""The loops of an anchor, and what it says: lag, trouble with its reason, and that it goes on by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api.cli.log_http import HttpLog
from ledger.hyperledger.anchor.companion import AnchorProcess, AnchorSettings
from ledger.hyperledger.anchor.follow import OpenLog
from ledger.hyperledger.anchor.run import Anchor, Pauses
from ledger.hyperledger.anchor.status import FOLDER, Status, health, read_status, reasons, write_status
from ledger.hyperledger.channel import Channel
from ledger.hyperledger.connection import Anchoring, Followed

from .anchoring import FolderSource, GrowingLog, Member, MemoryGateway, members, profile_of, until

SOON = Pauses(0.01, 0.01, 0.05, 0.02, 0.05, 0.05, 0.1)
NOW_MS = 2_000_000_000_000


class Running:
    """Anchors that run in this process, over members whose folders they take."""

    def __init__(self) -> None:
        self.stack = ExitStack()

    def start(
        self,
        member: Member,
        *follow: Followed,
        open_log: OpenLog | None = None,
        anchoring: Anchoring | None = None,
    ) -> Anchor:
        member.store.close()
        anchor = Anchor(
            member.folder,
            member.origin,
            profile_of(member.msp, anchoring or Anchoring(every=1, seconds=0.1), follow),
            Channel(MemoryGateway(member.network, member.msp)),
            member.cosigner_key,
            open_log or (lambda url, _key: FolderSource(Path(url.removesuffix("/log")))),
            SOON,
        )
        anchor.start()
        self.stack.callback(anchor.stop)
        return anchor


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    with made.stack:
        yield made
    assert not [one.name for one in threading.enumerate() if one.name in ("submit", "events", "follow")]


def told(anchor: Anchor, published: int) -> dict[str, Any]:
    """The node's view, by the file that the anchor writes."""
    anchor.say()
    return health(anchor.folder, published, anchor.status().time_ms + 5_000)


def test_two_anchors_bring_each_other_to_the_quorum_while_logs_grow(tmp_path: Path, running: Running) -> None:
    _, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    anchors = [running.start(one), running.start(two)]
    for _ in range(12):
        one.log.grow(3)
        two.log.grow(2)
    until(lambda: [a.collector.size for a in anchors] == [36, 24], "both to be cosigned")
    until(lambda: told(anchors[0], 36)["unsent"] == 0, "all lines to be sent")
    found = told(anchors[0], 36)
    assert (found["healthy"], found["lag"], found["backlog"], found["onChannel"]) == (True, 0, 0, 36)
    assert not any(anchor.failure for anchor in anchors)


def test_while_the_network_is_away_the_lag_grows_visibly_and_then_drains(
    tmp_path: Path, running: Running
) -> None:
    channel, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    first, _ = running.start(one), running.start(two)
    one.log.grow(4)
    until(lambda: first.collector.size == 4, "the first to be cosigned")
    channel.away = True
    for size in (6, 8, 10):
        one.log.grow(2)
        until(lambda size=size: first.status().published == size, "the log to be looked at")  # type: ignore[misc]
        until(lambda size=size: first.status().backlog >= (size - 4) // 2, "it to wait")  # type: ignore[misc]
    until(lambda: "submit" in first.status().trouble, "trouble to be told")
    found = told(first, 10)
    assert (found["healthy"], found["lag"], found["backlog"], found["cosigned"]) == (False, 6, 3, 4)
    assert any(reason.startswith("submit: network-away: ") for reason in found["reasons"])
    assert found["secondsSinceAnchored"] > 0
    assert found["oldestWaitsSeconds"] > 0
    channel.away = False
    until(lambda: first.collector.size == 10, "the backlog to drain")
    until(lambda: told(first, 10)["healthy"], "the trouble to be over")
    assert told(first, 10)["lag"] == 0
    assert [each.size for each in one.channel.history(one.origin)] == [4, 6, 8, 10]


def test_a_fork_that_the_chaincode_refuses_is_a_health_failure_with_its_reason(
    tmp_path: Path, running: Running
) -> None:
    channel, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(5)
    one.submit()
    forked = Member(channel, "Org1MSP", tmp_path / "forked", history="other")
    anchor = running.start(forked)
    forked.log.grow(9)
    until(lambda: "submit" in anchor.status().trouble, "trouble to be told")
    found = told(anchor, 9)
    assert not found["healthy"]
    (reason,) = [reason for reason in found["reasons"] if reason.startswith("submit: ")]
    assert "consistency" in reason
    assert "expected a consistency proof from size 5" in reason
    assert found["backlog"] == 1
    assert one.channel.latest(one.origin) == (5, one.log.root(5))


def test_an_anchor_starts_before_its_organisation_is_registered(tmp_path: Path, running: Running) -> None:
    channel, (one,) = members(tmp_path, "Org1MSP")
    late = Member(channel, "Org2MSP", tmp_path / "late")
    first, second = running.start(one), running.start(late)
    one.log.grow(3)
    until(lambda: {"events"} <= second.status().trouble.keys(), "trouble to be told")
    assert second.status().trouble["events"]["rule"] == "not-registered"
    assert "loomark hyperledger register" in second.status().trouble["events"]["reason"]
    late.register()
    until(lambda: second.status().trouble == {}, "it to go on")
    until(lambda: one.lines(3) == ["Org1MSP", "Org2MSP"], "both to have cosigned")
    assert first.failure is None


def test_an_anchor_with_too_few_organisations_says_so_and_goes_on_when_another_joins(
    tmp_path: Path, running: Running
) -> None:
    channel, (one,) = members(tmp_path, "Org1MSP")
    anchor = running.start(one, anchoring=Anchoring(every=1, seconds=0.1, quorum=2))
    one.log.grow(3)
    until(lambda: one.lines(3) == ["Org1MSP"], "the own line")
    until(lambda: "collect" in anchor.status().trouble, "trouble to be told")
    assert anchor.status().trouble["collect"]["rule"] == "too-few-organisations"
    late = Member(channel, "Org2MSP", tmp_path / "late")
    late.register()
    late.watch()
    until(lambda: anchor.collector.size == 3, "the quorum")
    until(lambda: told(anchor, 3)["healthy"], "the trouble to be over")


def test_a_followed_server_that_shows_another_tree_makes_its_follower_unwell(
    tmp_path: Path, running: Running
) -> None:
    _, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(5)
    one.submit()
    shown = GrowingLog(tmp_path / "shown", one.origin, one.log.key, history="other")
    shown.grow(7)
    followed = Followed(one.origin, str(tmp_path / "shown"))
    anchor = running.start(two, followed)
    until(lambda: anchor.status().followed.get(one.origin, {}).get("evidence"), "evidence")
    found = told(anchor, 0)
    assert not found["healthy"]
    (reason,) = found["reasons"]
    assert reason.startswith(f"{one.origin} misbehaved: ")
    assert Path(reason.partition(": ")[2]).exists()


def test_a_followed_server_that_is_away_does_not(tmp_path: Path, running: Running) -> None:
    _, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(5)
    one.submit()
    anchor = running.start(two, Followed(one.origin, str(tmp_path / "nowhere")))
    until(lambda: anchor.status().followed.get(one.origin, {}).get("suspicions"), "a suspicion")
    assert told(anchor, 0)["healthy"]
    assert anchor.status().followed[one.origin]["evidence"] == ()


def test_a_followed_log_that_cannot_be_asked_ends_no_other_loop(tmp_path: Path, running: Running) -> None:
    _, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    key = tmp_path / "key"
    key.write_bytes("kéy".encode())
    key.chmod(0o600)
    anchor = running.start(two, Followed(one.origin, "http://127.0.0.1:1", key), open_log=HttpLog)
    until(lambda: anchor.status().trouble.get("follow"), "what is wrong")
    assert "API key" in anchor.status().trouble["follow"]["reason"]
    assert anchor.failure is None
    one.grow(5)
    one.submit()
    until(lambda: one.lines(5) == ["Org2MSP"], "a line")


def test_what_no_loop_expects_ends_the_anchor(tmp_path: Path) -> None:
    channel, (one,) = members(tmp_path, "Org1MSP")
    one.store.close()

    def broken(step: str, place: str) -> None:
        raise ZeroDivisionError(step)

    gateway = MemoryGateway(channel, one.msp, fault=broken)
    profile = profile_of(one.msp, Anchoring())
    open_log = lambda url, _key: FolderSource(Path(url))  # noqa: E731
    anchor = Anchor(one.folder, one.origin, profile, Channel(gateway), one.cosigner_key, open_log, SOON)
    anchor.start()
    assert anchor.ended.wait(30)
    anchor.stop()
    assert isinstance(anchor.failure, ZeroDivisionError)


def test_an_anchor_that_cannot_start_says_why_and_ends(tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text("channel = 7\n")
    process = AnchorProcess(AnchorSettings(tmp_path / "node", "log.example/x", profile, HttpLog))
    process.start()
    until(lambda: not process.is_alive(), "the process to end")
    found = health(tmp_path / "node" / FOLDER, 0, 0)
    assert not found["healthy"]
    assert found["reasons"][0].startswith("start: bad-profile: ")
    process.stop()
    process.stop()
    assert not (tmp_path / "node" / FOLDER / "anchor.db").exists()


def test_no_status_or_one_that_cannot_be_read_is_told_as_such(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    silent = {"healthy": False, "reasons": ["the anchor has not said anything yet"], "lag": 7}
    assert health(folder, 7, NOW_MS) == silent
    for text in ("", "{", "[]", "{}", '{"origin": 1}'):
        (folder / "status.json").write_text(text)
        assert read_status(folder) is None
        assert health(folder, 7, NOW_MS) == silent
    write_status(folder, Status(origin="x", cosigned=4, time_ms=NOW_MS))
    assert (health(folder, 7, NOW_MS)["lag"], reasons(Status(time_ms=NOW_MS), NOW_MS)) == (3, [])
    assert health(folder, 7, NOW_MS + 30_999)["healthy"]
    late = health(folder, 7, NOW_MS + 31_000)
    assert (late["healthy"], late["reasons"]) == (False, ["the anchor has said nothing for 31 s"])
