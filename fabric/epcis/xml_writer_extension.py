"""Extensions as XML: text, elements inside elements, and marks for what plain XML would say of no JSON value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .xml_writer_names import Names
from .xml_writer_text import NoXMLForm, attribute, number, text


class Writer:
    """What is written of one event: the pieces, and the prefixes that they use.

    `declared` are the prefixes that stand around the event already; `cbv` says how words of CBV are spelled. Without
    `marks` a value is written as what it looks like, for readers who want no JSON back.
    """

    __slots__ = ("cbv", "declared", "marks", "names", "out", "used")

    def __init__(
        self, names: Names, declared: Mapping[str, str], cbv: str = "", *, marks: bool = True
    ) -> None:
        self.names = names
        self.declared = declared
        self.cbv = cbv
        self.marks = marks
        self.out: list[str] = []
        self.used: set[str] = set()

    def begin(self) -> None:
        """Start with nothing written."""
        self.out = []
        self.used = set()

    def use(self, prefix: str) -> str:
        """The prefix, which is needed from here on."""
        self.used.add(prefix)
        return prefix

    def needed(self) -> str:
        """The namespaces of the prefixes used that are not declared around."""
        bound, declared = self.names.bound, self.declared
        missing = [prefix for prefix in self.used if declared.get(prefix) != bound[prefix]]
        if not missing:
            return ""
        return "".join([f" xmlns:{prefix}={attribute(bound[prefix])}" for prefix in sorted(missing)])


def write_extensions(w: Writer, value: Mapping[str, Any], known: Collection[str]) -> None:
    """The members of an object of EPCIS that are no fields of it. Raises NoXMLForm, also for a name without prefix."""
    for name, inner in value.items():
        if name in known:
            continue
        try:
            if ":" not in name:
                raise NoXMLForm("a field that this has in XML, or a name with a prefix", "another")
            write_extension(w, name, inner)
        except NoXMLForm as error:
            raise error.below(name) from None


def write_extension(w: Writer, name: str, value: Any) -> None:
    """One member of an object: an element, or one for each item of a list."""
    tag = w.names.tag(name)
    opening = tag.opening
    if tag.prefixes:
        w.used.update(tag.prefixes)
    if type(value) is str:
        w.out.append(f"{opening}>{text(value)}{tag.closing}")
    elif type(value) is list and value:
        if len(value) == 1:
            opening += _mark(w, "in", "list")
        _write_items(w, opening, tag.closing, value)
    else:
        _write_value(w, opening, tag.closing, value)


def _write_items(w: Writer, opening: str, closing: str, items: list[Any]) -> None:
    for index, item in enumerate(items):
        try:
            _write_value(w, opening, closing, item)
        except NoXMLForm as error:
            raise error.below(index) from None


def _write_value(w: Writer, opening: str, closing: str, value: Any) -> None:
    """One value as one element; of other kinds than text and objects with members the kind is marked."""
    kind = type(value)
    if kind is str:
        w.out.append(f"{opening}>{text(value)}{closing}")
    elif isinstance(value, Mapping):
        w.out.append(f"{opening}{'' if value else _mark(w, 'type', 'object')}>")
        for name, inner in value.items():
            try:
                write_extension(w, name, inner)
            except NoXMLForm as error:
                raise error.below(name) from None
        w.out.append(closing)
    elif kind is list:
        w.out.append(f"{opening}{_mark(w, 'type', 'list')}>")
        item = w.use(w.names.mark) + ":item"
        _write_items(w, f"<{item}", f"</{item}>", value)
        w.out.append(closing)
    elif kind is bool:
        w.out.append(f"{opening}{_mark(w, 'type', 'boolean')}>{'true' if value else 'false'}{closing}")
    elif value is None:
        w.out.append(f"{opening}{_mark(w, 'type', 'null')}>{closing}")
    else:
        w.out.append(f"{opening}{_mark(w, 'type', 'number')}>{number(value)}{closing}")


def _mark(w: Writer, name: str, value: str) -> str:
    if not w.marks:
        return ""
    return f' {w.use(w.names.mark)}:{name}="{value}"'
