"""Where deliveries may go: to addresses of the public internet over https, and to what the operator allows beside.

What a member writes as `dest` makes this node connect somewhere. So that nobody reaches through it what only this node
reaches (its own ports, its network, a cloud's metadata service), the *address* is decided by, when the connection is
made: a name is resolved once, each of its addresses is checked, and the checked address is what is connected to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from fabric.query.errors import SubscriptionControls
from ledger.errors import InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_LONGEST: Final = 2048
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\Z")
_ENDS: Final = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".intranet")
# Looks public and is not: the wire server of one cloud; forms that carry an IPv4 address of any sort; the networks of a
# site (RFC 3879: still not routed), and those of documents (RFC 9637), which not every version of Python knows.
_REFUSED: Final = tuple(
    map(
        ip_network,
        (
            *("168.63.129.16/32", "2002::/16", "2001::/32", "64:ff9b:1::/48", "::/96"),
            *("fec0::/10", "3fff::/20"),
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a host and port as texts, the one to try first at the beginning. Raises OSError where there is none."""


@dataclass(frozen=True, slots=True)
class Target:
    """A destination taken apart: `host` in lower case without brackets, `path` with the query."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows beside the public internet over https: names of hosts, and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def covers(self, address: Address) -> bool:
        """Whether an address lies in a network that is allowed."""
        plain = _plain(address)
        return any(plain in one for one in self.networks if one.version == plain.version)

    def names(self, host: str) -> bool:
        """Whether a host is allowed by its own name, wherever that leads."""
        return host in self.hosts


def parse_allowed(text: str) -> Allowed:
    """The setting's value: host names, addresses and networks, by commas. Raises InvalidInput `bad-setting`."""
    hosts, networks = set(), []
    for one in (part.strip().lower() for part in text.split(",")):
        if not one:
            continue
        try:
            networks.append(ip_network(one))
        except ValueError:
            if not _NAME.match(one) or "/" in one:
                raise InvalidInput(
                    f"subscription_destinations: expected host names, addresses and networks, got {one[:60]}",
                    rule="bad-setting",
                ) from None
            hosts.add(one)
    return Allowed(frozenset(hosts), tuple(networks))


def parse_destination(value: object, allowed: Allowed, pointer: str = "/dest") -> Target:
    """A destination that a subscription may name: its form, and what is known of it without asking anybody.

    A name is looked up when something is delivered, each time. Raises SubscriptionControls `bad-destination`, or
    `destination-refused` for one that is not allowed.
    """
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isascii():
        raise _bad("an https address of at most 2048 ASCII characters", "another value", pointer)
    if any(character <= " " or character in '\x7f"<>\\^`{|}' for character in value):
        raise _bad("an address without spaces and the like", "one with some", pointer)
    target = _target(value, pointer)
    address = _literal(target.host)
    if address is None and not allowed.names(target.host):
        _require_public_name(target, pointer)
    elif address is not None:
        _require(target, address, allowed, pointer)
    return target


def checked_addresses(target: Target, allowed: Allowed, resolve: Resolver) -> list[str]:
    """The addresses that a delivery to a target may connect to, now.

    One address that is not allowed refuses the name as a whole: whoever answers for it means harm, or is mistaken.
    Raises SubscriptionControls `destination-refused`, OSError where the name has no address.
    """
    found = list(resolve(target.host, target.port))
    if not found:
        raise OSError("the name has no address")
    if not allowed.names(target.host):
        for one in found:
            _require(target, ip_address(one.partition("%")[0]), allowed, "/dest")
    return found


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, and no other way to write one that is not."""
    plain = _plain(address)
    if isinstance(plain, IPv6Address) and plain in _NAT64:
        plain = IPv4Address(int(plain) & 0xFFFFFFFF)
    refused = any(plain in one for one in _REFUSED if one.version == plain.version)
    return plain.is_global and not (refused or plain.is_multicast or plain.is_reserved)


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _target(value: str, pointer: str) -> Target:
    try:
        parts = urlsplit(value)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port
    except ValueError:
        raise _bad("an https address", "another text", pointer) from None
    if parts.scheme not in ("https", "http"):
        raise _bad("an address that begins with https://", "another scheme", pointer)
    if parts.username is not None or parts.password is not None:
        # It would be shown to whoever may read the subscription, and told to nobody who can keep it.
        raise _bad("an address without a user name or password", "one with them", pointer)
    if parts.fragment or "#" in value:
        raise _bad("an address without a fragment", "one with it", pointer)
    if port == 0 or not (_NAME.match(host) or _literal(host)):
        raise _bad("a host name or address, and a port from 1", "another", pointer)
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), path)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _require_public_name(target: Target, pointer: str) -> None:
    # The last label of a public name is no number: what is one here is an address in an old form.
    last = target.host.rpartition(".")[2]
    is_local = "." not in target.host or target.host.endswith(_ENDS)
    if is_local or last.isdecimal() or last.startswith("0x"):
        raise _refused(pointer)
    if not target.secure:
        raise _bad("an https address", "http to a host that the operator did not allow", pointer)


def _require(target: Target, address: Address, allowed: Allowed, pointer: str) -> None:
    if allowed.covers(address):
        # Where a network is allowed, so is plain http to an address of it; a name needs https all the same.
        if target.secure or _literal(target.host) is not None:
            return
    elif not is_public(address):
        raise _refused(pointer)
    if not target.secure:
        raise _bad("an https address", "http to a host that the operator did not allow", pointer)


def _bad(expected: str, got: str, pointer: str) -> SubscriptionControls:
    return SubscriptionControls(
        f"dest: expected {expected}, got {got}", rule="bad-destination", pointer=pointer
    )


def _refused(pointer: str) -> SubscriptionControls:
    message = "dest: expected a destination on the public internet, or one that this node's operator allows"
    return SubscriptionControls(message, rule="destination-refused", pointer=pointer)
