"""Text -> word pieces with the case that an uncased vocabulary drops, and word pieces -> words again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

# Two of a piece's positions are [CLS] and [SEP].
PIECE = 256
OVERLAP = 64
SHAPES = 16
_WORD = re.compile(r"\w+|[^\w\s]")
# A lone surrogate is no character of UTF-8, which the tokenizer works in.
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# A longer word is one unknown piece to the tokenizer, and its letters tell nothing.
_LONGEST = 100
_CONTINUES = 8


@dataclass(frozen=True, slots=True)
class Encoded:
    """Of one text: `ids`, `shapes` and `word` (N,) of each word piece, `words` (W, 2) in characters.

    A shape is the case of the piece's whole word, plus 8 where the piece goes on in it. `word` is the row in
    `words`. A word may have no piece (characters that the tokenizer drops); a piece always has a word.
    """

    ids: Integers = field(repr=False)
    shapes: Integers = field(repr=False)
    word: Integers = field(repr=False)
    words: Integers = field(repr=False)


class WordPieces:
    """A fast tokenizer read so that every piece knows its word."""

    def __init__(self, tokenizer: Any, cls: int, sep: int, pad: int) -> None:
        """`tokenizer` is a `tokenizers.Tokenizer`."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # A document that writes "[MASK]" must get the letters, not the special token.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self.cls, self.sep, self.pad = cls, sep, pad

    @classmethod
    def load(cls, path: Path) -> WordPieces:
        """From a BERT-like tokenizer.json. Raises: KeyError where it lacks [CLS], [SEP] or [PAD]."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        return cls(tokenizer, *(vocabulary[token] for token in ("[CLS]", "[SEP]", "[PAD]")))

    def encode(self, text: str) -> Encoded:
        matches = list(_WORD.finditer(text))
        words = np.array([match.span() for match in matches], np.int64).reshape(-1, 2)
        shapes = np.fromiter((_shape(match.group()) for match in matches), np.int64, len(matches))
        read = self._tokenizer.encode(_SURROGATE.sub("\ufffd", text), add_special_tokens=False)
        ids = np.array(read.ids, np.int64)
        starts = np.array(read.offsets, np.int64).reshape(-1, 2)[:, 0]
        if not len(words):
            return Encoded(ids[:0], ids[:0], ids[:0], words)
        word = np.searchsorted(words[:, 0], starts, side="right") - 1
        # SentencePiece's pieces begin with the space before the word.
        before = (word < 0) | (starts >= words[word, 1])
        word = np.minimum(word + before, len(words) - 1)
        return Encoded(ids, shapes[word] + _CONTINUES * (starts > words[word, 0]), word, words)


def _shape(word: str) -> int:
    """1..7: small, Capitalised, CAPITALS, one capital, digits, no letter, mixed."""
    word = word[:_LONGEST]
    if word.isdigit():
        return 5
    if not word[0].isalnum():
        return 6
    if not word.isalpha():
        return 7
    if word.islower():
        return 1
    if word.isupper():
        return 3 if len(word) > 1 else 4
    return 2 if word[0].isupper() and word[1:].islower() else 7


def starts_of(count: int, size: int, overlap: int) -> Integers:
    """Where stretches of at most `size` begin that cover `count` and overlap by at least `overlap`.

    They are as few as can be, and evenly spaced, so that they are equally long.
    """
    if count <= size:
        return np.zeros(min(count, 1), np.int64)
    pieces = -(-(count - overlap) // (size - overlap))
    return np.linspace(0, count - size, pieces).round().astype(np.int64)


def middles(starts: Integers, size: int, count: int) -> Integers:
    """(len(starts) + 1,) where each stretch takes over: amid its overlap with the one before."""
    return np.concatenate(([0], (starts[1:] + starts[:-1] + size) // 2, [count]))


def of_words(probabilities: Floats, encoded: Encoded, *, first: bool) -> Floats:
    """(N, L) of pieces -> (W, L) of words: the first piece or the mean; zeros for a word without one."""
    word = encoded.word
    result = np.zeros((len(encoded.words), probabilities.shape[1]), np.float32)
    if len(word):
        # Pieces stand in the order of their words.
        begins = np.flatnonzero(np.diff(word, prepend=-1))
        if first:
            result[word[begins]] = probabilities[begins]
        else:
            counts = np.diff(begins, append=len(word))[:, None]
            result[word[begins]] = np.add.reduceat(probabilities, begins, axis=0) / counts
    return result
