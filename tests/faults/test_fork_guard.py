"""A node never gives two histories one name: each way to make it try, on a real data folder, and what it says.

What may have been signed is remembered in the published checkpoint, in the high-water file and by witnesses. A
head behind one of them, or different, makes the node read-only: it refuses to capture and says against which mark
and which sizes, it signs nothing more, and it goes on answering and proving.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.serving import Served
from fabric.capture.node import Node, NodeSettings, open_node
from fabric.capture.pool import InlinePreparer
from ledger.bundle import parse_bundle
from ledger.errors import Unavailable
from ledger.log.guard import HIGH_WATER, PUBLISHED, Mark, MarkSource, ReadOnlyLog, no_marks
from ledger.log.recover import open_sequencer
from ledger.log.sequencer import Sequencer
from ledger.log.space import MarksUnreadable
from ledger.policy import parse_policy
from ledger.verify import Verifier
from tests.faults.served import document as document_of
from tests.simulator import OPERATOR_CALLER, ORIGIN

EPCIS = "application/ld+json"


class Folder:
    """A node's folder, and the node that runs on it now; `names` and `proofs` are what it gave out."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self.chance = chance
        self.high_water: Path | None = None
        self.marks: MarkSource = no_marks
        self.node: Node | None = None
        self.names: list[str] = []
        self.proofs: list[bytes] = []
        self.ended = False

    def start(self) -> None:
        settings = NodeSettings(
            self.path, ORIGIN, high_water=self.high_water, marks=lambda origin: self.marks(origin)
        )
        self.node = open_node(settings, preparer=InlinePreparer(), on_failure=self._end)

    def _end(self, _error: BaseException) -> None:
        self.ended = True

    def stop(self) -> None:
        if self.node is not None:
            self.node.close()
            self.node = None

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Stop the node for a block, and start it again on what the block left."""
        self.stop()
        yield
        self.start()

    def go_on(self, captures: int = 1) -> None:
        """A folder at rest runs for a while, and rests again."""
        self.start()
        self.capture(captures)
        self.stop()

    def capture(self, times: int = 1) -> None:
        """Capture, wait for the index, keep a proof."""
        assert self.node is not None
        for _ in range(times):
            job = self.node.capture.capture("farm", document_of(self.chance, 1), EPCIS, settled=True)
            assert job.state == "sequenced"
            query = "SELECT lower(hex(commitment)) FROM record WHERE capture = ? AND position = 1"
            self.names.append(self.rows(query, job.capture))
            self.prove(self.names[-1])

    def prove(self, name: str) -> None:
        """Hand out a proof, and keep it."""
        assert self.node is not None
        self.proofs.append(self.node.prover.bundle_for(name, self.node.reader("farm")))

    def verify_all(self) -> None:
        """Everything that was ever handed out still verifies."""
        assert self.node is not None
        verifier = Verifier(parse_policy(f"log {self.node.vkey}\nquorum none\n"))
        for proof in self.proofs:
            verifier.verify(parse_bundle(proof))

    def rows(self, query: str, *values: object) -> Any:
        with closing(sqlite3.connect(f"file:{self.path}/loomark.db?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchone()[0]

    def entries(self) -> int:
        found: int = self.rows("SELECT count(*) FROM entry")
        return found

    def files(self) -> list[bytes | None]:
        """What says which heads were signed."""
        paths = (self.path / "log/checkpoint", self.high_water or self.path / "high-water")
        return [path.read_bytes() if path.is_file() else None for path in paths]

    def copied(self) -> Folder:
        """A copy of the whole folder."""
        other = Folder(self.path.with_name(f"copy-{self.chance.getrandbits(32)}"), self.chance)
        shutil.copytree(self.path, other.path)
        other.high_water, other.names, other.proofs = self.high_water, [*self.names], [*self.proofs]
        return other

    def of_a_copy(self, name: str, *, captures: int) -> dict[str, bytes]:
        """A file of a copy of this folder that captured on its own for a while."""
        with self.at_rest():
            other = self.copied()
            other.go_on(captures)
        return other.take(name)

    def take(self, *names: str) -> dict[str, bytes]:
        """Files of a folder at rest."""
        assert self.node is None
        assert not (self.path / "loomark.db-wal").exists()
        return {name: (self.path / name).read_bytes() for name in names}

    def put(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (self.path / name).write_bytes(data)

    def witness(self, name: str, size: int, root: bytes | None = None) -> None:
        """From now on somebody remembers a head of this log."""
        self.marks = lambda origin: (Mark(name, origin, size, root),)

    def stage_by_hand(self) -> None:
        """Put a statement into the queue behind the node's back."""
        assert self.node is not None
        service = self.node.capture
        with self.node._engine.begin() as connection:
            service._state(connection, {"type": "member", "subject": "shop", "name": "Shop", "parties": []})


