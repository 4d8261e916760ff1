"""Disclosures: a record opened in full or in part, and how its commitment is computed from what is shown.

Full: ``{"record", "salt"}`` with the record salt. Partial: the ``[]`` group as ``{"salt", "members", "open",
"hidden"}``, where ``open`` lists ``[name or index, node]`` in members order and ``hidden`` the hashes of the maximal
hidden subtrees from left to right; a node is again a group, or a unit ``{"salt", "value"}``. See
docs/spec/commitment.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import merkle, shape
from .canonical import JSON, canonical, jcs_order
from .commitment import (
    MAX_NODES,
    RECORD_SALT_SIZE_BYTES,
    SALT_SIZE_BYTES,
    group_hash,
    group_members,
    is_group,
    node_salts,
    ordered_names,
    path_bytes,
    record_commitment,
    unit_hash,
    unit_hashes,
)
from .errors import Erased, InvalidInput, TooLarge

ALWAYS_OPEN = ("@context", "type")
_FULL = frozenset({"record", "salt"})
_GROUP = frozenset({"salt", "members", "open", "hidden"})
_UNIT = frozenset({"salt", "value"})
_CHARS = 2 * SALT_SIZE_BYTES
_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")

Key = str | int


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """What a disclosure shows, and the commitment that it opens.

    ``record`` holds the members that are shown; a partly shown array holds its shown elements only.
    """

    commitment: bytes
    full: bool
    record: dict[str, JSON]
    _group: _OpenGroup | None = None

    @property
    def hidden(self) -> tuple[str, ...]:
        """The pointers of all hidden members. Only computed when asked: a few bytes may claim 65,536 of them."""
        return tuple(self._group.hidden()) if self._group else ()


def disclose(
    record: Mapping[str, JSON], record_salt: bytes, pointers: Sequence[str] | None = None
) -> dict[str, JSON]:
    """Open a record: in full for None, else ``@context``, ``type`` and what the pointers name.

    A pointer inside a unit opens that unit, one that names a group opens all of it; :func:`covering_pointer` tells
    which. Raises :class:`InvalidInput` with rule ``no-such-pointer``, or ``content-event-id`` for an eventID made
    from the record's content, which would let hidden values be guessed.
    """
    if pointers is None:
        return {"record": dict(record), "salt": record_salt.hex()}
    wanted = _selection(record, pointers)
    _check_event_id(record, wanted)
    salts = node_salts(record, record_salt)
    names = ordered_names(record)
    hashes: list[bytes] = []
    opened: list[JSON] = []
    at = _CHARS
    for name in names:
        inner = len(record[name]) if is_group(record[name]) else 0
        part = salts[at : at + _CHARS * (1 + inner)]
        at += len(part)
        node = _Node(name, record[name], part)
        hashes.append(node.hash)
        if name in wanted:
            opened.append([name, node.shown(wanted[name])])
    shown = [place for place, name in enumerate(names) if name in wanted]
    return _group_json(salts[:_CHARS], names, opened, _hidden_subtrees(hashes, shown))


def remains_of(record: Mapping[str, JSON], record_salt: bytes, pointers: Sequence[str]) -> dict[str, JSON]:
    """What stays of a record when the units that pointers name are erased: a partial disclosure of all others.

    The record salt is not in it and cannot be made from it: the salts that stay take its place. An eventID made from
    content goes with the first unit, for it would let the others be guessed. Raises as :func:`erase_units`.
    """
    names = ordered_names(record)
    salts = node_salts(record, record_salt)
    opened: list[JSON] = []
    at = _CHARS
    for name in names:
        inner = len(record[name]) if is_group(record[name]) else 0
        part = salts[at : at + _CHARS * (1 + inner)]
        at += len(part)
        opened.append([name, _Node(name, record[name], part).shown(None)])
    return erase_units(_group_json(salts[:_CHARS], names, opened, ()), pointers)


def erase_units(remains: Mapping[str, JSON], pointers: Sequence[str]) -> dict[str, JSON]:
    """What stays of remains without the units that pointers name; what is gone already stays gone.

    A pointer inside a unit erases that unit, one that names a group all of it. Pointers are those of the whole
    record. Raises :class:`InvalidInput` with rule ``no-such-pointer``, or ``always-open`` for `@context` and `type`.
    """
    kept = _Remains(remains)
    gone: dict[str, frozenset[Key] | None] = {}
    for pointer in pointers:
        try:
            name, key = kept.place_of(pointer)
        except Erased:
            continue
        if name is None or name in ALWAYS_OPEN:
            raise InvalidInput(
                "expected a unit that may be hidden, got one that is always open", rule="always-open"
            )
        before = gone.get(name, frozenset())
        gone[name] = None if key is None or before is None else before | {key}
    if _is_content_id(kept.group.values.get("eventID")):
        gone["eventID"] = None
    return kept.without(gone)


def narrow(remains: Mapping[str, JSON], pointers: Sequence[str] | None) -> dict[str, JSON]:
    """Open what stays of a record: all of it for None, else ``@context``, ``type`` and what the pointers name.

    The counterpart of :func:`disclose` once the record salt is gone; never a full disclosure. Raises
    :class:`Erased` for a pointer to what was erased, and for the empty one, which names the whole record.
    """
    if pointers is None:
        return dict(remains)
    kept = _Remains(remains)
    wanted: dict[str, frozenset[Key] | None] = dict.fromkeys(ALWAYS_OPEN)
    for pointer in pointers:
        name, key = kept.place_of(pointer)
        if name is None:
            raise Erased("expected a part of the record, got the whole of one of which units were erased")
        before = wanted.get(name, frozenset())
        wanted[name] = None if key is None or before is None else before | {key}
    return kept.only(wanted)


def covering_pointer(record: Mapping[str, JSON], pointer: str) -> str:
    """The pointer of the unit or group that opening ``pointer`` really opens."""
    tokens = _tokens(pointer)
    _resolve(record, tokens)
    depth = 2 if tokens and is_group(record[tokens[0]]) else 1
    return "".join(["/" + _escaped(token) for token in tokens[:depth]])


def open_disclosure(value: JSON) -> OpenedRecord:
    """The record that a disclosure shows, with the commitment it opens.

    Raises :class:`InvalidInput` for any shape that docs/spec/commitment.md does not allow: a group of fewer than two
    members, a top-level unit that should be a group, a unit deeper than two, a salt of another length.
    """
    if type(value) is dict and "record" in value:
        return _open_full(shape.members(value, "disclosure", _FULL))
    obj = shape.members(value, "disclosure", _GROUP)
    names = _names(obj["members"], "members")
    group = _OpenGroup(obj, (), names)
    for name in ALWAYS_OPEN:
        if name not in group.values or not group.shows_whole(name):
            raise InvalidInput(f"expected {name} opened whole, got it hidden", rule="always-open")
    if _is_content_id(group.values.get("eventID")):
        raise InvalidInput(
            "expected no eventID made from content in a partial disclosure", rule="content-event-id"
        )
    return OpenedRecord(group.hash(), False, group.values, group)


def _open_full(obj: dict[str, JSON]) -> OpenedRecord:
    record = obj["record"]
    if type(record) is not dict:
        raise InvalidInput("expected a record object", rule="bad-shape")
    salt = shape.hex_bytes(obj["salt"], "salt", RECORD_SALT_SIZE_BYTES)
    return OpenedRecord(record_commitment(record, salt), True, record)


class _Node:
    """A top-level node of a whole record, with the salts of itself and of its units."""

    def __init__(self, name: str, value: JSON, salts: bytes) -> None:
        self.name, self.value, self.salts = name, value, salts
        self.units: list[bytes] = []
        if is_group(value):
            self.units = unit_hashes(name, value, salts[_CHARS:])
            members = canonical(group_members(value))
            self.hash = group_hash(salts[:_CHARS], path_bytes(name), members, merkle.root(self.units))
        else:
            self.hash = unit_hash(salts[:_CHARS], path_bytes(name), value)

    def shown(self, keys: frozenset[str] | None) -> JSON:
        """The node opened: wholly for None, else the units of these keys."""
        if not self.units:
            return {"salt": self.salts.decode(), "value": self.value}
        members = group_members(self.value)
        every: list[Key] = list(range(members)) if isinstance(members, int) else list(members)
        places = [place for place, key in enumerate(every) if keys is None or str(key) in keys]
        opened = [[every[place], self._unit(place, every[place])] for place in places]
        return _group_json(self.salts[:_CHARS], members, opened, _hidden_subtrees(self.units, places))

    def _unit(self, place: int, key: Key) -> JSON:
        salt = self.salts[_CHARS * (place + 1) : _CHARS * (place + 2)]
        return {"salt": salt.decode(), "value": self.value[key]}


def _group_json(salt: bytes, members: JSON, opened: list[JSON], hidden: Iterable[bytes]) -> dict[str, JSON]:
    return {
        "salt": salt.decode(),
        "members": members,
        "open": opened,
        "hidden": [one.hex() for one in hidden],
    }


def _hidden_subtrees(hashes: Sequence[bytes], shown: Sequence[int]) -> list[bytes]:
    """The heads of the maximal subtrees without a shown leaf, left to right."""
    found: list[bytes] = []
    places = set(shown)

    def visit(start: int, end: int) -> None:
        if not any(place in places for place in range(start, end)):
            found.append(merkle.root(hashes[start:end]))
        elif end - start > 1:
            split = _split(start, end)
            visit(start, split)
            visit(split, end)

    visit(0, len(hashes))
    return found


def _split(start: int, end: int) -> int:
    return start + (1 << ((end - start - 1).bit_length() - 1))


class _OpenGroup:
    """A group of a partial disclosure: its shown values, and the hash that they give it.

    ``members`` are the names of an object or the length of an array; ``path`` is ``()`` or ``(name,)``.
    """

    def __init__(self, obj: dict[str, JSON], path: tuple[str, ...], members: list[str] | int) -> None:
        self.path, self.members = path, members
        self.salt = shape.hex_text(obj["salt"], "salt", SALT_SIZE_BYTES).encode()
        self.subtrees = [shape.hex_bytes(one, "hidden") for one in shape.array(obj["hidden"], "hidden")]
        self.nodes: dict[int, bytes] = {}
        self.values: dict[JSON, JSON] = {}
        self.groups: dict[JSON, _OpenGroup] = {}
        self._places = {} if isinstance(members, int) else {name: place for place, name in enumerate(members)}
        self._last = -1
        self._claimed = 1 + self._count()
        for item in shape.array(obj["open"], "open", 1):
            self._take(shape.array(item, "open", 2, 2))

    def shows_whole(self, name: str) -> bool:
        """Whether an opened member is shown without anything hidden in it."""
        group = self.groups.get(name)
        return group is None or not group.subtrees

    def hidden(self) -> Iterator[str]:
        """The pointers of the hidden members, in members order."""
        for place in range(self._count()):
            key = self._key(place)
            if place not in self.nodes:
                yield _pointer((*self.path, key))
            elif key in self.groups:
                yield from self.groups[key].hidden()

    def names(self, name: str) -> bool:
        """Whether the group has a member of this name, open or hidden."""
        return name in self._places

    def key_of(self, token: str) -> Key:
        """The key that a token of a pointer means, open or hidden."""
        if isinstance(self.members, int):
            if _INDEX.match(token) and int(token) < self.members:
                return int(token)
        elif token in self._places:
            return token
        raise InvalidInput("expected a pointer to something in the record", rule="no-such-pointer")

    def again(self, opened: Sequence[JSON]) -> dict[str, JSON]:
        """The group as JSON with some of its open members, which are given as they are to be shown."""
        heads: dict[tuple[int, int], bytes] = {}
        self._note_heads(0, self._count(), sorted(self.nodes), iter(self.subtrees), heads)
        places = {self._place(key) for key, _ in opened}
        hidden: list[bytes] = []

        def visit(start: int, end: int) -> None:
            if not any(place in places for place in range(start, end)):
                hidden.append(heads[start, end])
            elif end - start > 1:
                split = _split(start, end)
                visit(start, split)
                visit(split, end)

        visit(0, self._count())
        return _group_json(self.salt, self.members, list(opened), hidden)

    def _note_heads(
        self,
        start: int,
        end: int,
        shown: list[int],
        rest: Iterator[bytes],
        heads: dict[tuple[int, int], bytes],
    ) -> None:
        """The heads of all subtrees that are not inside a hidden one."""
        if not shown or end - start == 1:
            heads[start, end] = self.nodes[start] if shown else next(rest)
            return
        split = _split(start, end)
        self._note_heads(start, split, [place for place in shown if place < split], rest, heads)
        self._note_heads(split, end, [place for place in shown if place >= split], rest, heads)
        heads[start, end] = merkle.node_hash(heads[start, split], heads[split, end])

    def hash(self) -> bytes:
        """The hash of the group; every hidden subtree is used exactly once."""
        rest = iter(self.subtrees)
        root = self._range(0, self._count(), sorted(self.nodes), rest)
        if next(rest, None) is not None:
            raise InvalidInput("expected one hash a hidden subtree, got more", rule="bad-hidden")
        return group_hash(self.salt, path_bytes(*self.path), canonical(self.members), root)

    def _take(self, item: list[JSON]) -> None:
        key, node = item
        place = self._place(key)
        if place <= self._last:
            raise InvalidInput("expected opened members in order, each once", rule="bad-open")
        self._last = place
        if type(node) is dict and "value" in node:
            unit = shape.members(node, "unit", _UNIT)
            if not self.path and is_group(unit["value"]):
                raise InvalidInput(
                    "expected a group for a top-level value of two or more members", rule="bad-unit"
                )
            salt = shape.hex_text(unit["salt"], "salt", SALT_SIZE_BYTES).encode()
            self.nodes[place] = unit_hash(salt, path_bytes(*self.path, key), unit["value"])
            self.values[key] = unit["value"]
        else:
            self._take_group(place, key, node)

    def _take_group(self, place: int, key: JSON, node: JSON) -> None:
        if self.path:
            raise InvalidInput("expected no group below a group", rule="bad-group")
        obj = shape.members(node, "group", _GROUP)
        members = obj["members"]
        count = (
            shape.count(members, "members", 2, MAX_NODES)
            if type(members) is int
            else _names(members, "members")
        )
        self._claimed += count if isinstance(count, int) else len(count)
        if self._claimed > MAX_NODES:
            raise TooLarge(
                f"expected at most {MAX_NODES} units and groups in a record", rule="too-many-units"
            )
        group = self.groups[key] = _OpenGroup(obj, (key,), count)
        self.nodes[place] = group.hash()
        self.values[key] = group.values if isinstance(count, list) else list(group.values.values())

    def _count(self) -> int:
        return self.members if isinstance(self.members, int) else len(self.members)

    def _key(self, place: int) -> Key:
        return place if isinstance(self.members, int) else self.members[place]

    def _place(self, key: JSON) -> int:
        if isinstance(self.members, int):
            return shape.count(key, "open", 0, self.members - 1)
        if type(key) is not str or key not in self._places:
            raise InvalidInput("expected a member of the group, got another name", rule="bad-open")
        return self._places[key]

    def _range(self, start: int, end: int, shown: list[int], rest: Iterator[bytes]) -> bytes:
        if not shown:
            found = next(rest, None)
            if found is None:
                raise InvalidInput("expected one hash a hidden subtree, got fewer", rule="bad-hidden")
            return found
        if end - start == 1:
            return self.nodes[start]
        split = _split(start, end)
        left = self._range(start, split, [place for place in shown if place < split], rest)
        right = self._range(split, end, [place for place in shown if place >= split], rest)
        return merkle.node_hash(left, right)


class _Remains:
    """A partial disclosure that is opened and hidden further, by the pointers of the whole record."""

    def __init__(self, obj: Mapping[str, JSON]) -> None:
        value = shape.members(dict(obj), "remains", _GROUP)
        self.group = _OpenGroup(value, (), _names(value["members"], "members"))
        self._nodes: dict[str, dict[str, JSON]] = dict(value["open"])

    def place_of(self, pointer: str) -> tuple[str | None, Key | None]:
        """The top-level name and the key in it of the unit around a pointer; None for the whole, of either."""
        tokens = _tokens(pointer)
        if not tokens:
            return None, None
        name = tokens[0]
        if not self.group.names(name):
            raise InvalidInput("expected a pointer to something in the record", rule="no-such-pointer")
        if name not in self.group.values:
            raise Erased(f"expected a unit that is kept, got /{_escaped(name)}, which was erased")
        inner = self.group.groups.get(name)
        if inner is None or len(tokens) == 1:
            if inner is None:
                _resolve(self.group.values[name], tokens[1:])
            return name, None
        key = inner.key_of(tokens[1])
        if key not in inner.values:
            raise Erased(f"expected a unit that is kept, got {_pointer((name, key))}, which was erased")
        _resolve(inner.values[key], tokens[2:])
        return name, key

    def only(self, wanted: Mapping[str, frozenset[Key] | None]) -> dict[str, JSON]:
        """The disclosure with these names open, or these keys of them."""
        opened = [[name, self._inner(name, wanted[name])] for name in self._nodes if name in wanted]
        return self.group.again(opened)

    def without(self, gone: Mapping[str, frozenset[Key] | None]) -> dict[str, JSON]:
        """The disclosure without these names, or these keys of them; a group without an open key is hidden whole."""
        wanted: dict[str, frozenset[Key] | None] = {}
        for name in self._nodes:
            keys = gone.get(name, frozenset())
            if not keys and keys is not None:
                wanted[name] = None
            elif keys is not None and (left := self.group.groups[name].values.keys() - keys):
                wanted[name] = frozenset(left)
        return self.only(wanted)

    def _inner(self, name: str, keys: frozenset[Key] | None) -> JSON:
        node = self._nodes[name]
        if keys is None:
            return node
        return self.group.groups[name].again([item for item in node["open"] if item[0] in keys])


def _names(value: JSON, where: str) -> list[str]:
    names = shape.array(value, where, 2, MAX_NODES)
    if (
        not all(type(name) is str for name in names)
        or len(set(names)) != len(names)
        or jcs_order(names) != names
    ):
        raise InvalidInput(
            f"{where}: expected member names in canonical order, each once", rule="bad-members"
        )
    return names


def _selection(record: Mapping[str, JSON], pointers: Sequence[str]) -> dict[str, frozenset[str] | None]:
    """For each top-level name to open: None for all of it, else the keys of the units in it."""
    wanted: dict[str, frozenset[str] | None] = {name: None for name in ALWAYS_OPEN if name in record}
    for pointer in pointers:
        tokens = _tokens(pointer)
        _resolve(record, tokens)
        if not tokens:
            return dict.fromkeys(record)
        name = tokens[0]
        if len(tokens) == 1 or not is_group(record[name]):
            wanted[name] = None
        elif name not in wanted:
            wanted[name] = frozenset({tokens[1]})
        elif (keys := wanted[name]) is not None:
            wanted[name] = keys | {tokens[1]}
    return wanted


def _tokens(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise InvalidInput("expected an RFC 6901 pointer, got no leading slash", rule="no-such-pointer")
    tokens = pointer.split("/")[1:]
    if any("~" in token.replace("~0", "").replace("~1", "") for token in tokens):
        raise InvalidInput("expected an RFC 6901 pointer, got a lone tilde", rule="no-such-pointer")
    return [token.replace("~1", "/").replace("~0", "~") for token in tokens]


def _resolve(value: JSON, tokens: Sequence[str]) -> None:
    for token in tokens:
        if isinstance(value, Mapping) and token in value:
            value = value[token]
        elif isinstance(value, list) and _INDEX.match(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            raise InvalidInput("expected a pointer to something in the record", rule="no-such-pointer")


def _pointer(path: Iterable[Key]) -> str:
    return "".join(["/" + _escaped(str(part)) for part in path])


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")


def _check_event_id(record: Mapping[str, JSON], wanted: Mapping[str, object]) -> None:
    if "eventID" in wanted and _is_content_id(record.get("eventID")):
        raise InvalidInput(
            "expected no eventID made from content among the opened members, got one", rule="content-event-id"
        )


def _is_content_id(value: JSON) -> bool:
    # A unit may also be a one-member container around such an id; it would give away as much.
    if isinstance(value, str):
        return value[:3].lower() == "ni:"
    if isinstance(value, Mapping):
        return any(_is_content_id(item) for item in value.values())
    return isinstance(value, list) and any(_is_content_id(item) for item in value)
