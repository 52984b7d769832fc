"""Split a long text into overlapping windows that end at a paragraph, line, sentence or word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# Presidio compares all results of one call with each other, so windows are short. They overlap so that a name
# across a boundary is whole in one of them.
WINDOW = 4000
OVERLAP = 200
_BOUNDARIES = ("\n\n", "\n", "。", ". ", ";", ", ", " ")


class Window(NamedTuple):
    """A part of a text.

    Attributes:
        start: offset of the window in the text.
        text: its characters, at most `WINDOW`.
    """

    start: int
    text: str


def split_windows(text: str) -> Iterator[Window]:
    """Yield windows of at most `WINDOW` characters that cover `text`, in order."""
    start = 0
    while start < len(text):
        end = _find_end(text, start)
        yield Window(start, text[start:end])
        if end == len(text):
            return
        start = _find_next_start(text, start, end)


def _find_end(text: str, start: int) -> int:
    """Return the end of the window: after a paragraph if possible, else a line, a sentence or a word."""
    limit = start + WINDOW
    if limit >= len(text):
        return len(text)
    for boundary in _BOUNDARIES:
        position = text.rfind(boundary, start + WINDOW // 2, limit)
        if position >= 0:
            return position + len(boundary)
    return limit


def _find_next_start(text: str, start: int, end: int) -> int:
    """Return the start of the next window: a line or word about `OVERLAP` characters before `end`.

    After a paragraph there is no overlap.
    """
    if text.startswith("\n\n", end - 2):
        return end
    earliest = max(start + 1, end - OVERLAP)
    line = text.find("\n", earliest, end - 1)
    if line >= 0:
        return line + 1
    space = text.find(" ", earliest, end - 1)
    return space + 1 if space >= 0 else earliest
