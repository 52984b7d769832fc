"""Fold words, to recognize a name in any case, with any accents, apostrophes or look-alike letters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lexveil.nlp.letters import HAN, strip_accents
from lexveil.nlp.text import NormalizedText

HAN_MARK = re.compile(f"[{HAN}〇○]")
"""A character that makes a name Chinese; ○ stands for a character that is left out."""

_WORD = re.compile(rf"[^\W_{HAN}]+(?:'[^\W_{HAN}]+)*")
# Cyrillic and Greek letters that look like Latin ones.
_LOOKALIKES = str.maketrans("авеһніјкморсѕтухԁαικνορτ", "abehhijkmopcstyxdaikvopt")


class Token(NamedTuple):
    """A word of a normalized text, without a final 's.

    Attributes:
        folded: the folded word.
        start: start in characters of the text.
        end: end in characters of the text.
        capital: True if it begins with a capital letter.
    """

    folded: str
    start: int
    end: int
    capital: bool


def split_tokens(text: str) -> list[Token]:
    """Return the words of a normalized text that are not in Chinese characters."""
    tokens: list[Token] = []
    seen: dict[str, tuple[str, int, bool]] = {}
    for match in _WORD.finditer(text):
        written = match.group()
        known = seen.get(written)
        if known is None:
            word = written[:-2] if written[-2:] in ("'s", "'S") else written
            known = seen[written] = (_fold_word(word), len(word), word[0].isupper())
        folded, length, capital = known
        start = match.start()
        tokens.append(Token(folded, start, start + length, capital))
    return tokens


@lru_cache(maxsize=1 << 12)
def fold_words(text: str) -> Sequence[str]:
    """Return the folded words of a short text that is not yet normalized."""
    return tuple(token.folded for token in split_tokens(NormalizedText.of(text).text))


def join_folded(text: str) -> str:
    """Return the folded words of a text without spaces, or its letters and digits if it has no such word."""
    return "".join(fold_words(text)) or "".join(c for c in text if c.isalnum())


def find_lower_words(text: str) -> set[str]:
    """Return the folded words that a normalized text writes in lower case."""
    return {_fold_word(word) for word in set(_WORD.findall(text)) if word.islower()}


def _fold_word(word: str) -> str:
    if word.isascii():
        return word.lower().replace("'", "")
    return "".join(map(strip_accents, word)).casefold().translate(_LOOKALIKES).replace("'", "")
