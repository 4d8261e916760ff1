"""What was erased is found in no node's folder and in no table of the database that they share, whoever was down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from fabric.capture import sweep
from fabric.capture.node import Node, open_node
from fabric.capture.pool import InlinePreparer
from fabric.capture.sweep import Sweeper, kept_dead, rewrite_postgresql
from fabric.graph import GraphReader, Source, open_projection
from fabric.graph.projection import Projection
from fabric.graph.snapshots import PURGED, purged
from fabric.store.engine import writer_engine
from tests.fabric.erasure.conftest import FARM
from tests.fabric.erasure.search import found
from tests.fabric.erasure.test_no_trace import catch_up, secrets, telling
from tests.simulator import EPCIS

from .fixtures import Postgres
from .test_turns import WITHIN_S, Pair, until


class Two(Pair):
    """Two nodes on one database, each with a graph in its own folder that is followed when it is told to."""

    def folders(self) -> tuple[Path, Path]:
        return self.folder, self.folder.parent / "other"

    def tell(self, count: int) -> list[str]:
        """Capture events that say something of their own; their records' names."""
        self.tick()
        body = self.document([telling(self, number, FARM) for number in range(count)])
        ticket = self.node.capture.store("farm", self.node.capture.prepare(body, EPCIS).result())
        return self.names(self.settled(self.node, ticket))[1:]

    def erase(self, node: Node, name: str) -> int:
        """Erase a record at a node; the log index of the erasure."""
        self.tick()
        ticket = node.capture.erase("farm", json.dumps({"records": [name], "reason": "asked to"}).encode())
        posted = ticket.stored.result(WITHIN_S)
        ticket.settled.result(WITHIN_S)
        index = node.capture.outcome(posted.row).index
        assert index is not None
        return index

    def reopen_other(self) -> None:
        """Start the second node again."""
        self.other = open_node(
            self._settings(self.folders()[1]), clock=self._clock, preparer=InlinePreparer()
        )

    def swept(self) -> list[int]:
        """What the database says of its erasures, oldest first."""
        return [row[0] for row in self.rows("SELECT swept FROM erasure ORDER BY idx")]


@pytest.fixture
def two(tmp_path: Path, postgres: Postgres) -> Iterator[Two]:
    pair = Two(tmp_path, postgres())
    yield pair
    pair.other.close()
    pair.node.close()


def follow(stack: ExitStack, node: Node) -> Projection:
    """Open the graph in a node's own folder, and bring it up to the head."""
    projection = open_projection(node.folder / "graph", Source(node.reading))
    stack.callback(projection.close)
    catch_up(projection)
    return projection


