"""Masked text to pieces of text that an encoder can take. Pure functions, no model."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

# One plain public word for each type of mask. `[PERSON_12]` would otherwise fall apart into pieces of
# which one is the running number, and numbers given by a document's own order would enter its features.
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

# Characters of text for one token: above what legal English needs (about 5), so that a window holds
# at least one full chunk.
_WINDOW_CHARACTERS = 12
# A text is tokenised whole up to this many characters for each token that can be used, and sampled
# beyond it. Must exceed _WINDOW_CHARACTERS, or the windows would overlap.
_WHOLE_CHARACTERS = 16
_WORD_SEARCH = 64


@dataclass(frozen=True, slots=True)
class Chunked:
    """The chunks of one document.

    ids: token ids of each chunk, without special tokens; they are the text, nearly, so no repr shows them.
    total: how many chunks the document has; more than `len(ids)` when only a selection was taken. Exact
        for a text that was tokenised whole, extrapolated from the windows for a very long one.
    """

    ids: list[list[int]] = field(repr=False)
    total: int


def readable(masked_text: str) -> str:
    """Masked text with every `[TYPE_n]` replaced by one public word, so that no number enters the features.

    Words stand between spaces: Chinese text has none, and two masks side by side must not melt together.
    """
    return _MASK.sub(lambda found: f" {MASK_WORDS[found[1]]} ", masked_text)


def evenly_spaced(total: int, limit: int) -> list[int]:
    """Up to `limit` of the indices 0..total-1, evenly spaced, first and last among them.

    The choice depends on the two counts only: it can tell nothing about labels or content.
    """
    if total <= limit:
        return list(range(total))
    if limit == 1:
        return [0]
    return [round(i * (total - 1) / (limit - 1)) for i in range(limit)]


def split_evenly(ids: Sequence[int], size: int) -> list[list[int]]:
    """Cut into the fewest chunks of at most `size` tokens, lengths differing by one at most.

    Even, because chunk embeddings are averaged: a last chunk of two tokens would weigh as much as a full one.
    """
    total = math.ceil(len(ids) / size)
    edges = [round(i * len(ids) / total) for i in range(total + 1)] if total else []
    return [list(ids[a:b]) for a, b in pairwise(edges)]


def windows(text: str, size: int, limit: int) -> list[str] | None:
    """Up to `limit` evenly spaced windows of a text too long to be tokenised whole; None if it is not.

    Shape: `size` is the number of tokens a chunk may hold; each window has 12 characters for each of them.
    Memory and time of tokenising are so bounded by `size * limit`, whatever the length of the text.
    """
    if len(text) <= size * limit * _WHOLE_CHARACTERS:
        return None
    width = size * _WINDOW_CHARACTERS
    starts = evenly_spaced(len(text) - width + 1, limit)
    return [text[_word_start(text, start) : start + width] for start in starts]


def _word_start(text: str, start: int) -> int:
    """The next start of a word near `start`; `start` itself in text without spaces."""
    if start == 0 or text[start - 1].isspace():
        return start
    for position in range(start, min(start + _WORD_SEARCH, len(text))):
        if text[position].isspace():
            return position + 1
    return start