@pytest.fixture
def folder(tmp_path: Path, seed: int) -> Iterator[Folder]:
    made = Folder(tmp_path / "node", random.Random(seed))
    made.start()
    assert made.node is not None
    admission = {"type": "member", "subject": "farm", "name": "Farm", "parties": []}
    made.node.capture.state(OPERATOR_CALLER, admission)
    made.capture(2)
    yield made
    made.stop()


def assert_refuses(folder: Folder, against: str, *says: str) -> None:
    """Read-only for this reason: nothing is stored or signed, and what was proved before is proved again."""
    node = folder.node
    assert node is not None
    state = node.state()
    assert (state["writable"], state["readOnly"]) == (False, True)
    assert state["reason"].startswith(f"read-only: against the {against}, ")
    assert all(words in state["reason"] for words in says), state["reason"]
    files, entries = folder.files(), folder.entries()
    with pytest.raises(ReadOnlyLog, match=against):
        node.capture.capture("farm", document_of(folder.chance, 1), EPCIS)
    with pytest.raises(ReadOnlyLog, match=against):
        node._sequencer.sequence()
    assert (folder.files(), folder.entries()) == (files, entries)
    folder.verify_all()
    folder.prove(folder.names[0])


def restore_backup(folder: Folder) -> tuple[str, ...]:
    """The database of yesterday beside the log folder of today; a replica that lost commits looks the same."""
    with folder.at_rest():
        backup = folder.take("loomark.db")
        folder.go_on(2)
        folder.put(backup)
    return PUBLISHED, "the head is behind: size 8 after 12"


def restore_database_and_log(folder: Folder) -> tuple[str, ...]:
    """Everything of yesterday but the high-water file, which no backup holds."""
    with folder.at_rest():
        backup = folder.take("loomark.db", "log/checkpoint")
        folder.go_on()
        folder.put(backup)
    return HIGH_WATER, "the head is behind: size 8 after 10"


def go_another_way(folder: Folder) -> tuple[str, ...]:
    """A copy took its own way; then its database is put under the original's log folder."""
    with folder.at_rest():
        other = folder.copied()
        folder.go_on()
        other.go_on()
        folder.put(other.take("loomark.db"))
    return PUBLISHED, "the head is different: another root at size 10"


def start_a_copy_later(folder: Folder) -> tuple[str, ...]:
    """The folder was copied, the original went on; the high-water file lies outside both."""
    with folder.at_rest():
        folder.high_water = folder.path.parent / "marks/high-water"
        folder.high_water.parent.mkdir()
        (folder.path / "high-water").rename(folder.high_water)
        other = folder.copied()
        folder.go_on(3)
        folder.path, folder.names, folder.proofs = other.path, other.names, other.proofs
    return HIGH_WATER, "the head is behind: size 8 after 14"


def start_a_copy_under_witnesses(folder: Folder) -> tuple[str, ...]:
    """The whole folder was copied, its high-water file too, and the original went on: its witnesses know."""
    with folder.at_rest():
        other = folder.copied()
        folder.go_on()
        folder.path = other.path
        folder.witness("witness.example", 10)
    return "witness.example", "the head is behind: size 8 after 10"


def start_a_fork_under_witnesses(folder: Folder) -> tuple[str, ...]:
    """Both went on, to the same size: only what the witness saw tells them apart."""
    with folder.at_rest():
        other = folder.copied()
        folder.start()
        folder.capture()
        assert folder.node is not None
        head = folder.node._sequencer.head.root
        folder.stop()
        folder.path = other.path
        folder.go_on()
        folder.witness("witness.example", 10, head)
    return "witness.example", "the head is different: another root at size 10"


def lose_the_high_water_file(folder: Folder) -> tuple[str, ...]:
    with folder.at_rest():
        (folder.path / "high-water").unlink()
    return HIGH_WATER, "expected the file that goes with a published log, got none"


def garble_the_high_water_file(folder: Folder) -> tuple[str, ...]:
    with folder.at_rest():
        (folder.path / "high-water").write_bytes(b"loomark\n\xff")
    return HIGH_WATER, "it cannot be read"


def make_the_high_water_file_unreadable(folder: Folder) -> tuple[str, ...]:
    with folder.at_rest():
        (folder.path / "high-water").unlink()
        (folder.path / "high-water").mkdir()
    return HIGH_WATER, "it cannot be read"


