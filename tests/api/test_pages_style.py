"""The stylesheet: text can be read on its ground by people with weak sight (WCAG 2.2, AA), and focus is seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import api.pages

CSS = (Path(api.pages.__file__).parent / "static" / "loomark.css").read_text(encoding="utf-8")
RULES = [
    (selector.strip(), body)
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", CSS, flags=re.S))
]
VARIABLES = dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-fA-F]{6})", RULES[0][1]))

ON_EVERY_GROUND = ("ink", "soft", "accent")
GROUNDS = ("ground", "panel", "tint", "accent-tint", "warn-tint", "bad-tint")
TEXT = [
    *((ink, ground) for ink in ON_EVERY_GROUND for ground in GROUNDS),
    ("accent-ink", "accent"),
    ("warn", "warn-tint"),
    ("warn", "panel"),
    ("bad", "bad-tint"),
    ("bad", "panel"),
    ("bad", "accent-tint"),
]
MARKS = [
    (mark, ground) for mark in ("edge", "accent", "warn", "bad") for ground in ("ground", "panel", "tint")
]
BOXES = re.findall(r"svg\.trace \.box\S* rect \{ fill: (#[0-9a-f]{6})", CSS)


def luminance(color: str) -> float:
    """Relative luminance of an sRGB colour, WCAG 2.2."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_stands_out_from_its_ground(ink: str, ground: str) -> None:
    assert contrast(VARIABLES[ink], VARIABLES[ground]) >= 4.5


@pytest.mark.parametrize(("mark", "ground"), MARKS)
def test_edges_of_fields_and_marks_stand_out(mark: str, ground: str) -> None:
    assert contrast(VARIABLES[mark], VARIABLES[ground]) >= 3


def test_text_in_the_drawing_stands_out() -> None:
    assert len(BOXES) >= 4
    for ground in BOXES:
        for ink in ("ink", "soft", "bad"):
            assert contrast(VARIABLES[ink], ground) >= 4.5, (ink, ground)


def test_print_and_hover_stand_out_too() -> None:
    root = next(body for selector, body in RULES[1:] if selector.endswith(":root"))
    printed = VARIABLES | dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-fA-F]{6})", root))
    assert contrast(printed["soft"], printed["ground"]) >= 4.5
    hover = re.search(r"\.button:hover \{ background: (#[0-9a-f]{6})", CSS)
    assert hover
    assert contrast(VARIABLES["accent-ink"], hover[1]) >= 4.5


def test_no_rule_uses_a_colour_that_these_tests_do_not_know() -> None:
    hover = re.findall(r":hover \{ background: (#[0-9a-f]{6})", CSS)
    known = {*VARIABLES.values(), *BOXES, *hover}
    for selector, body in RULES[1:]:
        if selector.endswith(":root"):
            continue
        for color in re.findall(r"#[0-9a-fA-F]{3,8}\b", body):
            assert color in known, (selector, color)
        for declared in re.findall(r"(?:^|;|\s)color:\s*([^;]+)", body):
            assert re.fullmatch(
                r"var\(--(ink|soft|accent|accent-ink|warn|bad)\)|inherit", declared.strip()
            ), (
                selector,
                declared,
            )


def test_whatever_can_have_the_focus_shows_it() -> None:
    shown = next((selector, body) for selector, body in RULES if "button:focus-visible" in selector)
    for element in ("a", "button", "input", "select", ".drawing"):
        assert f"{element}:focus-visible" in shown[0]
    assert "outline: 3px solid var(--accent)" in shown[1]
    hidden = [selector for selector, body in RULES if re.search(r"outline:\s*(none|0)", body)]
    assert hidden == ["svg.trace a:focus-visible"], "a box of the drawing shows it by its edge"
    assert any(
        selector == "svg.trace a:focus-visible rect" and "stroke-width: 4" in body for selector, body in RULES
    )


def test_paper_gets_no_forms_no_scroll_boxes_and_repeated_headings() -> None:
    printed = CSS[CSS.index("@media print") :]
    assert re.search(r"form, \.skip, \.no-print \{ display: none", printed)
    assert "thead { display: table-header-group; }" in printed
    assert re.search(r"\.wide, \.drawing \{ overflow: visible", printed)


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert "url(" not in CSS
    assert "@import" not in CSS
