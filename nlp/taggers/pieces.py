"""Split a text into word pieces with their letter case, and map results for pieces back to words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

# Longest input in word pieces, [CLS] and [SEP] included, in training, and in reading: attention takes time
# quadratic in it. On 30 judgments each of TAB and LeNER-Br that it was trained on, the shipped classifier
# finds as much in 192 as in 256.
MAX_PIECES = 256
READ_PIECES = 192
_OVERLAP = 32
_SENTENCE_ENDS = frozenset(".!?;")
SHAPES = 16
"""Number of different shapes, see `Encoded`."""

_WORD = re.compile(r"\w+|[^\w\s]")
# The tokenizer works in UTF-8, which cannot encode a lone surrogate.
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# The tokenizer maps a longer word to one unknown piece, and its letters carry no information.
_LONGEST = 100
_CONTINUES = 8


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as N word pieces of W words.

    A word may have no piece (characters that the tokenizer drops); a piece always has a word.

    Attributes:
        ids: (N,) vocabulary id of each piece.
        shapes: (N,) letter case of the piece's whole word, plus 8 if the piece continues the word.
        word: (N,) row of the piece's word in `words`.
        words: (W, 2) [start, end) of each word in characters.
    """

    ids: Integers = field(repr=False)
    shapes: Integers = field(repr=False)
    word: Integers = field(repr=False)
    words: Integers = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive pieces that a model reads together.

    Attributes:
        start: first piece that it reads.
        stop: end of the pieces that it reads.
        begin: first piece whose result counts.
        end: end of the pieces whose results count.
    """

    start: int
    stop: int
    begin: int
    end: int


class WordPieces:
    """A fast tokenizer whose pieces are assigned to words."""

    def __init__(self, tokenizer: Any, cls: int, sep: int, pad: int) -> None:
        """Wrap a `tokenizers.Tokenizer`, whose truncation and padding are switched off.

        Args:
            tokenizer: a `tokenizers.Tokenizer`.
            cls: id of the token that begins an input.
            sep: id of the token that ends an input.
            pad: id of the padding token.
        """
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # The string "[MASK]" in a document must become its letters, not the special token.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self.cls, self.sep, self.pad = cls, sep, pad

    @classmethod
    def load(cls, path: Path) -> WordPieces:
        """Read a BERT-like tokenizer.json.

        Raises:
            KeyError: it lacks [CLS], [SEP] or [PAD].
        """
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        return cls(tokenizer, *(vocabulary[token] for token in ("[CLS]", "[SEP]", "[PAD]")))

    def encode(self, text: str) -> Encoded:
        """Split a text of any length into word pieces, without [CLS] and [SEP]."""
        matches = list(_WORD.finditer(text))
        words = np.array([match.span() for match in matches], np.int64).reshape(-1, 2)
        shapes = np.fromiter((_classify_case(match.group()) for match in matches), np.int64, len(matches))
        read = self._tokenizer.encode(_SURROGATE.sub("\ufffd", text), add_special_tokens=False)
        ids = np.array(read.ids, np.int64)
        starts = np.array(read.offsets, np.int64).reshape(-1, 2)[:, 0]
        if not len(words):
            return Encoded(ids[:0], ids[:0], ids[:0], words)
        word = np.searchsorted(words[:, 0], starts, side="right") - 1
        # A piece of SentencePiece begins with the space before its word.
        before = (word < 0) | (starts >= words[word, 1])
        word = np.minimum(word + before, len(words) - 1)
        return Encoded(ids, shapes[word] + _CONTINUES * (starts > words[word, 0]), word, words)


def _classify_case(word: str) -> int:
    """Return 1 to 7: lower case, Capitalized, CAPITALS, one capital, digits, no letter, mixed."""
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


def plan_stretches(text: str, encoded: Encoded, size: int) -> list[Stretch]:
    """Return the stretches in which a text is read, in order; the parts that count cover all pieces.

    A stretch ends with a line or a sentence where one ends in its last two fifths. Otherwise two stretches
    overlap, and meet in the middle of that. The last one begins as early as it may.

    Args:
        text: the text.
        encoded: its N pieces.
        size: largest number of pieces of a stretch, at least 4.
    """
    count, overlap = len(encoded.ids), min(_OVERLAP, size // 4)
    stretches: list[Stretch] = []
    start = begin = 0
    while count - start > size:
        stop = start + size
        end = _find_end(text, encoded, stop - 2 * size // 5, stop)
        if end is None:
            end = stop - overlap // 2
            stretches.append(Stretch(start, stop, begin, end))
            start, begin = stop - overlap, end
        else:
            stretches.append(Stretch(start, end, begin, end))
            start = begin = end
    if begin < count:
        stretches.append(Stretch(max(0, count - size), count, begin, count))
    return stretches


def _find_end(text: str, encoded: Encoded, least: int, most: int) -> int | None:
    """Return the last place from `least` to `most` at which a line or a sentence ends before a piece."""
    words, word = encoded.words.tolist(), encoded.word
    for place in range(most, least - 1, -1):
        row = int(word[place])
        if row == word[place - 1]:
            continue
        start, stop = words[row - 1]
        between = text[stop : words[row][0]]
        if "\n" in between:
            return place
        before = text[slice(*words[row - 2])] if row > 1 else ""
        # Not after an abbreviation or an initial.
        if between and text[start:stop] in _SENTENCE_ENDS and len(before) > 3 and before.islower():
            return place
    return None


def pool_words(probabilities: Floats, encoded: Encoded, *, first: bool) -> Floats:
    """Reduce (N, L) probabilities of pieces to (W, L) of words; a word without pieces gets zeros.

    Args:
        probabilities: (N, L) probabilities of the pieces.
        encoded: the text.
        first: take a word's first piece; otherwise the mean of all its pieces.
    """
    word = encoded.word
    result = np.zeros((len(encoded.words), probabilities.shape[1]), np.float32)
    if len(word):
        # Pieces are in the order of their words.
        begins = np.flatnonzero(np.diff(word, prepend=-1))
        if first:
            result[word[begins]] = probabilities[begins]
        else:
            counts = np.diff(begins, append=len(word))[:, None]
            result[word[begins]] = np.add.reduceat(probabilities, begins, axis=0) / counts
    return result
