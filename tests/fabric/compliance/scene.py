"""Short stories of lots under FSMA 204, told as EPCIS events and master data, without a node."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from fabric.compliance import Dossier, read_record
from fabric.compliance.fsma204 import Completeness, completeness
from fabric.trace import Coverage
from fabric.trace.memory import memory_source
from ledger.canonical import canonical

BULK = "https://id.gs1.org/01/09521234000013"
CASES = "https://id.gs1.org/01/09521234000020"
SALAD = "https://id.gs1.org/01/09521234000037"
FIELD_LOT, PACKED_LOT, SALAD_LOT = f"{BULK}/10/F1", f"{CASES}/10/P1", f"{SALAD}/10/S1"
FARM = "https://id.gs1.org/414/9521000000018"
PACKER = "https://id.gs1.org/414/9521000000025"
KITCHEN = "https://id.gs1.org/414/9521000000032"
PALLET = "https://id.gs1.org/00/095210000000000018"
NOW_US = 1_790_000_000_000_000
_CONTEXT = [
    {"url": "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", "sha256": None},
    {"ex": "https://example.org/terms/"},
]
_DOCUMENT = [{"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:9521000000007:1"}]


def harvest(**changes: Any) -> dict[str, Any]:
    """Lettuce is cut at the farm, for the packer."""
    ilmd = {
        "ex:harvestDate": "2026-08-01",
        "ex:commodity": "Lettuce, romaine",
        "ex:fieldName": "North",
        "ex:harvesterName": "Farm Ltd",
        "ex:harvesterPhone": "+1 555 0100",
    }
    event = _object("ADD", "commissioning", FARM, FIELD_LOT, 600, "KGM", ilmd=ilmd, **handed(FARM, PACKER))
    return _changed(event, when="2026-08-01T06:00:00-07:00", **changes)


def cool(**changes: Any) -> dict[str, Any]:
    """It is cooled there."""
    reading = [{"sensorReport": [{"type": "Temperature", "value": 2, "uom": "CEL"}]}]
    event = _object("OBSERVE", "other", FARM, FIELD_LOT, 600, "KGM", sensorElementList=reading)
    return _changed(event, when="2026-08-01T07:00:00-07:00", **changes)


def bring(step: str = "shipping", **changes: Any) -> dict[str, Any]:
    """It goes to the packer (`shipping`), or is taken in there (`receiving`)."""
    place = FARM if step == "shipping" else PACKER
    event = _object("OBSERVE", step, place, FIELD_LOT, 600, "KGM", **handed(FARM, PACKER))
    at = "2026-08-01T08:00:00-07:00" if step == "shipping" else "2026-08-01T12:00:00-07:00"
    return _changed(event, when=at, **changes)


def pack(**changes: Any) -> dict[str, Any]:
    """The packer packs it into cases."""
    event = _process(FIELD_LOT, (600, "KGM"), PACKED_LOT, (50, None), PACKER)
    event["ilmd"] = {"ex:packingDate": "2026-08-02"}
    return _changed(event, when="2026-08-02T06:00:00-07:00", **changes)


def send(step: str = "shipping", **changes: Any) -> dict[str, Any]:
    """Cases go to the kitchen, or are taken in there."""
    place = PACKER if step == "shipping" else KITCHEN
    event = _object("OBSERVE", step, place, PACKED_LOT, 50, None, **handed(PACKER, KITCHEN))
    at = "2026-08-03T06:00:00-07:00" if step == "shipping" else "2026-08-03T15:00:00-07:00"
    return _changed(event, when=at, **changes)


def cut(**changes: Any) -> dict[str, Any]:
    """The kitchen makes salad of them."""
    event = _process(PACKED_LOT, (50, None), SALAD_LOT, (500, None), KITCHEN)
    return _changed(event, when="2026-08-04T06:00:00-07:00", **changes)


def story(**changes: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A complete story. An argument names an event of it and changes its fields; None leaves it out."""
    told = {
        "harvest": harvest,
        "cool": cool,
        "brought": lambda **more: bring("shipping", **more),
        "taken": lambda **more: bring("receiving", **more),
        "pack": pack,
        "send": lambda **more: send("shipping", **more),
        "receive": lambda **more: send("receiving", **more),
        "cut": cut,
    }
    kept = [(name, tell) for name, tell in told.items() if changes.get(name, {}) is not None]
    return [tell(**(changes.get(name) or {})) for name, tell in kept]


