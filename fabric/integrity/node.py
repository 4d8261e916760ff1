"""The whole check of a node's data folder, part by part, and the report that it ends in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy.engine import Connection

from fabric.capture.indexing import VERSIONS
from fabric.store.migrate import stale_projections
from fabric.store.spill import SPILL, spilling_into
from ledger.errors import InvalidInput, LoomarkError
from ledger.keyfile import read_public_key
from ledger.log.database import read_head, registry_entries
from ledger.log.durable import DiskFiles
from ledger.log.fsck import LogReport, check_log
from ledger.log.plan import replayed_registry
from ledger.log.publish import CHECKPOINT_FILE, verified_checkpoint
from ledger.note import ED25519, VerifierKey
from ledger.registry import Registry

from . import derived, graphs, keys, moment, stored, tables
from .report import NodeReport, report_of
from .run import DAMAGED, Progress, Run

LOG: Final = "log"
HIGH_WATER: Final = "high-water"
GRAPH: Final = "graph"


def check_node(
    folder: Path,
    database: Path | str,
    key: VerifierKey | None = None,
    *,
    progress: Progress | None = None,
    scratch: Path | None = None,
    high_water: Path | None = None,
    elsewhere: frozenset[str] = frozenset(),
) -> NodeReport:
    """Check the node whose data lies in `folder`; `key` is its log's as somebody got it who need not trust the folder.

    Without one, the key is the one that the folder itself names, in its charter and its key file: whoever can change
    all of them and sign anew is then found by witnesses and members only. `scratch` is where the copy goes, with room
    for twice the database and the graph. `high_water` is the high-water file where it is not in
    the folder; `elsewhere` names keys (log, operator) that the node is given by its environment.

    Raises Unavailable when there is no database; everything else is a fault.
    """
    with (
        TemporaryDirectory(prefix="loomark-fsck-", dir=scratch) as name,
        spilling_into(Path(name) / SPILL),
    ):
        run = Run(moment.copy_engine(Path(name) / "stored.db"), progress or _silent)
        run.elsewhere = elsewhere
        run.high_water = high_water or folder / HIGH_WATER
        try:
            return _check(run, folder, database, key, Path(name) / "stored.db")
        finally:
            run.engine.dispose()


def _silent(_what: str, _done: int, _total: int) -> None:
    return


class _AsFound(DiskFiles):
    """The files of the log; those that a working node replaces are first read as they were before the copy was taken.

    So what they name is in the copy, whatever is written meanwhile.
    """

    def __init__(self, *paths: Path) -> None:
        self._found = {path: super(_AsFound, self).read(path) for path in paths}

    def read(self, path: Path) -> bytes | None:
        """The bytes as they were found; when asked again, as they are now."""
        return self._found.pop(path) if path in self._found else super().read(path)


def _check(run: Run, folder: Path, database: Path | str, key: VerifierKey | None, copy: Path) -> NodeReport:
    found = LogReport(0, 0, 0, ())
    run.files = _AsFound(folder / LOG / CHECKPOINT_FILE, run.high_water)
    opened = graphs.open_graphs(run, folder / GRAPH, copy.with_name("graphs"))
    run.progress("copy", 0, 1)
    try:
        moment.take(database, copy)
    except moment.Unreadable as error:
        run.faults.note("database-page", "database", f"expected an SQLite database, got: {error}"[:300])
        return report_of(None, found, folder, run.faults)
    found = _checked_copy(run, folder, copy, key, opened)
    return report_of(run, found, folder)


def _checked_copy(
    run: Run,
    folder: Path,
    copy: Path,
    key: VerifierKey | None,
    opened: Sequence[graphs.Opened],
) -> LogReport:
    tables.check_pages(copy, run.faults)
    with run.part("tables"), run.row("database-shape", "tables"):
        tables.check_shape(run.engine, run.faults)
    found = LogReport(0, 0, 0, ())
    log_keys: tuple[VerifierKey, ...] = ()
    with run.part("table entry"), run.row("log-unreadable", "log"):
        log_keys = _log_keys(run, folder, key)
        found = check_log(
            run.engine,
            folder / LOG,
            log_keys,
            high_water=run.high_water,
            files=run.files,
            progress=lambda done, total: run.progress("entries", done, total),
        )
        run.faults.add(found.faults, found.counts)
        run.registry = found.registry
    with run.part("table head"), run.engine.connect() as connection, run.row("head", "head"):
        run.head = read_head(connection).size
    with run.row("key", keys.FOLDER):
        keys.check_keys(run, folder, log_keys, run.elsewhere)
    stored.check_stored(run)
    with run.part("projections"), run.row("underivable", "projections"):
        _projections(run, folder, copy, opened)
    return found


def _log_keys(run: Run, folder: Path, key: VerifierKey | None) -> tuple[VerifierKey, ...]:
    """Every key that the log has had, by its own entries, if the one that is trusted is among them; else that one.

    Where nothing is given to trust, the key file and the charter must agree; where they do not, the one that signed
    the checkpoint is taken, and the other is at fault.
    """
    with run.engine.connect() as connection:
        origin = read_head(connection).origin
        try:
            stated = tuple(one.vkey for one in _registry_at(connection, 2**62).log_keys)
        except DAMAGED:
            stated = ()
    trusted = key
    if trusted is None:
        try:
            public = read_public_key(folder / keys.FOLDER / "log.key")
            trusted = VerifierKey(stated[0].name if stated else origin, ED25519, public)
        except LoomarkError:
            # Named by the check of keys; the charter has to do.
            return stated or _nobody(origin)
    if trusted in stated or not stated:
        return stated or (trusted,)
    if key is None and _has_signed(folder, stated):
        return stated
    run.faults.note(
        "log-key", "entry 0", "expected a charter of the log's key, got one of another", got=stated[0].text()
    )
    return (trusted,)


def _nobody(origin: str) -> tuple[VerifierKey, ...]:
    """A key that signs nothing: the log goes unverified, and every note says so."""
    return (VerifierKey(origin or "unknown", ED25519, bytes(32)),)


def _has_signed(folder: Path, candidates: Sequence[VerifierKey]) -> bool:
    try:
        verified_checkpoint((folder / LOG / "checkpoint").read_bytes(), *candidates)
    except (OSError, InvalidInput):
        return False
    return True


def _registry_at(connection: Connection, size: int) -> Registry:
    """The registry of the first `size` entries."""
    return replayed_registry(read_head(connection).origin, registry_entries(connection, 0, size))


def _projections(run: Run, folder: Path, copy: Path, opened: Sequence[graphs.Opened]) -> None:
    """Derive everything from the records, compare it, and make graphs from what was derived."""
    with run.engine.connect() as connection:
        stale = stale_projections(connection, VERSIONS)
    if stale:
        run.faults.note(
            "projection-version", "projections", f"expected this version's, got another's {', '.join(stale)}"
        )
        return
    by_size = graphs.sizes(run, list(opened))
    graphs.check_purged(run, folder / GRAPH)
    fresh = copy.with_name("fresh.db")
    with derived.scratch(fresh, copy) as connection:
        registry = _registry_at(connection, run.head)
        if not derived.derive(run, connection, registry):
            return
        derived.compare(run, connection)
        graphs.check_notes(run, folder / GRAPH, connection, max(by_size, default=None))
    _catch_up(run, folder / GRAPH, fresh, copy, by_size)
    for size, same in by_size.items():
        if size == run.head:
            _graph(run, fresh, copy, same)
        elif 0 <= size < run.head:
            _earlier_graph(run, copy, size, same)
        else:
            for place, _ in same:
                run.faults.note("graph-size", place, f"expected it to cover at most {run.head}, got {size}")


def _catch_up(
    run: Run, folder: Path, fresh: Path, copy: Path, by_size: dict[int, list[graphs.Opened]]
) -> None:
    """Put a copy of the projector's store that covers the head in the place of one that lags.

    A projector that was ended in the middle of a pass leaves a part of it written. No reader sees that store, and the
    next start ends the pass by the code that runs here: what is wrong after it is damage.
    """
    for size in [size for size in by_size if 0 <= size < run.head]:
        for lagging in [one for one in by_size[size] if one[0] == graphs.STORE_PLACE]:
            by_size[size].remove(lagging)
            source = moment.copy_engine(fresh, (derived.STORED, copy))
            try:
                ahead = graphs.caught_up(run, folder, source, fresh.with_suffix(".ahead"))
            finally:
                source.dispose()
            if ahead is not None:
                by_size.setdefault(run.head, []).append((graphs.STORE_PLACE, ahead))


def _graph(run: Run, fresh: Path, copy: Path, same: list[graphs.Opened]) -> None:
    source = moment.copy_engine(fresh, (derived.STORED, copy))
    try:
        graphs.compare(run, source, fresh.with_suffix(".graph"), same)
    finally:
        source.dispose()


def _earlier_graph(run: Run, copy: Path, size: int, same: list[graphs.Opened]) -> None:
    """A graph that lags is held to what followed from the records of its own size."""
    fresh = copy.with_name(f"fresh-{size}.db")
    with derived.scratch(fresh, copy) as connection:
        derived.cut(connection, size)
        if not derived.derive(run, connection, _registry_at(connection, size)):
            return
    _graph(run, fresh, copy, same)


__all__ = ["check_node"]
