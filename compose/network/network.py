"""One network in one folder: started, stopped and disturbed by name. What `python -m compose.network` does, as a class.

A network is built in this order: key material, the channel's first block, the configuration files; then orderers and peers
are started and join the channel, the chaincode is installed, approved and committed, and an endorsed transaction is
submitted. Whoever builds it waits for the last step, so what is handed out works. What fails on the way ends every process
that was started for it.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from . import layout as names
from . import lifecycle
from .binaries import find_binaries
from .building import PATIENCE_S, Builder
from .certificates import Authority, subject, write_identity
from .errors import BadTopology, NotReady
from .health import height_of_channel
from .layout import Layout, Topology
from .lifecycle import for_each
from .processes import Processes, memory_bytes, wait_until
from .profiles import profile_path, profile_text
from .programs import Programs
from .state import Deployed, State, load_state, new_state, with_new_chaincode_ports

_TRIES: Final = 3
# What orderers, peers and chaincode servers say of a port that somebody has taken.
_IN_USE: Final = re.compile(r"address already in use|failed to bind", re.IGNORECASE)


class Network:
    """The network of a folder. ``chaincode`` is the command that starts a server, without address, id and certificate.

    What changes the folder holds its lock, so that commands wait for each other.
    """

    def __init__(
        self, folder: Path, *, binaries: Path | None = None, chaincode: Sequence[str] = lifecycle.COMMAND
    ) -> None:
        self.folder = folder.resolve()
        self.processes = Processes(self.folder / "processes.json")
        self._binaries = binaries
        self._chaincode = tuple(chaincode)

    # What it consists of

    @property
    def state(self) -> State:
        """What the folder remembers; :class:`BadTopology` where it holds no network."""
        state = load_state(self.folder)
        if state is None:
            raise BadTopology(f"no network in {self.folder}")
        return state

    @property
    def layout(self) -> Layout:
        """Where each part lies and listens."""
        return self.state.layout(self.folder)

    def profile(self, number: int, *, admin: bool = False) -> Path:
        """The profile of an organisation's client, or of its admin."""
        return profile_path(self.layout, number, admin=admin)

    def status(self) -> dict[str, tuple[bool, int | None]]:
        """Whether each process runs, and its resident memory in bytes."""
        recorded = self.processes.recorded()
        running = {name: each for name, each in recorded.items() if self.processes.alive(name)}
        return {
            name: (name in running, memory_bytes(running[name]) if name in running else None)
            for name in self.state.topology.processes()
        }

    # Up and down

    def up(self, topology: Topology | None = None) -> None:
        """Build the network, or start what does not run of the one that is there; return when it is ready.

        Raises :class:`BinariesMissing`, :class:`BadTopology` (another network is in the folder), :class:`CommandFailed`
        and :class:`NotReady`; then nothing runs that did not run before. A network that was not finished is built anew.
        """
        find_binaries(self._binaries)
        held = load_state(self.folder)
        if held is not None and topology is not None and held.topology != topology:
            raise BadTopology(f"{self.folder} holds another network: {held.topology}")
        with self._locked():
            state = load_state(self.folder)
            before = {name for name in self.processes.recorded() if self.processes.alive(name)}
            try:
                if state is not None and state.built:
                    self._resume(state)
                else:
                    self._start_over(state, topology)
            except BaseException:
                self.processes.stop(set(self.processes.recorded()) - before)
                raise

    def down(self, *, delete: bool = False) -> None:
        """End every process; with ``delete`` remove the folder as well. Harmless where nothing runs."""
        if not self.folder.exists():
            return
        with self._locked():
            load_state(self.folder)
            self.processes.stop(list(self.processes.recorded()))
            if delete:
                self._clear()
        if delete:
            (self.folder / "lock").unlink(missing_ok=True)
            self.folder.rmdir()

    def wait_ready(self) -> None:
        """Wait until a client of each organisation is answered and a transaction is endorsed, submitted and valid."""
        state = self.state
        self._builder(state).wait_ready(state)

    # One process

    def start(self, name: str) -> None:
        """Start one process and wait until it serves; harmless where it runs."""
        self._require(name)
        with self._locked():
            state = self.state
            builder = self._builder(state)
            builder.start(name, state)
        builder.wait_for([name])

    def stop(self, name: str, *, kill: bool = False) -> None:
        """End one process; with ``kill`` it is not asked."""
        self._require(name)
        with self._locked():
            self.processes.stop([name], kill=kill)

    def pause(self, name: str) -> None:
        """Let one process stand still: it accepts connections and answers nothing."""
        self._require(name)
        self.processes.send(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused process go on."""
        self._require(name)
        self.processes.send(name, signal.SIGCONT)

    # Disturbances

    def wipe_peer(self, number: int) -> None:
        """Take from a peer every block but the first, and all state, and wait until it has read the channel anew.

        What only its own organisation knows stays, as nobody could send it again: `replace_peer` deletes that too. Takes
        up to ten seconds, which is how often such a peer looks whether it may endorse again.
        """
        name, state = f"peer{number}", self.state
        self.stop(name)
        builder = self._builder(state)
        builder.programs.peer(number, "node", "reset")
        self.start(name)
        builder.wait_for_height([number])
        builder.wait_ready(state)

    def replace_peer(self, number: int) -> None:
        """Delete all that a peer stores and put an empty one in its place, which reads the channel from its first block.

        The organisation's approval of the chaincode was told to its own peers only, and is gone with the only one; nor can
        it be given again, since its hash is on the channel. So the organisations agree on the chaincode once more.
        """
        name, state = f"peer{number}", self.state
        self.stop(name)
        shutil.rmtree(self.layout.data(name))
        self.start(name)
        builder = self._builder(state)
        builder.join_peer(number)
        builder.wait_for_height([number])
        self.upgrade_chaincode()

    def upgrade_chaincode(self, command: Sequence[str] | None = None) -> None:
        """Replace the chaincode while it is used: new servers beside the old ones, which end once the new are in force.

        ``command`` starts the new servers, and any later one.
        """
        with self._locked():
            old = self.state
            members = old.members()
            self._chaincode = tuple(command or self._chaincode)
            state = replace(
                with_new_chaincode_ports(old, members), deployed=Deployed(old.deployed.sequence + 1)
            )
            builder = self._builder(state)
            state = builder.package(state)
            new = {f"next{number}": f"chaincode{number}" for number in members}
            try:
                for name in new:
                    builder.start_chaincode(name, names.number_of(name), state)
                builder.wait_for_ports(new)
                builder.deploy(state)
            except BaseException:
                self.processes.stop(new)
                raise
            state.save(self.folder)
            builder.wait_ready(state)
            self.processes.stop(new.values())
            self.processes.rename(new)

    def revoke(self, number: int, *, admin: bool = False) -> None:
        """Revoke the certificate of an organisation's client, or of its admin, and wait until every peer knows."""
        from . import reconfigure

        state = self.state
        listed = reconfigure.revocation_of(self.layout, number, admin=admin)
        after = state if admin else replace(state, revoked=(*state.revoked, number))
        self._reconfigure(lambda config: reconfigure.with_revoked(config, number, listed), [number], after)

    def remove_organisation(self, number: int) -> None:
        """Remove an organisation from the channel, as more than half of them decide; its processes go on running."""
        from . import reconfigure

        state = self.state
        others = [each for each in state.members() if each != number]
        signers = others if len(others) > len(state.members()) / 2 else [*others, number]
        after = replace(state, removed=(*state.removed, number))
        self._reconfigure(lambda config: reconfigure.without_organisation(config, number), signers, after)

    def expired_profile(self, number: int) -> Path:
        """A profile of an organisation's client whose certificate ended a day ago."""
        layout = self.layout
        path = layout.folder / "profiles" / f"Org{number}-expired.toml"
        folder = layout.user(number).parent / f"Expired@{names.domain(number)}" / "msp"
        if not folder.exists():
            now = datetime.now(UTC).replace(microsecond=0)
            name = subject(f"Expired@{names.domain(number)}", "client")
            issued = Authority(layout.org(number) / "ca").issue(
                name, now - timedelta(days=2), now - timedelta(days=1)
            )
            write_identity(folder, layout.user(number) / "msp", *issued)
        path.write_text(profile_text(layout, number, folder, path.parent), "utf-8")
        return path

    # What is underneath

    def _builder(self, state: State) -> Builder:
        programs = Programs(find_binaries(self._binaries), state.layout(self.folder))
        return Builder(programs, self.processes, self._chaincode)

    def _start_over(self, unfinished: State | None, topology: Topology | None) -> None:
        """Build a network on ports that are free, and anew on others where one was taken before it was bound."""
        asked = topology or (unfinished.topology if unfinished else Topology())
        for tries_left in reversed(range(_TRIES)):
            self.processes.stop(list(self.processes.recorded()))
            self._clear()
            try:
                self._build(new_state(asked))
                return
            except NotReady as error:
                if not (tries_left and _IN_USE.search(str(error))):
                    raise

    def _build(self, state: State) -> None:
        state.save(self.folder)
        builder = self._builder(state)
        builder.write_files()
        state = builder.package(state)
        state.save(self.folder)
        names = state.topology.processes()
        for name in names:
            builder.start(name, state)
        builder.wait_for(names)
        for_each(builder.layout.orderers, builder.join_orderer)
        for_each(builder.layout.orgs, builder.join_peer)
        builder.wait_for_leader()
        builder.deploy(state)
        builder.wait_ready(state)
        replace(state, built=True).save(self.folder)

    def _resume(self, state: State) -> None:
        builder = self._builder(state)
        names = state.topology.processes()
        for name in names:
            builder.start(name, state)
        builder.wait_for(names)
        builder.wait_for_leader()
        builder.wait_ready(state)

    def _reconfigure(self, edit: Callable[[Any], Any], signers: Sequence[int], after: State) -> None:
        """Change the channel's configuration and wait until the peers of those that belong to it know."""
        from . import reconfigure

        with self._locked():
            builder = self._builder(after)
            block, config = reconfigure.fetch_config(builder.programs)
            reconfigure.change(builder.programs, config, edit(config), signers)
            after.save(self.folder)
            wait_until(
                lambda: (
                    height_of_channel(builder.layout) > block + 1
                    and reconfigure.fetch_config(builder.programs)[0] > block
                ),
                "the channel's new configuration is ordered",
                PATIENCE_S,
            )
            builder.wait_for_height(after.members())

    def _require(self, name: str) -> None:
        if name not in self.state.topology.processes():
            raise BadTopology(f"expected one of {', '.join(self.state.topology.processes())}, got {name!r}")

    def _clear(self) -> None:
        """Remove what a network left in the folder, all but the lock that is held."""
        for each in self.folder.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            elif each.name != "lock":
                each.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One command at a time changes the folder; the others wait."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