def take_the_high_water_file_of_another_log(folder: Folder) -> tuple[str, ...]:
    with folder.at_rest():
        text = (folder.path / "high-water").read_text()
        (folder.path / "high-water").write_text(text.replace(ORIGIN, "log.example/other"))
    return HIGH_WATER, f"expected the log {ORIGIN}, got log.example/other"


def garble_the_checkpoint(folder: Folder) -> tuple[str, ...]:
    with folder.at_rest():
        path = folder.path / "log/checkpoint"
        path.write_bytes(path.read_bytes().replace(b"\n8\n", b"\n9\n"))
    return PUBLISHED, "it cannot be read"


STARTS = [
    restore_backup,
    restore_database_and_log,
    go_another_way,
    start_a_copy_later,
    start_a_copy_under_witnesses,
    start_a_fork_under_witnesses,
    lose_the_high_water_file,
    garble_the_high_water_file,
    make_the_high_water_file_unreadable,
    take_the_high_water_file_of_another_log,
    garble_the_checkpoint,
]


@pytest.mark.parametrize("bring_about", STARTS, ids=lambda each: each.__name__)
def test_a_start_that_would_fork_the_log_is_read_only(
    folder: Folder, bring_about: Callable[[Folder], tuple[str, ...]]
) -> None:
    against, *says = bring_about(folder)
    unreadable = {"make_the_high_water_file_unreadable", "garble_the_checkpoint", "lose_the_high_water_file"}
    if bring_about.__name__ not in unreadable:
        assert_refuses(folder, against, *says)
        folder.stop()
        folder.start()
    assert folder.node is not None
    assert folder.node.state()["reason"].startswith(f"read-only: against the {against}, {says[0]}")


def publish_elsewhere(folder: Folder) -> tuple[str, ...]:
    """While the node runs, its checkpoint file becomes that of a copy which went on."""
    ahead = folder.of_a_copy("log/checkpoint", captures=2)
    folder.put(ahead)
    return PUBLISHED, "the head is behind: size 8 after 12"


def mark_elsewhere(folder: Folder) -> tuple[str, ...]:
    ahead = folder.of_a_copy("high-water", captures=1)
    folder.put(ahead)
    return HIGH_WATER, "the head is behind: size 8 after 10"


def publish_another_tree(folder: Folder) -> tuple[str, ...]:
    other = folder.of_a_copy("log/checkpoint", captures=1)
    folder.capture()
    folder.put(other)
    return PUBLISHED, "the head is different: another root at size 10"


def hear_of_a_larger_tree(folder: Folder) -> tuple[str, ...]:
    folder.witness("witness.example", 9_000)
    return "witness.example", "the head is behind: size 8 after 9000"


def hear_of_a_size_that_never_was(folder: Folder) -> tuple[str, ...]:
    folder.witness("witness.example", 7, bytes(32))
    return "witness.example", "the head is different: another root at size 7"


def lose_the_high_water_file_running(folder: Folder) -> tuple[str, ...]:
    (folder.path / "high-water").unlink()
    return HIGH_WATER, "expected the file that goes with a published log, got none"


RUNS = [
    publish_elsewhere,
    mark_elsewhere,
    publish_another_tree,
    hear_of_a_larger_tree,
    hear_of_a_size_that_never_was,
    lose_the_high_water_file_running,
]


@pytest.mark.parametrize("bring_about", RUNS, ids=lambda each: each.__name__)
def test_a_running_node_that_would_fork_the_log_stores_and_signs_nothing_more(
    folder: Folder, bring_about: Callable[[Folder], tuple[str, ...]]
) -> None:
    against, *says = bring_about(folder)
    node, entries = folder.node, folder.entries()
    assert node is not None
    with pytest.raises(ReadOnlyLog, match=against):
        node.capture.capture("farm", document_of(folder.chance, 1), EPCIS)
    assert folder.entries() == entries
    state = node.state()
    assert (state["writable"], state["readOnly"]) == (False, True)
    assert state["reason"] == f"read-only: against the {against}, {says[0]}"
    assert not folder.ended, "a node that became read-only goes on answering"
    assert folder.rows("SELECT count(*) FROM statement WHERE state = 'staged'") == 0
    folder.verify_all()
    folder.prove(folder.names[0])
    with pytest.raises(ReadOnlyLog, match=against):
        node.capture.capture("farm", document_of(folder.chance, 1), EPCIS)


