"""One look at a log after another: keep what it signed, check that it grew, read what is new, accuse or suspect.

The order of a look: 1. the checkpoints of the witnesses, then the log's, each verified and kept before anything else;
2. every kept head against the largest tree, through the log's hash tiles or the entries at hand; 3. the new entries,
which count only once they hash to the signed root; 4. their audit; 5. evidence, each piece verified before it is written.
An answer that is not signed changes nothing that is kept, so no answer can spoil a later look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final

from ..checkpoint import Checkpoint, checkpoint_of
from ..errors import InvalidInput, LoomarkError, TooLarge, VerificationError
from ..merkle import EMPTY_ROOT, Frontier, leaf_hash
from ..misbehaviour import Misbehaviour, parse_misbehaviour, verify_misbehaviour
from ..note import Note, parse_note, verify_note
from ..opened_tree import OpenedTree, open_tree
from ..policy import Policy
from ..shape import time_text
from ..tile import TILE_WIDTH
from ..verify import Verifier
from .archive import Archive
from .audit import Audit, Fault
from .evidence import Signed, evidence_of, inconsistent_growth, split_view, streamed
from .source import (
    MAX_CHECKPOINT_BYTES,
    LogSource,
    ShownTree,
    Suspicion,
    WitnessSource,
    shown_entries,
    suspicion_of,
)

LOG: Final = "log"
MAX_GROWTH_BYTES: Final = 16 << 30
"""Most bytes of new entries that one look takes, so that a log that signed a boundless tree cannot fill the disk."""

_NOT_SHOWN: Final = frozenset({"unauthenticated", "forbidden"})

Head = tuple[int, bytes]


@dataclass
class Report:
    """What one look found. ``size`` is the verified tree's, ``entries`` how many of its entries were read and replayed.

    ``evidence`` has all there is against this log, from earlier looks too; ``limits`` what the log shows to others only.
    """

    origin: str
    size: int = 0
    entries: int = 0
    heads: int = 0
    suspicions: list[Suspicion] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    evidence: list[tuple[Path, Misbehaviour]] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The report as a JSON object."""
        return {
            "log": self.origin,
            "size": self.size,
            "entries": self.entries,
            "checkpoints": self.heads,
            "suspicions": [one.as_json() for one in self.suspicions],
            "limits": self.limits,
            "evidence": [{"file": str(path), **found.as_json()} for path, found in self.evidence],
        }


def signed_head(data: bytes, origin: str, policy: Policy) -> tuple[Note, Checkpoint]:
    """The head in a note that a log of the policy signed; raises :class:`InvalidInput` for anything else."""
    if len(data) > MAX_CHECKPOINT_BYTES:
        raise TooLarge(
            f"expected a checkpoint of at most {MAX_CHECKPOINT_BYTES} bytes", rule="note-too-large"
        )
    note = parse_note(data)
    head = checkpoint_of(note)
    if head.origin != origin:
        raise InvalidInput(f"expected a checkpoint of {origin}, got one of another log", rule="wrong-origin")
    verify_note(note, [key for key in policy.logs if key.name == origin])
    if head.size < 2:
        raise InvalidInput(
            "expected a size of 2 or more, which is the smallest published", rule="bad-checkpoint"
        )
    return note, head


def open_monitor(
    folder: Path,
    policy: Policy,
    origin: str,
    now_ms: Callable[[], int],
    max_growth_bytes: int = MAX_GROWTH_BYTES,
) -> Monitor:
    """The monitor of a folder, caught up with what lies in it.

    Raises :class:`InvalidInput` (rule ``unknown-log``, ``wrong-log``, ``bad-archive``) or :class:`Unavailable` while
    another process has the folder.
    """
    if not any(key.name == origin for key in policy.logs):
        raise InvalidInput(f"expected a log of the policy, got {origin}", rule="unknown-log")
    archive = Archive(folder, origin, lambda data: signed_head(data, origin, policy)[1])
    monitor = Monitor(archive, policy, now_ms, max_growth_bytes)
    try:
        monitor.resume()
    except BaseException:
        monitor.close()
        raise
    return monitor


