"""Masked text to the pieces of text that an encoder can take. Pure functions, without a model."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate, pairwise

# One common public word per entity type. Otherwise `[PERSON_12]` would be split into several tokens, one of
# them the running number, and the order of names in a document would enter its features.
MASK_WORDS = {
    "PERSON": "person",
    "AGE": "age",
    "BIRTH_DATE": "birthday",
    "FAMILY_MEMBER": "relative",
    "ADDRESS": "address",
    "PHONE": "telephone",
    "EMAIL": "email",
    "ID_NUMBER": "identification",
    "ACCOUNT_NUMBER": "account",
    "CASE_NUMBER": "case",
    "ORGANIZATION": "organization",
    "DATE": "date",
    "LOCATION": "place",
    "URL": "website",
    "IP_ADDRESS": "network",
    "PLATE": "vehicle",
    "DEMOGRAPHIC": "background",
    "QUANTITY": "amount",
    "MISC": "detail",
}
_MASK = re.compile(r"\[(" + "|".join(MASK_WORDS) + r")_\d+\]")

# Characters of text per token: more than in legal English (about 5), so that a window fills a chunk at least.
_WINDOW_CHARACTERS = 12
# A text is tokenized whole up to this many characters per usable token, and sampled beyond that. Must exceed
# _WINDOW_CHARACTERS, or the windows would overlap.
_WHOLE_CHARACTERS = 16
_WORD_SEARCH = 64
_LINE = re.compile(r"[^\n]*\n|[^\n]+\Z")
_BLANK_LINE = re.compile(r"[^\S\n]*(?:\n|\Z)")
_ENDS_SENTENCE = re.compile(r"[.:;!?。：；！？][\"'”’»)\]]*\Z")
_NUMBER = re.compile(
    r"(?:(?:article|section|part|chapter|title|schedule|annex|exhibit|artikel|abschnitt|teil)\b|§+)?"
    r"\s*(?:\(?(?:[0-9]{1,3}(?:\.[0-9]{1,3}){0,4}|[ivxlIVXL]{1,6}|[a-zA-Z])[.)]|"
    r"(?<=[a-zA-Z§] )[0-9IVXL]{1,6}\b)|"
    r"第[0-9一二三四五六七八九十百]{1,5}[章节条]|[一二三四五六七八九十]{1,3}、",
    re.IGNORECASE,
)
_LONGEST_HEADING, _LONGEST_TITLE = 100, 40  # characters; the latter of one that ends like a sentence
_SHORTEST = 0.75


@dataclass(frozen=True, slots=True)
class DocumentChunks:
    """The chunks of one document.

    Attributes:
        ids: Token ids of each chunk, without special tokens. They nearly are the text, so `repr` omits them.
        total: Number of chunks of the document; more than `len(ids)` if only a selection was taken. Exact for
            a text that was tokenized whole, extrapolated from the windows for a very long one.
    """

    ids: list[list[int]] = field(repr=False)
    total: int


def replace_masks(masked_text: str) -> str:
    """Replace each `[TYPE_n]` by a public word, so that no running number enters the features.

    Spaces surround the words: Chinese text has none, and two adjacent masks must stay two words.
    """
    return _MASK.sub(lambda match: f" {MASK_WORDS[match[1]]} ", masked_text)


def select_evenly(total: int, limit: int) -> list[int]:
    """Select up to `limit` of the indices 0..total-1, evenly spaced, including the first and the last.

    The selection depends on the two counts alone, so it reveals nothing about labels or content.
    """
    if total <= limit:
        return list(range(total))
    if limit == 1:
        return [0]
    return [round(i * (total - 1) / (limit - 1)) for i in range(limit)]


def split_evenly(ids: Sequence[int], size: int) -> list[list[int]]:
    """Split into the fewest chunks of at most `size` tokens, with lengths that differ by at most one.

    Even, because chunk embeddings are averaged: a last chunk of two tokens would count as much as a full one.
    """
    total = math.ceil(len(ids) / size)
    edges = [round(i * len(ids) / total) for i in range(total + 1)] if total else []
    return [list(ids[a:b]) for a, b in pairwise(edges)]


class Border(IntEnum):
    """What begins at a place of a text, from the least to the most."""

    none = 0
    line = 1
    """A line after one that ends a sentence."""
    paragraph = 2
    """A line after a blank one."""
    heading = 3
    """A line that is short, ends no sentence, and stands alone, is numbered or in capitals."""


def split_paragraphs(text: str) -> list[tuple[str, Border]]:
    """Divide a text before its paragraphs and headings.

    No marks are needed: readers write a heading as a line of its own with blank lines around it, and masking
    keeps lines.

    Args:
        text: Text.

    Returns:
        The pieces, which are the text if joined, each with what begins with it.
    """
    pieces: list[tuple[str, Border]] = []
    start, begins = 0, Border.none
    is_blank = is_ended = True
    for line in _LINE.finditer(text):
        content = line[0].strip()
        if content:
            is_alone = is_blank and _BLANK_LINE.match(text, line.end()) is not None
            border = _find_border(content, is_alone, is_blank, is_ended)
            if border and line.start() > start:
                pieces.append((text[start : line.start()], begins))
                start, begins = line.start(), border
            is_ended = border is Border.heading or _ENDS_SENTENCE.search(content) is not None
        is_blank = not content
    return [*pieces, (text[start:], begins)] if text else []


def _find_border(content: str, is_alone: bool, is_blank: bool, is_ended: bool) -> Border:
    """Return what begins with a line.

    Args:
        content: Text of the line.
        is_alone: Blank lines are before and after it.
        is_blank: One is before it.
        is_ended: The text before it ends a sentence or a heading.
    """
    is_numbered = _NUMBER.match(content) is not None
    is_marked = (is_blank or is_ended) and (is_numbered or content.isupper())
    longest = _LONGEST_TITLE if _ENDS_SENTENCE.search(content) else _LONGEST_HEADING
    if (is_marked or (is_alone and longest == _LONGEST_HEADING)) and len(content) <= longest:
        return Border.heading
    if is_blank:
        return Border.paragraph
    return Border.line if is_ended or is_numbered else Border.none


def split_at_borders(lengths: Sequence[int], borders: Sequence[Border], size: int) -> list[int]:
    """Choose where chunks end, so that they begin with a heading or a paragraph where that is near.

    A chunk has at least three quarters of the tokens that it would have if all that are left were equally
    long.

    Args:
        lengths: Number of tokens of each piece of a text.
        borders: What begins with each piece.
        size: Maximum number of tokens per chunk.

    Returns:
        The edges of the chunks, in tokens, from 0 to the number of all tokens.
    """
    starts = [0, *accumulate(lengths)]
    total = starts[-1]
    edges = [0]
    first = 0
    while total - edges[-1] > size:
        start = edges[-1]
        even = round((total - start) / math.ceil((total - start) / size))
        while starts[first] <= start + even * _SHORTEST:
            first += 1
        best, rank = start + even, (Border.none, 0)
        for number in range(first, len(lengths)):
            place = starts[number]
            if place > start + size:
                break
            if borders[number] and (here := (borders[number], -abs(place - start - even))) > rank:
                best, rank = place, here
        edges.append(best)
    return [*edges, total] if total else []


def skip_to_border(window: str) -> str:
    """Return a window from a heading, or else a paragraph, on, if one begins in its first quarter."""
    place, start, best = 0, 0, Border.none
    for piece, border in split_paragraphs(window):
        if place > len(window) // 4:
            break
        if place and border > best:
            start, best = place, border
        place += len(piece)
    return window[start:]


def sample_windows(text: str, size: int, limit: int) -> list[str] | None:
    """Sample up to `limit` evenly spaced windows of a text that is too long to be tokenized whole.

    Bounds memory and time of the tokenizer by `size * limit`, whatever the length of the text.

    Args:
        text: Text to sample.
        size: Number of tokens that a chunk can hold. A window has 12 characters per token.
        limit: Maximum number of windows.

    Returns:
        The windows, or None if the text is short enough to be tokenized whole.
    """
    if len(text) <= size * limit * _WHOLE_CHARACTERS:
        return None
    width = size * _WINDOW_CHARACTERS
    starts = select_evenly(len(text) - width + 1, limit)
    return [text[_find_word_start(text, start) : start + width] for start in starts]


def _find_word_start(text: str, start: int) -> int:
    """Return the next start of a word near `start`, or `start` itself in text without spaces."""
    if start == 0 or text[start - 1].isspace():
        return start
    for position in range(start, min(start + _WORD_SEARCH, len(text))):
        if text[position].isspace():
            return position + 1
    return start
