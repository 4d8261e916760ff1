"""What another organisation's server shows against what it anchored: evidence where the log signed both, else suspicion."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from api.cli.verify import app as verify_app
from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.misbehaviour import parse_misbehaviour, verify_misbehaviour
from ledger.policy import parse_policy, policy_text

from .anchoring import GrowingLog, Member, MemoryGateway, members


def pair(tmp_path: Path) -> tuple[Member, Member]:
    _, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    return one, two


def other_tree(one: Member, folder: Path, *sizes: int) -> GrowingLog:
    """Another history under the same origin and key, published at these sizes."""
    log = GrowingLog(folder, one.origin, one.log.key, history="other")
    last = 0
    for size in sizes:
        log.grow(size - last)
        last = size
    return log


def rules(suspicions: tuple[str, ...]) -> list[str]:
    """The rules, without what a reader without an API key always lacks: the entries."""
    return [one.partition(":")[0] for one in suspicions]


def kind_of(files: tuple[str, ...], one: Member) -> list[str]:
    policy = parse_policy(policy_text(one.log.vkey))
    return [verify_misbehaviour(parse_misbehaviour(Path(file).read_bytes()), policy).kind for file in files]


def test_a_server_that_shows_what_was_anchored_is_neither_accused_nor_suspected(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    follower = two.follower(one)
    assert (follower.look().shown, follower.look().anchored) == (5, 5)
    one.grow(300)
    one.submit()
    one.grow(2)
    look = follower.look()
    assert (look.anchored, look.shown, look.suspicions, look.evidence) == (305, 307, (), ())
    follower.close()


def test_another_tree_of_the_anchored_size_is_evidence_that_anybody_can_verify(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    other_tree(one, tmp_path / "shown", 5)
    follower = two.follower(one, tmp_path / "shown")
    look = follower.look()
    follower.close()
    assert kind_of(look.evidence, one) == ["split-view"]
    policy = tmp_path / "policy.txt"
    policy.write_text(policy_text(one.log.vkey))
    ran = CliRunner().invoke(verify_app, [look.evidence[0], "--policy", str(policy), "--json"])
    assert ran.exit_code == 4, ran.output
    assert json.loads(ran.output)["misbehaviour"]["kind"] == "split-view"


def test_a_larger_tree_that_does_not_contain_the_anchored_one_is_evidence(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    other_tree(one, tmp_path / "shown", 300)
    follower = two.follower(one, tmp_path / "shown")
    look = follower.look()
    follower.close()
    assert kind_of(look.evidence, one) == ["inconsistent-growth"]


def test_every_anchored_size_is_compared_not_only_the_newest(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    for count in (3, 4, 5):
        one.grow(count)
    one.submit()
    other_tree(one, tmp_path / "shown", 7)
    follower = two.follower(one, tmp_path / "shown")
    look = follower.look()
    follower.close()
    assert look.anchored == 12
    assert kind_of(look.evidence, one) == ["inconsistent-growth", "split-view"]


def test_a_server_that_refuses_to_answer_is_only_suspected(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    follower = two.follower(one, tmp_path / "nothing")
    look = follower.look()
    assert (rules(look.suspicions), look.evidence) == (["not-shown", "ahead"], ())
    follower.close()
    followed = two.follower(one)
    assert followed.look().suspicions == ()
    followed.close()


def test_a_server_that_shows_less_than_was_anchored_is_only_suspected(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    stale = GrowingLog(tmp_path / "stale", one.origin, one.log.key)
    stale.grow(5)
    one.grow(9)
    one.submit()
    follower = two.follower(one, tmp_path / "stale")
    look = follower.look()
    follower.close()
    assert (rules(look.suspicions), look.evidence) == (["ahead"], ())


def test_what_the_log_did_not_sign_cannot_speak_against_it(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    root = merkle.root([merkle.leaf_hash(b"forged")] * 5)
    forged = sign_checkpoint(Checkpoint(one.origin, 5, root), two.log.key)
    (tmp_path / "shown" / "log").mkdir(parents=True)
    (tmp_path / "shown" / "log" / "checkpoint").write_bytes(forged)
    follower = two.follower(one, tmp_path / "shown")
    look = follower.look()
    follower.close()
    assert (rules(look.suspicions), look.evidence) == (["unsigned-note", "ahead"], ())


def test_what_was_anchored_is_kept_over_restarts_and_evidence_is_found_again(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    follower = two.follower(one)
    assert follower.look().evidence == ()
    follower.close()
    two.die()
    two.gateway = MemoryGateway(two.network, two.msp)
    two.open()
    other_tree(one, tmp_path / "shown", 5)
    follower = two.follower(one, tmp_path / "shown")
    (file,) = follower.look().evidence
    follower.close()
    again = two.follower(one)
    assert again.look().evidence == (file,)
    again.close()