class Monitor:
    """Follows one log under one policy. Not to be shared by threads."""

    def __init__(
        self,
        archive: Archive,
        policy: Policy,
        now_ms: Callable[[], int],
        max_growth_bytes: int,
    ) -> None:
        self.archive = archive
        self._max_growth_bytes = max_growth_bytes
        self.origin = archive.state.origin
        self._policy = policy
        self._verifier = Verifier(policy)
        self._now_ms = now_ms
        self._audit = Audit(self.origin)
        self._frontier = Frontier()
        self._unchecked: set[Head] = set(archive.heads())
        self._judged = 0
        self._owed: dict[str, Callable[[], bytes]] = {}
        self._standing: list[Suspicion] = []
        self._verified: dict[Path, Misbehaviour] = {}

    def close(self) -> None:
        """Let the folder go."""
        self.archive.close()

    def resume(self) -> None:
        """Replay the entries at hand, by the code that follows new ones; raises :class:`InvalidInput` where they differ."""
        state = self.archive.state
        self._follow(self.archive.entries())
        known = self.archive.roots(state.entries)
        if state.entries and self._frontier.root() not in known:
            raise InvalidInput(
                "the monitor's own folder is damaged: its entries are not those of a kept head",
                rule="bad-archive",
            )
        for size, _ in self.archive.heads():
            self._accuse_split(size)
        self._judge()

    def told(self, source: str, data: bytes) -> None:
        """Keep a head that somebody else was shown, such as one that lies on a shared ledger; the next look compares it.

        Raises :class:`InvalidInput` for a note that the log did not sign.
        """
        note, head = signed_head(data, self.origin, self._policy)
        self._keep(head, note.data(), source)

    def look(self, log: LogSource, witnesses: Mapping[str, WitnessSource] | None = None) -> Report:
        """Look once. Whatever the sources answer, only the environment's own errors (a full disk) are raised."""
        report = Report(self.origin)
        self._settle()
        for name, witness in (witnesses or {}).items():
            self._take(f"witness {name}", lambda one=witness: one.checkpoint(self.origin), report, name)  # type: ignore[misc]
        shown = self._take(LOG, log.checkpoint, report)
        self._check_heads(log, shown, report)
        if shown is not None and self.archive.state.entries < self.archive.state.size:
            self._read_entries(log, report)
        self._judge()
        self._say(shown, report)
        return report

    def _take(
        self, source: str, fetch: Callable[[], bytes], report: Report, witness: str | None = None
    ) -> Checkpoint | None:
        """A head that the log signed, kept; None with a suspicion for anything else."""
        try:
            data = fetch()
            note, head = signed_head(data, self.origin, self._policy)
            if witness is not None:
                verify_note(note, [self._policy.witnesses[witness]])
        except LoomarkError as error:
            report.suspicions.append(suspicion_of(source, error))
            return None
        self._keep(head, note.data(), source)
        if witness is None:
            self._check_quorum(note, report)
        return head

    def _check_quorum(self, note: Note, report: Report) -> None:
        try:
            self._verifier.checkpoint(note, self.origin)
        except InvalidInput as error:
            report.suspicions.append(suspicion_of(LOG, error))

    def _keep(self, head: Checkpoint, note: bytes, source: str) -> None:
        if self.archive.keep(head, note, source, time_text(self._now_ms())):
            self._unchecked.add((head.size, head.root))
            self._accuse_split(head.size)

    def _accuse_split(self, size: int) -> None:
        roots = self.archive.roots(size)
        if len(roots) > 1:
            notes = [self.archive.note(size, root) for root in roots[:2]]
            self._accuse(f"split-view-{size}", lambda: split_view(*notes))

    def _check_heads(self, log: LogSource, shown: Checkpoint | None, report: Report) -> None:
        """Every head not yet checked against the largest tree that the log answers for."""
        self._check_mirrored()
        state = self.archive.state
        known = (state.size, state.root)
        top = known if shown is None or shown.size <= state.size else (shown.size, shown.root)
        if top[0] == 0:
            return
        tree = ShownTree(log, top[0])
        start = known if known[0] else (0, EMPTY_ROOT)
        if top != known and not self._check_through_tiles(tree, start, top, report):
            return
        for head in self._behind(top[0]):
            so_far = len(report.suspicions)
            self._check_through_tiles(tree, head, top, report)
            if len(report.suspicions) > so_far:
                # What the log does not show for one head it does not show for the others.
                break
        if top != known:
            self._unchecked.discard(top)
            self.archive.settle(replace(state, size=top[0], root=top[1]))

    def _check_through_tiles(self, tree: ShownTree, head: Head, top: Head, report: Report) -> bool:
        """Whether the tree of ``top`` extends ``head``, by the hash tiles that the log shows."""
        try:
            opened = OpenedTree(open_tree(tree.reader, top[0], {}, head[0]), head[0])
        except LoomarkError as error:
            report.suspicions.append(suspicion_of(LOG, error))
            return False
        if opened.root != top[1]:
            message = (
                f"its tiles do not lead to the root that it signed at size {top[0]}; they are not signed"
            )
            report.suspicions.append(Suspicion("tiles-differ", LOG, message))
            return False
        self._unchecked.discard(head)
        if opened.earlier == head[1]:
            return True
        self._accuse_growth(head, top, tree)
        return False

    def _accuse_growth(self, head: Head, top: Head, tree: ShownTree) -> None:
        old, new = self.archive.note(*head), self.archive.note(*top)
        self._accuse(
            f"inconsistent-growth-{head[0]}",
            lambda: inconsistent_growth(old, head[0], new, top[0], tree.reader),
        )

    def _behind(self, size: int) -> list[Head]:
        """Heads below a size that the entries at hand do not reach, and that were not checked yet."""
        return sorted([head for head in self._unchecked if self.archive.state.entries < head[0] < size])

    def _check_mirrored(self) -> None:
        """Heads behind the entries at hand, such as an old checkpoint shown again, against those entries."""
        size = self.archive.state.entries
        late = [head for head in self._unchecked if head[0] <= size]
        if not late:
            return
        tree, at = Frontier(), {head[0] for head in late}
        for data in self.archive.entries():
            tree.append(leaf_hash(data))
            if tree.size in at:
                self._compare(tree.size, tree.root())

    def _compare(self, size: int, root: bytes) -> None:
        """Compare the heads that were signed at a size with the entries at hand, which end in a signed head."""
        top = (self.archive.state.entries, self._frontier.root())
        for signed in self.archive.roots(size):
            self._unchecked.discard((size, signed))
            if signed != root and size < top[0]:
                old, new = self.archive.note(size, signed), self.archive.note(*top)
                self._accuse(
                    f"inconsistent-growth-{size}",
                    lambda old=old, new=new: inconsistent_growth(  # type: ignore[misc]
                        old, size, new, top[0], streamed(self.archive.entries)
                    ),
                )

    def _read_entries(self, log: LogSource, report: Report) -> None:
        """Fetch what is missing up to the verified head; it counts only where it hashes to that head."""
        state, tree = self.archive.state, self._frontier.copy()
        try:
            more = self.archive.append(self._fetched(log, tree))
        except LoomarkError as error:
            if isinstance(error, InvalidInput) and error.rule in _NOT_SHOWN:
                report.limits.append(f"entries are not shown to this reader: {error}")
            else:
                report.suspicions.append(suspicion_of(LOG, error))
            return
        if tree.root() != state.root:
            message = f"its entries do not hash to the root that it signed at size {state.size}; they are not signed"
            report.suspicions.append(Suspicion("entries-differ", LOG, message))
            return
        start = state.entries
        self.archive.settle(replace(state, entries=state.size, size_bytes=state.size_bytes + more))
        self._follow(islice(self.archive.entries(), start, None))

    def _fetched(self, log: LogSource, tree: Frontier) -> Iterator[bytes]:
        size, left = self.archive.state.size, self._max_growth_bytes
        while tree.size < size:
            index, skip = divmod(tree.size, TILE_WIDTH)
            width = min(TILE_WIDTH, size - index * TILE_WIDTH)
            for data in shown_entries(log, index, width)[skip:]:
                left -= len(data)
                if left < 0:
                    raise TooLarge(f"expected at most {self._max_growth_bytes} new bytes", rule="too-much")
                tree.append(leaf_hash(data))
                yield data

    def _follow(self, entries: Iterable[bytes]) -> None:
        later: list[tuple[int, bytes]] = []
        for data in entries:
            self._frontier.append(leaf_hash(data))
            self._audit.take(data)
            size = self._frontier.size
            signed = self.archive.roots(size)
            if signed:
                root = self._frontier.root()
                later.append((size, root))
                if root in signed:
                    self._audit.end()
        for size, root in later:
            self._compare(size, root)

    def _judge(self) -> None:
        """Evidence of each fault that the audit found since the last look."""
        while self._judged < len(self._audit.faults):
            fault = self._audit.faults[self._judged]
            self._judged += 1
            name = "-".join([fault.kind, *[str(index) for index in fault.at]])
            self._accuse(name, lambda one=fault: self._evidence(one))  # type: ignore[misc]

    def _evidence(self, fault: Fault) -> bytes:
        size = fault.size or self.archive.state.entries
        note = self.archive.note(size, self._root_at(size))
        entries = self.archive.entries
        return evidence_of(fault, Signed(self.origin, size, note, lambda: islice(entries(), size)))

    def _root_at(self, size: int) -> bytes:
        """The root of the entries at hand, which was signed, at a size."""
        if size == self._frontier.size:
            return self._frontier.root()
        tree = Frontier()
        for data in islice(self.archive.entries(), size):
            tree.append(leaf_hash(data))
        return tree.root()

    def _accuse(self, name: str, build: Callable[[], bytes]) -> None:
        """Owe evidence of that name, unless it is there, and write what is owed."""
        if not self.archive.evidence_path(name).exists():
            self._owed[name] = build
        self._settle()

    def _settle(self) -> None:
        """Write what is owed, and only what a stranger will accept; what a full disk stops is owed at the next look."""
        for name, build in list(self._owed.items()):
            try:
                data = build()
                found = verify_misbehaviour(parse_misbehaviour(data), self._policy)
            except LoomarkError as error:
                message = f"the log broke a rule, and no file can show it: {error}"
                self._standing.append(Suspicion("no-evidence", name, message))
            else:
                self._verified[self.archive.accuse(name, data)] = found
            del self._owed[name]

    def _say(self, shown: Checkpoint | None, report: Report) -> None:
        state = self.archive.state
        report.size, report.entries = state.size, state.entries
        report.heads = self.archive.count
        if shown is not None and shown.size < state.size:
            message = f"it shows size {shown.size} after it had shown {state.size}: stale, or rolled back"
            report.suspicions.append(Suspicion("stale", LOG, message))
        ahead = max([size for size, _ in self._unchecked], default=0)
        if ahead > state.size:
            message = (
                f"it signed a tree of size {ahead} and shows one of {state.size}; for a moment that is normal"
            )
            report.suspicions.append(Suspicion("ahead", LOG, message))
        if self._audit.stopped is not None:
            report.limits.append(
                f"entries from {self._audit.stopped} on are kept and hashed, but no longer replayed"
            )
        if self._audit.uncounted:
            report.limits.append(f"{self._audit.uncounted} further faults and suspicions are only counted")
        report.suspicions += [*self._standing, *self._audit.suspicions]
        report.evidence = [(path, self._reread(path)) for path in self.archive.evidence()]

    def _reread(self, path: Path) -> Misbehaviour:
        if path not in self._verified:
            try:
                found = verify_misbehaviour(parse_misbehaviour(path.read_bytes()), self._policy)
            except VerificationError as error:
                raise InvalidInput(
                    f"the monitor's own folder is damaged: {path.name}: {error}", rule="bad-archive"
                ) from error
            self._verified[path] = found
        return self._verified[path]