@pytest.fixture
def rewrites(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that rewrote the database, in order."""
    done: list[str] = []
    real = sweep.rewrite_postgresql

    def rewrite(engine: Engine) -> bool:
        done.append(threading.current_thread().name + f" {id(engine)}")
        return real(engine)

    monkeypatch.setattr(sweep, "rewrite_postgresql", rewrite)
    return done


def test_neither_folder_holds_what_was_erased_and_the_database_is_rewritten_once(
    two: Two, rewrites: list[str]
) -> None:
    names = two.tell(4)
    told = list(secrets(1).values())
    with ExitStack() as stack:
        graphs = [follow(stack, node) for node in (two.node, two.other)]
        assert all(found(folder, told) for folder in two.folders())
        # The node that does not sequence is asked: the other one carries it out, and sweeps the tables.
        index = two.erase(two.other, names[1])
        until(lambda: two.swept() == [1])
        assert rewrites == [f"writer {id(two.node._engine)}"]
        assert [purged(folder / "graph") for folder in two.folders()] == [-1, -1]
        catch_up(graphs[0])
        # Each node speaks for its own files: one is done, the other is not, and neither says otherwise.
        assert [purged(folder / "graph") for folder in two.folders()] == [index, -1]
        assert found(two.folders()[0], told) == {}
        assert found(two.folders()[1], told) != {}
        catch_up(graphs[1])
        assert purged(two.folders()[1] / "graph") == index
        for folder in two.folders():
            assert found(folder, told) == {}
            assert found(folder, secrets(2).values()).keys()
    assert rewrites == [f"writer {id(two.node._engine)}"]


def test_a_node_that_was_down_sweeps_its_folder_when_it_starts_again(two: Two, rewrites: list[str]) -> None:
    names = two.tell(4)
    told = [value for number in (1, 2) for value in secrets(number).values()]
    with ExitStack() as stack:
        follow(stack, two.other)
    two.other.close()
    two.erase(two.node, names[1])
    until(lambda: two.swept() == [1])
    last = two.erase(two.node, names[2])
    until(lambda: two.swept() == [1, 1])
    before = len(rewrites)
    assert found(two.folders()[1], told) != {}
    two.reopen_other()
    assert GraphReader(two.folders()[1] / "graph").purged == -1
    with ExitStack() as stack:
        follow(stack, two.other)
    assert GraphReader(two.folders()[1] / "graph").purged == last
    assert found(two.folders()[1], told) == {}
    assert found(two.folders()[1], secrets(3).values()).keys()
    # What is left to do in a folder is not done to the database again.
    assert len(rewrites) == before


def test_a_folder_that_forgot_what_it_swept_is_swept_from_the_start(two: Two) -> None:
    names = two.tell(2)
    with ExitStack() as stack:
        graph = follow(stack, two.other)
        index = two.erase(two.node, names[1])
        catch_up(graph)
    folder = two.folders()[1] / "graph"
    assert purged(folder) == index
    snapshots = sorted(path.name for path in folder.glob("snap-*"))
    (folder / PURGED).unlink()
    with ExitStack() as stack:
        follow(stack, two.other)
    assert purged(folder) == index
    assert sorted(path.name for path in folder.glob("snap-*")) != snapshots
    assert found(folder, secrets(1).values()) == {}
    assert found(folder, secrets(0).values()).keys()


def test_a_snapshot_that_cannot_be_removed_keeps_a_node_from_saying_that_it_is_gone(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = two.tell(2)

    def refuse(*_: object, ignore_errors: bool = False, **__: object) -> None:
        if not ignore_errors:
            raise PermissionError("no")

    with ExitStack() as stack:
        graph = follow(stack, two.other)
        index = two.erase(two.node, names[1])
        folder = two.folders()[1] / "graph"
        assert graph.advance()
        with monkeypatch.context() as patch:
            patch.setattr("fabric.graph.snapshots.shutil.rmtree", refuse)
            with pytest.raises(PermissionError):
                graph.publish()
        assert purged(folder) == -1
        assert found(folder, secrets(1).values()) != {}
    with ExitStack() as stack:
        follow(stack, two.other)
    assert purged(folder) == index
    assert found(folder, secrets(1).values()) == {}


def test_whoever_takes_over_sweeps_what_the_last_one_left(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    names = two.tell(2)
    # The node that sequences ends before it sweeps; the other one had swept all there was, in an earlier turn.
    two.other._writer._sweeper._due = False
    with monkeypatch.context() as patch:
        patch.setattr(two.node._writer._sweeper, "run", lambda: False)
        two.erase(two.node, names[1])
        two.node.close()
    until(lambda: two.other.state()["sequencing"])
    with two.other.reading.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM erasure WHERE idx > 0").scalar_one() == 1

    def swept() -> bool:
        with two.other.reading.connect() as connection:
            return bool(connection.exec_driver_sql("SELECT min(swept) FROM erasure").scalar_one())

    until(swept)
    two.node = two._open()


def test_what_is_erased_during_a_sweep_is_left_to_the_next(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    names = two.tell(3)
    monkeypatch.setattr(two.node._writer._sweeper, "run", lambda: False)
    two.erase(two.node, names[1])
    real = sweep.rewrite_postgresql

    def slow(engine: Engine) -> bool:
        done = real(engine)
        two.erase(two.node, names[2])
        return done

    own = Sweeper(two.node._engine)
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "rewrite_postgresql", slow)
        assert own.run()
    assert two.swept() == [1, 0]
    own.remind()
    own._not_before = 0.0
    assert own.run()
    assert two.swept() == [1, 1]


def test_rows_that_somebody_may_still_see_are_not_said_to_be_gone(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = two.tell(2)
    monkeypatch.setattr(two.node._writer._sweeper, "run", lambda: False)
    with two.other.reading.connect() as reading:
        # A moment of the database is held, but no table: nothing keeps the rewriting waiting.
        reading.exec_driver_sql("SELECT 1").one()
        two.erase(two.node, names[1])
        assert not rewrite_postgresql(two.node._engine)
        own = Sweeper(two.node._engine)
        assert not own.run()
        assert two.swept() == [0]
    own._not_before = 0.0
    assert own.run()
    assert two.swept() == [1]


def test_a_role_that_owns_no_table_sweeps_none_and_says_so(two: Two) -> None:
    stranger = writer_engine(two._chosen)

    @event.listens_for(stranger, "connect")
    def become(connection: Any, _record: Any) -> None:
        connection.execute("SET ROLE pg_monitor")
        connection.commit()

    assert not rewrite_postgresql(stranger)
    stranger.dispose()
    assert rewrite_postgresql(two.node._engine)


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        ("0 dead row versions cannot be removed yet.\nCPU: user: 0.01 s, elapsed: 2 s.", [0]),
        ("17 tote Zeilenversionen können noch nicht entfernt werden.\nCPU: 1 s", [17]),
        ("CPU: user: 0.01 s, system: 0.00 s", []),
        ("", []),
        (None, []),
    ],
)
def test_what_a_server_says_it_kept_is_read(detail: str | None, kept: list[int]) -> None:
    assert kept_dead(detail) == kept
