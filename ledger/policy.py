"""Trust policies in C2SP tlog-policy text: which log keys to accept and which cosigners must agree.

::

    log <vkey> [url]
    witness <name> <vkey> [url]
    group <name> all|any|<k> <member>...
    quorum <name>|none
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from .errors import InvalidInput, TooLarge
from .note import COSIGNATURES, ED25519, Note, VerifiedSignature, VerifierKey, parse_vkey

MAX_POLICY_BYTES = 65_536
MAX_NAMES = 256
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}\Z")


@dataclass(frozen=True, slots=True)
class Group:
    """``threshold`` of the named witnesses and groups must agree."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy. ``quorum`` is the name of a witness or group, or None for ``quorum none``.

    ``urls`` says for the witnesses that have one where they are asked; verifying needs none of them.
    """

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    groups: Mapping[str, Group]
    quorum: str | None
    urls: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[VerifierKey, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", (*self.logs, *self.witnesses.values()))

    def text(self) -> str:
        """The policy's own text, which parses to the same policy; the addresses of logs are not kept."""
        lines = [f"log {key.text()}" for key in self.logs]
        for name, key in self.witnesses.items():
            lines.append(" ".join(["witness", name, key.text(), *filter(None, [self.urls.get(name)])]))
        for name, group in self.groups.items():
            lines.append(f"group {name} {group.threshold} {' '.join(group.members)}")
        return "\n".join([*lines, f"quorum {self.quorum or 'none'}"]) + "\n"

    def log_keys(self, note: Note, origin: str) -> list[VerifierKey]:
        """The keys of a log, one of which at least is named by a signature line of the note: what to verify it with.

        Raises :class:`InvalidInput`: ``unknown-log``, ``unknown-log-key`` for a log that changed its key since, and
        ``log-signature`` where no line is the log's.
        """
        keys = [key for key in self.logs if key.name == origin]
        if not keys:
            raise InvalidInput(f"expected a log of the policy, got {origin}", rule="unknown-log")
        signers = {line.key_id for line in note.signatures if line.name == origin}
        if not signers:
            raise InvalidInput("expected the log's own signature, got none", rule="log-signature")
        if signers.isdisjoint([key.key_id for key in keys]):
            others = ", ".join(sorted([signer.hex() for signer in signers]))
            raise InvalidInput(
                f"expected a signature by a log key of the policy, got one by key {others}: if the log announced that it"
                " changed its key, its announcement extends the policy (loomark policy --update)",
                rule="unknown-log-key",
            )
        return keys

    def satisfied_by(self, names: Iterable[str]) -> bool:
        """Whether the witnesses of these policy names make the quorum; ``quorum none`` always is."""
        return self.quorum is None or self._agrees(self.quorum, frozenset(names))

    def quorum_text(self) -> str:
        """The quorum in words: ``orgs 2 of 3`` for a group, a witness by its name, or ``none``."""
        group = None if self.quorum is None else self.groups.get(self.quorum)
        if group is None:
            return self.quorum or "none"
        return f"{self.quorum} {group.threshold} of {len(group.members)}"

    def quorum_time_s(self, signatures: Iterable[VerifiedSignature]) -> int | None:
        """The earliest POSIX time by which cosignatures make the quorum, None where they do not or none is asked.

        A cosignature vouches that the tree existed at its time, so the quorum vouches from its last needed one on.
        """
        if self.quorum is None:
            return None
        names = {key: name for name, key in self.witnesses.items()}
        cosigned = [(s.time_s, names[s.key]) for s in signatures if s.time_s is not None and s.key in names]
        agreed: set[str] = set()
        for time_s, name in sorted(cosigned):
            agreed.add(name)
            if self.satisfied_by(agreed):
                return time_s
        return None

    def _agrees(self, name: str, names: Set[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in names
        return sum([self._agrees(member, names) for member in group.members]) >= group.threshold


def parse_policy(text: str) -> Policy:
    """The policy of a tlog-policy text; raises :class:`InvalidInput` (rule ``bad-policy``) naming the line."""
    if len(text) > MAX_POLICY_BYTES:
        raise TooLarge(f"expected a policy of at most {MAX_POLICY_BYTES} characters", rule="bad-policy")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        words = re.split("[ \t]+", line.partition("#")[0].strip(" \t\r"))
        try:
            reader.take(words)
        except InvalidInput as error:
            raise InvalidInput(f"policy line {number}: {error.message}", rule="bad-policy") from None
    return reader.policy()


def policy_text(
    log: VerifierKey | Sequence[VerifierKey],
    witnesses: Mapping[str, VerifierKey] | None = None,
    threshold: int = 0,
) -> str:
    """A policy for one log and ``threshold`` of these witnesses; ``quorum none`` for a threshold of 0.

    A log that changed its key has several keys under one origin, each its own line.
    """
    named = witnesses or {}
    logs = log if isinstance(log, Sequence) else (log,)
    lines = [
        *[f"log {one.text()}" for one in logs],
        *[f"witness {name} {key.text()}" for name, key in named.items()],
    ]
    if threshold:
        lines += [f"group witnesses {threshold} {' '.join(named)}", "quorum witnesses"]
    else:
        lines.append("quorum none")
    return "\n".join(lines) + "\n"


class _Reader:
    """Collects the lines of one policy; every name is defined before it is used, and used once."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.urls: dict[str, str] = {}
        self.quorum: list[str] = []
        self.keys: set[bytes] = set()
        self.used: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case [""]:
                return
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(self._key(vkey, frozenset({ED25519})))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._new_name(name)
                self.witnesses[name] = self._key(vkey, COSIGNATURES)
                if url:
                    self.urls[name] = url[0]
            case ["group", name, rule, *members] if members:
                self._new_name(name)
                self.groups[name] = self._group(rule, members)
            case ["quorum", name]:
                self._quorum(name)
            case _:
                raise InvalidInput("expected log, witness, group or quorum with its words")

    def policy(self) -> Policy:
        if not self.logs:
            raise InvalidInput("expected a log line, got none", rule="bad-policy")
        if not self.quorum:
            raise InvalidInput("expected a quorum line, got none", rule="bad-policy")
        quorum = None if self.quorum[0] == "none" else self.quorum[0]
        return Policy(tuple(self.logs), self.witnesses, self.groups, quorum, self.urls)

    def _quorum(self, name: str) -> None:
        if self.quorum:
            raise InvalidInput("expected one quorum line, got a second")
        if name != "none" and name not in self.witnesses and name not in self.groups:
            raise InvalidInput("expected a quorum of a name defined above")
        self.quorum.append(name)

    def _new_name(self, name: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise InvalidInput("expected a new name, got one in use")
        # The bound also keeps groups of groups from nesting deeper than they can be evaluated.
        if len(self.witnesses) + len(self.groups) == MAX_NAMES:
            raise InvalidInput(f"expected at most {MAX_NAMES} witnesses and groups")

    def _key(self, vkey: str, kinds: frozenset[int]) -> VerifierKey:
        key = parse_vkey(vkey)
        if key.kind not in kinds:
            named = " or ".join([f"{kind:#04x}" for kind in sorted(kinds)])
            raise InvalidInput(f"expected a vkey of type {named}, got {key.kind:#04x}")
        if key.public in self.keys:
            raise InvalidInput("expected each public key once, got one twice")
        self.keys.add(key.public)
        return key

    def _group(self, rule: str, members: list[str]) -> Group:
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise InvalidInput("expected group members defined above")
            if member in self.used:
                raise InvalidInput("expected each name as a member once")
            self.used.add(member)
        if rule == "all":
            return Group(len(members), tuple(members))
        if rule == "any":
            return Group(1, tuple(members))
        if not _THRESHOLD.match(rule) or int(rule) > len(members):
            raise InvalidInput("expected all, any or a number of members")
        return Group(int(rule), tuple(members))
