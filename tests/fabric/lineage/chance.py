"""Scenes drawn at random: few things, few hours, so that everything collides with everything."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .scene import CLASS, FARM, OTHER, PLANT, SHOP, Item, Scene, grai, lot, sscc, tote, unit

_LOTS = [lot("A"), lot("B"), lot("C")]
_CARRIERS = [sscc(1), sscc(2), grai(1), tote(1), unit("case")]
_SERIALS = [unit("1"), unit("2")]
_PLACES = st.sampled_from([FARM, PLANT, SHOP, OTHER, None])
_AMOUNTS = st.sampled_from(["1", "2", "0.5", None])
_STEPS = st.sampled_from(
    [
        "shipping",
        "departing",
        "receiving",
        "arriving",
        "void_shipping",
        "cycle_counting",
        "retail_selling",
        "inspecting",
    ]
)
_HOURS = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 20, 28, 60, 9000])


@st.composite
def _item(draw: st.DrawFn, serials: list[str]) -> Item:
    if draw(st.booleans()):
        return draw(st.sampled_from(serials))
    amount = draw(_AMOUNTS)
    return (
        draw(st.sampled_from([*_LOTS, CLASS])),
        amount,
        draw(st.sampled_from(["KGM", "GRM", None])) if amount else None,
    )


def _items(serials: list[str], least: int = 0) -> st.SearchStrategy[list[Item]]:
    return st.lists(
        _item(serials),
        min_size=least,
        max_size=3,
        unique_by=lambda item: str(item[0] if isinstance(item, tuple) else item),
    )


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A scene of up to 14 events, some of them copies, declarations and contradictions."""
    scene = Scene()
    for number in range(draw(st.integers(1, 14))):
        _tell(draw, scene, number)
    return scene


def _tell(draw: st.DrawFn, scene: Scene, number: int) -> None:
    hour = draw(_HOURS)
    more: dict[str, Any] = {
        "member": draw(st.sampled_from(["farm", "plant"])),
        "at": draw(_PLACES),
        "event_id": draw(st.sampled_from([None, None, f"urn:e:{number % 5}"])),
    }
    match draw(
        st.sampled_from(
            ["make", "see", "see", "see", "pack", "pack", "unpack", "look", "transform", "again", "declare"]
        )
    ):
        case "make":
            scene.make(hour, *draw(_items(_SERIALS + _CARRIERS, 1)), **more)
        case "see":
            docs = draw(st.sampled_from([[], [("desadv", "urn:d:1")]]))
            to = draw(_PLACES)
            scene.see(hour, draw(_STEPS), *draw(_items(_SERIALS + _CARRIERS, 1)), to=to, docs=docs, **more)
        case "transform":
            run = draw(st.sampled_from([None, None, "urn:run:1"]))
            items = _items(_SERIALS + _CARRIERS)
            scene.transform(hour, draw(items), draw(items), run=run, **more)
        case "again" if scene.facts:
            _again(draw, scene)
        case "declare" if scene.facts:
            scene.declare(draw(st.sampled_from(scene.facts)), draw(st.sampled_from([None, "plant"])))
        case word:
            parent = draw(st.sampled_from(_CARRIERS))
            items = _items([name for name in _SERIALS + _CARRIERS if name != parent])
            tell = {"unpack": scene.unpack, "look": scene.look}.get(word, scene.pack)
            tell(hour, parent, *draw(items), **more)


def _again(draw: st.DrawFn, scene: Scene) -> None:
    """The same happening recorded by somebody: a relayed copy."""
    fact = draw(st.sampled_from(scene.facts))
    number = len(scene.facts) + 1
    member = draw(st.sampled_from(["farm", "plant", "shop"]))
    commitment = fact.commitment[:-2] + number.to_bytes(2)
    digest = fact.digest[:14] + number.to_bytes(2) + fact.digest[16:]
    scene.facts.append(
        fact._replace(record=number, seq=number, member=member, commitment=commitment, digest=digest)
    )


def holder(place: str, _time_us: int) -> str | None:
    """Who holds which place in these scenes."""
    return {FARM: "farm", PLANT: "plant", SHOP: "shop"}.get(place)


__all__ = ["holder", "scenes"]
