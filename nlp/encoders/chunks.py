"""Masked text to the pieces of text that an encoder can take. Pure functions, without a model."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

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
