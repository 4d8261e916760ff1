"""Which MSP stands behind which log origins, by which keys they sign, and with which key the organisation cosigns.

An organisation registers itself, and changes what it registered by registering anew. An origin stays with the MSP that
registered it first, for good; one without keys is closed. A cosigner's key is nobody's log key and no other's cosigner
key, among what is registered at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger import shape
from ledger.canonical import JSON, parse_json
from ledger.ed25519 import require_prime_order
from ledger.errors import Conflict, Forbidden, InvalidInput
from ledger.note import COSIGNATURE, ED25519, VerifierKey, parse_vkey

from . import arguments, keys
from .certificate import require_admin
from .stub import Stub

MAX_REGISTRATION_BYTES = 65_536
MAX_ORIGINS = 64
MAX_KEYS = 16
MAX_VKEY_CHARS = 400


def register(stub: Stub, registration: bytes) -> JSON:
    """Register the caller's organisation, or replace its registration; gives what is registered now."""
    creator = stub.creator
    msp = arguments.msp_id(creator.msp)
    require_admin(creator.certificate)
    wanted = _parse_registration(msp, parse_json(registration))
    _require_free(wanted, _registered(stub))
    _require_own_name(wanted)
    arguments.store(stub, keys.organisation(msp), wanted)
    for origin, vkeys in sorted(wanted["origins"].items()):
        arguments.store(stub, keys.origin(origin), {"msp": msp, "vkeys": vkeys})
    return wanted


def get(stub: Stub, msp: bytes) -> JSON:
    """What an organisation registered; 404 where it did not."""
    name = arguments.msp_id(arguments.utf8(msp, "msp", arguments.MAX_NAME_BYTES))
    return arguments.found(stub, keys.organisation(name), "unknown-organisation", "a registered MSP id")


def list_all(stub: Stub) -> JSON:
    """All registrations, by MSP id."""
    return list(_registered(stub))


def require_registered(stub: Stub, msp: str) -> JSON:
    """The registration of a caller's MSP; raises :class:`Forbidden` (rule ``not-registered``)."""
    registration = arguments.stored(stub, keys.organisation(arguments.msp_id(msp)))
    if registration is None:
        raise Forbidden("expected a caller of a registered organisation, got another", rule="not-registered")
    return registration


def _registered(stub: Stub) -> Iterator[JSON]:
    # Reading the whole range makes two registrations at once conflict, so no key can slip in twice.
    for _, raw in stub.get_state_by_range(*keys.organisations()):
        yield arguments.parsed(raw)


def _parse_registration(msp: str, value: JSON) -> dict[str, JSON]:
    read = shape.members(value, "registration", frozenset({"origins", "cosigner"}))
    origins = read["origins"]
    if type(origins) is not dict or len(origins) > MAX_ORIGINS:
        raise InvalidInput(f"origins: expected an object of at most {MAX_ORIGINS} members", rule="bad-shape")
    cosigner = _vkey(read["cosigner"], "cosigner", COSIGNATURE)
    _require_key_of_its_own(cosigner, {name: _log_keys(name, origins[name]) for name in sorted(origins)})
    return {"msp": msp, "origins": origins, "cosigner": read["cosigner"]}


def _log_keys(origin: str, value: JSON) -> list[VerifierKey]:
    arguments.origin(origin)
    found = [_vkey(one, "origins", ED25519) for one in shape.array(value, "origins", 0, MAX_KEYS)]
    if any(key.name != origin for key in found):
        raise InvalidInput(
            "origins: expected keys under the origin's name, got another name", rule="wrong-name"
        )
    if len({key.public for key in found}) != len(found):
        raise InvalidInput("origins: expected each key once, got one twice", rule="duplicate-key")
    return found


def _vkey(value: JSON, where: str, kind: int) -> VerifierKey:
    key = parse_vkey(shape.text(value, where, MAX_VKEY_CHARS))
    if key.kind != kind:
        raise InvalidInput(
            f"{where}: expected a key of type {kind:#04x}, got {key.kind:#04x}", rule="wrong-key-type"
        )
    require_prime_order(key.public)
    return key


def _require_key_of_its_own(cosigner: VerifierKey, origins: dict[str, list[VerifierKey]]) -> None:
    if any(cosigner.public == key.public for listed in origins.values() for key in listed):
        raise InvalidInput("cosigner: expected another key than a log's", rule="key-in-use")


def _require_own_name(wanted: dict[str, JSON]) -> None:
    # Verdicts and policies name the organisation by it: a name of free choice could be another's, or break every policy.
    if parse_vkey(wanted["cosigner"]).name != wanted["msp"]:
        raise InvalidInput(
            "cosigner: expected a key under the caller's MSP id, got another name", rule="wrong-name"
        )


def _require_free(wanted: dict[str, JSON], registered: Iterator[JSON]) -> None:
    """Raise :class:`Conflict` where another organisation has an origin or key of these, or an own origin is missing."""
    logs = {parse_vkey(one).public for vkeys in wanted["origins"].values() for one in vkeys}
    cosigner = parse_vkey(wanted["cosigner"]).public
    for other in registered:
        if other["msp"] == wanted["msp"]:
            if not other["origins"].keys() <= wanted["origins"].keys():
                raise Conflict("expected every origin registered before, got fewer", rule="origin-dropped")
            continue
        if not other["origins"].keys().isdisjoint(wanted["origins"].keys()):
            raise Conflict(
                "expected origins that are free, got one of another organisation", rule="origin-taken"
            )
        _require_keys_free(logs, cosigner, other)


def _require_keys_free(logs: set[bytes], cosigner: bytes, other: JSON) -> None:
    other_cosigner = parse_vkey(other["cosigner"]).public
    other_logs = {parse_vkey(one).public for vkeys in other["origins"].values() for one in vkeys}
    if cosigner == other_cosigner or cosigner in other_logs or other_cosigner in logs:
        raise Conflict("expected keys of no other use, got one of another organisation", rule="key-in-use")
