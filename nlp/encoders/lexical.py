"""Lexical features: the words of a masked text, in the directions that a fixed public table gives them.

An encoder blurs rare words, which often decide what a clause is about; a table does not. The table was made
from public legal text (`weights/README.md`). A word that it lacks adds nothing: a name that masking missed
leaves no trace here, unless it is also a common word of public law.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.encoders.chunks import replace_masks
from lexveil.nlp.encoders.packaged import read_weights

_WORD = re.compile("[\u3400-\u9fff]+|[^\\W\\d_\u3400-\u9fff]+")
_LONGEST_HAN = 3  # characters of a Chinese term
_ENOUGH_KNOWN = 0.5  # share of a text's words


@dataclass(frozen=True, slots=True)
class LexicalTable:
    """Directions of terms.

    Attributes:
        hashes: Hash of each term (`hash_term`), ascending. Shape (terms,), uint32.
        signs: Signs of the coordinates of each term's direction, one bit each, first coordinate in the
            highest bit. Shape (terms, dimension / 8), uint8.
        weights: Weight of each term: rare terms weigh more. Shape (terms,), float32.
        languages: Language of each term, as a row of `means`. Shape (terms,), uint8.
        means: Mean of the public text of each language, by which features are centered. Directions of two
            languages have nothing in common, so neither have their means. Shape (languages, dimension),
            float32.
    """

    hashes: NDArray[np.uint32] = field(repr=False)
    signs: NDArray[np.uint8] = field(repr=False)
    weights: NDArray[np.float32] = field(repr=False)
    languages: NDArray[np.uint8] = field(repr=False)
    means: NDArray[np.float32] = field(repr=False)

    @property
    def dimension(self) -> int:
        """Width of the features."""
        return self.means.shape[1]

    def embed(self, masked_text: str) -> NDArray[np.float32]:
        """Compute the features of a text: the sum over its terms, of norm 1, minus the public mean.

        A term that occurs n times counts 1 + log(n) times. The mean is that of the languages of the terms,
        each by its share of their weight.

        Returns:
            Features of norm 1, or less where the table lacks more than half of the words: the few that it
            has, of another language by chance, would mislead. Zeros if it has no term of the text. Shape
            (dimension,).
        """
        found = Counter(list_terms(masked_text))
        terms = np.fromiter(map(hash_term, found), np.uint32, len(found))
        counts = np.fromiter(found.values(), np.float32, len(found))
        rows = np.searchsorted(self.hashes, terms).clip(max=len(self.hashes) - 1)
        is_known = self.hashes[rows] == terms
        rows = rows[is_known]
        weights = (1 + np.log(counts[is_known])) * self.weights[rows]
        summed = weights @ (np.unpackbits(self.signs[rows], axis=1).astype(np.float32) * 2 - 1)
        norm = float(np.linalg.norm(summed))
        if norm == 0:
            return np.zeros(self.dimension, np.float32)
        by_language = np.bincount(self.languages[rows], weights, len(self.means)).astype(np.float32)
        centered = summed / norm - by_language @ self.means / by_language.sum()
        is_word = np.fromiter(map(_is_word, found), np.bool_, len(found))
        known = np.count_nonzero(is_word & is_known) / max(1, np.count_nonzero(is_word))
        return centered * (min(1.0, known / _ENOUGH_KNOWN) / max(float(np.linalg.norm(centered)), 1e-12))


def list_terms(masked_text: str) -> Iterator[str]:
    """Yield the terms of a text: words and pairs of neighboring words, or one to three Han characters.

    Masks count as the words of their types. Numbers are no terms.
    """
    before = ""
    for match in _WORD.finditer(replace_masks(masked_text).lower()):
        word = match[0]
        if "\u3400" <= word[0] <= "\u9fff":
            before = ""
            for size in range(1, _LONGEST_HAN + 1):
                yield from (word[start : start + size] for start in range(len(word) - size + 1))
            continue
        if len(word) > 1:
            yield word
        if before:
            yield f"{before} {word}"
        before = word


def _is_word(term: str) -> bool:
    """Return True for a term that is one word, or one Han character: not a pair or a run."""
    return " " not in term and (len(term) == 1 or not "\u3400" <= term[0] <= "\u9fff")


def hash_term(term: str) -> int:
    """Return the 32 bits by which a table knows a term."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))


@cache
def load_table() -> LexicalTable:
    """Load the packaged table, once per process.

    Raises:
        EncoderLoadError: it is not the published one.
    """
    tensors = read_weights("words-legal-1")
    return LexicalTable(
        tensors["hashes"],
        tensors["signs"],
        tensors["weights"].astype(np.float32),
        tensors["languages"],
        tensors["means"],
    )
