"""GS1 keys and the spellings the simulated members use for them.

Every company prefix here is 952 and four digits: GS1 keeps 952 for demonstrations. A prefix is seven digits
long, so links and URNs of one key can both be written without a prefix table.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

RESOLVER = "https://id.gs1.org"

# The characters that an EPC pure-identity URI must escape (Tag Data Standard); all others may stand bare.
_URN_ESCAPES = str.maketrans({c: f"%{ord(c):02X}" for c in '"%&/<>?'})


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """One thing under its three legal names; `iri` is the canonical one and is what truth uses.

    `kind` is lot, serial, carrier, class, place or party. `steps` is how many portions make one `unit`
    (two for half kilograms); `unit` None means items. `lot` is the lot a serial belongs to.
    """

    kind: str
    iri: str
    urn: str
    path: str
    unit: str | None = None
    steps: int = 1
    lot: Thing | None = None
    code: str = ""
    gtin: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing) and self.iri == other.iri

    def __hash__(self) -> int:
        return hash(self.iri)


def check_digit(digits: str) -> str:
    """The GS1 modulo-10 check digit that completes `digits`."""
    total = sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits)))
    return str(-total % 10)


def gtin14(prefix: str, item: int, indicator: int = 0) -> str:
    """A GTIN-14 of a seven-digit prefix and a five-digit item reference."""
    body = f"{indicator}{prefix}{item:05d}"
    return body + check_digit(body)


def _gtin_urn(gtin: str) -> str:
    return f"{gtin[1:8]}.{gtin[0]}{gtin[8:13]}"


def trade_class(gtin: str) -> Thing:
    """A product without a lot: a class that no trace may follow."""
    path = f"/01/{gtin}"
    return Thing("class", RESOLVER + path, f"urn:epc:idpat:sgtin:{_gtin_urn(gtin)}.*", path, gtin=gtin)


def lot_of_product(gtin: str, code: str, unit: str | None = None, steps: int = 1) -> Thing:
    """A lot: GTIN and batch code, the code kept letter for letter."""
    path = f"/01/{gtin}/10/{quote(code, safe='-._~')}"
    urn = f"urn:epc:class:lgtin:{_gtin_urn(gtin)}.{code.translate(_URN_ESCAPES)}"
    return Thing("lot", RESOLVER + path, urn, path, unit, steps, code=code, gtin=gtin)


def serial_item(gtin: str, serial: str, lot: Thing | None) -> Thing:
    """One serialised trade item, and the lot it belongs to."""
    path = f"/01/{gtin}/21/{serial}"
    return Thing(
        "serial",
        RESOLVER + path,
        f"urn:epc:id:sgtin:{_gtin_urn(gtin)}.{serial}",
        path,
        lot=lot,
        code=serial,
        gtin=gtin,
    )


def pallet(prefix: str, number: int) -> Thing:
    """A logistic unit (SSCC), one to each use."""
    body = f"{number // 10**9 % 10}{prefix}{number % 10**9:09d}"
    path = f"/00/{body}{check_digit(body)}"
    return Thing("carrier", RESOLVER + path, f"urn:epc:id:sscc:{prefix}.{body[0]}{body[8:]}", path)


def tote(prefix: str, number: int) -> Thing:
    """A returnable asset (GRAI), used again and again."""
    body = f"{prefix}00077"
    path = f"/8003/0{body}{check_digit(body)}{number}"
    return Thing("carrier", RESOLVER + path, f"urn:epc:id:grai:{prefix}.00077.{number}", path)


def asset(prefix: str, reference: str) -> Thing:
    """An asset of one's own (GIAI): a lorry, a logger."""
    path = f"/8004/{prefix}{reference}"
    return Thing("carrier", RESOLVER + path, f"urn:epc:id:giai:{prefix}.{reference}", path)


def place_key(prefix: str, number: int) -> Thing:
    """A physical location (GLN as 414; SGLN with extension 0)."""
    body = f"{prefix}{number:05d}"
    path = f"/414/{body}{check_digit(body)}"
    return Thing("place", RESOLVER + path, f"urn:epc:id:sgln:{prefix}.{number:05d}.0", path)


def party_key(prefix: str) -> Thing:
    """An organisation (GLN as 417; PGLN)."""
    body = f"{prefix}00000"
    path = f"/417/{body}{check_digit(body)}"
    return Thing("party", RESOLVER + path, f"urn:epc:id:pgln:{prefix}.00000", path)


def element_string(thing: Thing) -> str:
    """The bar-code text of a lot or serial: not a URI, so documents carry it in extension fields only."""
    qualifier = "(10)" if thing.kind == "lot" else "(21)"
    return f"(01){thing.gtin}{qualifier}{thing.code}"


def spell(thing: Thing, style: str, domain: str) -> str:
    """The name a member of this style writes. Styles: link, urn, brand, words; all name the same thing."""
    if style == "link":
        return thing.iri
    if style == "urn":
        return thing.urn
    path = thing.path
    if style == "words" and thing.kind in ("lot", "serial", "class"):
        path = path.replace("/01/", "/gtin/").replace("/10/", "/lot/").replace("/21/", "/ser/")
    elif path.startswith("/01/0"):
        path = "/01/" + path[5:]
    suffix = "?linkType=gs1:traceability" if thing.kind == "lot" else ""
    return f"https://{domain}/id{path}{suffix}"


def lot_and_serial(serial: Thing) -> str:
    """A link that names a serial and states its lot. Raises ValueError for a serial without a lot."""
    if serial.lot is None:
        raise ValueError("expected a serial with a lot, got one without")
    return f"{serial.lot.iri}/21/{serial.code}"