def test_a_mark_that_cannot_be_read_for_a_while_holds_up_all_writing_for_that_while(folder: Folder) -> None:
    """Whether the file is there and right is unknown, so nothing is signed; that is no fork, and it passes."""
    node, path, entries = folder.node, folder.path / "high-water", folder.entries()
    assert node is not None
    kept = path.read_bytes()
    path.unlink()
    path.mkdir()
    with pytest.raises(MarksUnreadable, match="cannot be read now"):
        node.capture.capture("farm", document_of(folder.chance, 1), EPCIS)
    assert folder.entries() == entries
    state = node.state()
    assert (state["writable"], state["readOnly"]) == (False, False)
    path.rmdir()
    path.write_bytes(kept)
    folder.capture()
    assert node.state()["writable"]
    folder.verify_all()


def test_marks_that_agree_hold_up_nothing(folder: Folder) -> None:
    assert folder.node is not None
    head = folder.node._sequencer.head
    folder.witness("witness.example", head.size, head.root)
    folder.capture(2)
    folder.witness("witness.example", head.size)
    (folder.path / "log/checkpoint").unlink()
    folder.capture(2)
    folder.stop()
    (folder.path / "log/checkpoint").unlink()
    folder.start()
    folder.capture()
    assert folder.node.state()["writable"]
    folder.verify_all()


def test_a_whole_older_folder_without_witnesses_goes_on_and_nobody_here_can_tell(folder: Folder) -> None:
    """The known hole: a copy that carries its own high-water file. Witnesses, or a file elsewhere, close it."""
    folder.stop()
    other = folder.copied()
    folder.start()
    folder.capture()
    folder.stop()
    other.start()
    other.capture()
    assert other.node is not None
    assert other.node.state()["writable"]
    other.stop()


def test_a_folder_and_its_copy_do_not_run_on_one_machine(folder: Folder) -> None:
    other = folder.copied()
    files = other.files()
    with pytest.raises(Unavailable, match="another node on this machine signs with this log's key"):
        other.start()
    with pytest.raises(Unavailable, match="another node holds"):
        Folder(folder.path, folder.chance).start()
    assert other.files() == files
    folder.capture()
    folder.stop()
    other.start()
    other.stop()


def test_a_lost_compare_and_swap_ends_the_node_and_the_next_start_goes_on_from_what_is_stored(
    folder: Folder,
) -> None:
    node = folder.node
    assert node is not None
    assert isinstance(node._sequencer, Sequencer)
    other = open_sequencer(node._engine, node._sequencer._publisher, lambda: 0)
    folder.stage_by_hand()
    assert other.sequence() is not None
    entries = folder.entries()
    with pytest.raises(Unavailable):
        node.capture.capture("farm", document_of(folder.chance, 1), EPCIS, settled=True)
    assert folder.ended, "only a start can tell what is stored"
    assert folder.entries() == entries
    folder.stop()
    folder.start()
    folder.capture()
    folder.verify_all()


def test_a_served_node_that_is_read_only_says_so_everywhere(tmp_path: Path, seed: int) -> None:
    path, chance = tmp_path / "node", random.Random(seed)
    with Served(path) as served:
        keys = served.admit({"members": [{"id": "farm", "name": "Farm", "parties": []}]})
        operator = served.operator_key
    backup = (path / "loomark.db").read_bytes()
    with Served(path) as served, served.client(keys["farm"]) as http:
        taken = http.post("/epcis/capture", content=document_of(chance, 1), headers={"Content-Type": EPCIS})
        assert (
            http.get(taken.headers["location"], headers={"Prefer": "wait=10"}).json()["state"] == "sequenced"
        )
    (path / "loomark.db").write_bytes(backup)
    with Served(path) as served, served.client(keys["farm"]) as http:
        checkpoint = (path / "log/checkpoint").read_bytes()
        refused = http.post("/epcis/capture", content=document_of(chance, 1), headers={"Content-Type": EPCIS})
        assert (refused.status_code, refused.json()["rule"]) == (503, "read-only")
        assert refused.json()["type"] == "epcisException:ImplementationException"
        assert "published checkpoint, the head is behind: size 4 after 6" in refused.json()["detail"]
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["readOnly"]) == (503, True)
        assert "the head is behind: size 4 after 6" in ready.json()["reason"]
        metrics = {
            sample.name: sample.value
            for family in text_string_to_metric_families(http.get("/metrics").text)
            for sample in family.samples
        }
        assert (metrics["loomark_read_only"], metrics["loomark_writable"]) == (1, 0)
        assert http.get("/log/checkpoint").content == checkpoint
        with httpx2.Client(base_url=served.url, follow_redirects=True) as browser:
            page = browser.post("/login", data={"key": operator, "to": "/"})
            assert "takes no captures now" in page.text
            assert "the head is behind: size 4 after 6" in page.text
        assert served.process.poll() is None
        assert (path / "log/checkpoint").read_bytes() == checkpoint