def master_data(*without: str) -> list[dict[str, Any]]:
    """What the places and products are called and where they are; attributes in `without` are left out."""
    place = {
        "cbvmda:name": "Some Place",
        "gs1:telephone": "+1 555 0100",
        "cbvmda:streetAddressOne": "1 Road",
        "cbvmda:city": "Salinas",
        "cbvmda:state": "CA",
        "cbvmda:postalCode": "93905",
        "cbvmda:countryCode": "US",
    }
    product = {"cbvmda:descriptionShort": "Lettuce", "ex:packaging": "case of 12"}
    rows = [("Location", iri, place) for iri in (FARM, PACKER, KITCHEN)]
    rows += [("EPCClass", iri, product) for iri in (BULK, CASES, SALAD)]
    return [
        {
            "@context": _CONTEXT,
            "type": f"urn:epcglobal:epcis:vtype:{kind}",
            "element": {
                "id": iri,
                "attributes": [
                    {"id": name, "attribute": value}
                    for name, value in attributes.items()
                    if name not in without
                ],
            },
        }
        for kind, iri, attributes in rows
    ]


def complete(
    lot: str,
    events: Sequence[dict[str, Any]],
    master: Sequence[dict[str, Any]] | None = None,
    *,
    limited: bool = False,
    part: int | None = None,
) -> Completeness:
    """The completeness of a lot; of event number `part` only what it holds is shown."""
    values = [*events, *(master_data() if master is None else master)]
    dossier = Dossier(
        read_record(
            value,
            number=number,
            commitment=sha256(canonical(value)).digest(),
            member="teller",
            index=number,
            position=1,
            full=number != part,
        )
        for number, value in enumerate(values)
    )
    source = memory_source(dossier.facts, Coverage(len(values), NOW_US), _holder)
    (found,) = completeness([lot], source, dossier, _holder, limited=limited)
    return found


def gaps(found: Completeness) -> list[tuple[str, str]]:
    """The gaps as (event, element)."""
    return [(gap["cte"], gap["kde"]) for gap in found.gaps]


def state(found: Completeness, cte: str, kde: str) -> Any:
    """The row of one element of one event."""
    (row,) = [
        element.as_json()
        for event in found.events
        if event.cte is not None and event.cte.name == cte
        for element in event.elements
        if element.kde.id == kde
    ]
    return row


def handed(source: str, destination: str) -> dict[str, Any]:
    """Source and destination lists of a hand-over between two places."""
    return {
        "sourceList": [{"type": "location", "source": source}],
        "destinationList": [{"type": "location", "destination": destination}],
    }


def _holder(iri: str, _time_us: int) -> str | None:
    return "teller" if iri.startswith("https://id.gs1.org/414/952100000") else None


def _object(
    action: str, step: str, place: str, lot: str, amount: int, unit: str | None, **fields: Any
) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "action": action,
        "bizStep": step,
        "readPoint": {"id": place},
        "bizLocation": {"id": place},
        "quantityList": [_amount(lot, amount, unit)],
        "bizTransactionList": _DOCUMENT,
        **fields,
    }


def _process(
    lot: str, used: tuple[int, str | None], made: str, out: tuple[int, str | None], place: str
) -> dict[str, Any]:
    return {
        "type": "TransformationEvent",
        "bizStep": "commissioning",
        "readPoint": {"id": place},
        "bizLocation": {"id": place},
        "inputQuantityList": [_amount(lot, *used)],
        "outputQuantityList": [_amount(made, *out)],
        "bizTransactionList": _DOCUMENT,
    }


def _amount(lot: str, amount: int, unit: str | None) -> dict[str, Any]:
    return {"epcClass": lot, "quantity": amount} | ({} if unit is None else {"uom": unit})


def _changed(event: dict[str, Any], *, when: str, at: str | None = None, **changes: Any) -> dict[str, Any]:
    value = {
        "@context": _CONTEXT,
        "eventTime": at or when,
        "eventTimeZoneOffset": "-07:00",
        **event,
        **changes,
    }
    return {name: item for name, item in value.items() if item is not None}
