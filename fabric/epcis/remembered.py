"""What was worked out for a text is remembered, bounded in number and in length.

Submitted names, words and numbers may be of any length, so a memory that counts its entries alone could be
filled with a few thousand texts of megabytes each. A memory of what submissions hold is one of these. A hit
costs what a lookup in a dict costs, less than a call.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

LONGEST: Final = 512
"""A text with more characters is worked out each time. Names and words of the standards have less than 100."""


class Remembered(dict[Key, Value]):
    """``memory[text]`` is what `work_out` gives for a text. At most `most` texts of `longest` characters stay.

    When half of that is reached, the older half is forgotten, but for what is asked for again in the meantime. For a
    key that is no text, `size` gives what `longest` bounds. An error that `work_out` raises is raised and not
    remembered. Threads may share one: at worst they work out the same thing twice.
    """

    __slots__ = ("_half", "_longest", "_older", "_size", "_work_out")

    def __init__(
        self,
        work_out: Callable[[Key], Value],
        most: int,
        longest: int = LONGEST,
        size: Callable[[Any], int] = len,
    ) -> None:
        super().__init__()
        self._work_out = work_out
        self._half = max(1, most // 2)
        self._longest = longest
        self._size = size
        self._older: dict[Key, Value] = {}

    def __missing__(self, key: Key) -> Value:
        if self._size(key) > self._longest:
            return self._work_out(key)
        value = self._older.get(key)
        if value is None:
            value = self._work_out(key)
        if len(self) >= self._half:
            self._older = dict(self)
            self.clear()
        self[key] = value
        return value

    def kept(self) -> int:
        """The number of texts that are remembered now."""
        return len(self.keys() | self._older.keys())
