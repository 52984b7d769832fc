"""A long text as overlapping windows, cut where paragraphs, lines or sentences end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# Presidio compares all results of a call with each other, so windows are short; they overlap so that
# what stands across a cut is whole in one of the two.
WINDOW = 4000
OVERLAP = 200
_CUTS = ("\n\n", "\n", "。", ". ", ";", ", ", " ")


class Window(NamedTuple):
    start: int
    text: str


def windows(text: str) -> Iterator[Window]:
    """Windows of at most `WINDOW` characters that cover `text`, in order."""
    start = 0
    while start < len(text):
        end = _cut(text, start)
        yield Window(start, text[start:end])
        if end == len(text):
            return
        start = _resume(text, start, end)


def _cut(text: str, start: int) -> int:
    """Where a window from `start` ends: after a paragraph if it can, else a line, a sentence, a word."""
    limit = start + WINDOW
    if limit >= len(text):
        return len(text)
    for mark in _CUTS:
        at = text.rfind(mark, start + WINDOW // 2, limit)
        if at >= 0:
            return at + len(mark)
    return limit


def _resume(text: str, start: int, end: int) -> int:
    """The next window begins at a word about `OVERLAP` characters before the last one's end."""
    if text.startswith("\n\n", end - 2):
        return end
    earliest = max(start + 1, end - OVERLAP)
    line = text.find("\n", earliest, end - 1)
    if line >= 0:
        return line + 1
    space = text.find(" ", earliest, end - 1)
    return space + 1 if space >= 0 else earliest
