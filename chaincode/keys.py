"""Names of what the chaincode keeps in the channel's state.

A key is a kind and its parts, joined by ``/``. Inside a part ``%`` and ``/`` are written ``%25`` and ``%2F``, so that the
keys of one origin are never among those of another, whatever an origin is called: origins are free text with slashes.
"""

from __future__ import annotations

SIZE_DIGITS = 16


def organisation(msp: str) -> str:
    """Where an organisation's registration lies."""
    return _joined("organisation", msp)


def organisations() -> tuple[str, str]:
    """The range of all registrations, by MSP id."""
    return _inside("organisation")


def origin(name: str) -> str:
    """Where it lies to whom an origin belongs, and its keys."""
    return _joined("origin", name)


def latest(name: str) -> str:
    """Where the size and root of an origin's latest checkpoint lie."""
    return _joined("latest", name)


def checkpoint(name: str, size: int) -> str:
    """Where the checkpoint of an origin at a size lies."""
    return _joined("checkpoint", name, _digits(size))


def checkpoints_after(name: str, size: int) -> tuple[str, str]:
    """The range of an origin's checkpoints larger than ``size``, smallest first."""
    return _joined("checkpoint", name, _digits(size + 1)), _inside("checkpoint", name)[1]


def cosignature(name: str, size: int, msp: str) -> str:
    """Where the cosignature of an organisation under a checkpoint lies."""
    return _joined("cosignature", name, _digits(size), msp)


def cosignatures(name: str, size: int) -> tuple[str, str]:
    """The range of all cosignatures under a checkpoint, by MSP id."""
    return _inside("cosignature", name, _digits(size))


def agreement(identifier: str) -> str:
    """Where an agreement lies."""
    return _joined("agreement", identifier)


def last_part(key: str) -> str:
    """The last part of a key, as it was given."""
    return key.rpartition("/")[2].replace("%2F", "/").replace("%25", "%")


def _joined(*parts: str) -> str:
    return "/".join([part.replace("%", "%25").replace("/", "%2F") for part in parts])


def _inside(*parts: str) -> tuple[str, str]:
    # "0" is the character after "/".
    prefix = _joined(*parts)
    return prefix + "/", prefix + "0"


def _digits(size: int) -> str:
    return f"{size:0{SIZE_DIGITS}d}"
