"""Rows for people: aligned where they fit, else a block a row, so that no identifier is ever cut or broken.

Into a pipe rows are aligned however wide they get: a line stays a line for whatever reads it. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

_GAP = "  "


def columns(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Lines of a table within `width` cells (None: any), the first column telling rows apart."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)]
    if width is not None and sum(widths) + len(_GAP) * len(widths) > width:
        return [line for row in cells for line in _block(headings, row)]
    return [_line(row, widths) for row in [headings, *cells]]


def printable(text: str) -> str:
    """A text that moves no cursor and changes no colour: what cannot be printed becomes a replacement sign."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
    return (_GAP + _GAP.join(padded)).rstrip()


def _block(headings: Sequence[str], row: Sequence[str]) -> list[str]:
    told = (f"{heading}: {cell}" for heading, cell in zip(headings[1:], row[1:], strict=True) if cell)
    return [_GAP + row[0], *(2 * _GAP + line for line in told)]
