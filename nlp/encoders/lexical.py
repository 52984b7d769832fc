"""Lexical features: the words of a masked text, in the directions that a fixed public table gives them.

An encoder blurs rare words, which often decide what a clause is about; a table does not. The table was made
from public legal text (`weights/README.md`). A word that it lacks adds nothing: a name that masking missed
leaves no trace here, unless it is also a common word of public law.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from lexveil.nlp.encoders.chunks import replace_masks

TABLE = "words-legal-1.safetensors"
TABLE_DIGEST = "059e145947a473de74f667f53b0827e86d01380cb571046f6507552ab8abfb40"

_WORD = re.compile("[\u3400-\u9fff]+|[^\\W\\d_\u3400-\u9fff]+")
_LONGEST_HAN = 3  # characters of a Chinese term


class LexicalTableError(Exception):
    """The packaged table is not the published one."""


@dataclass(frozen=True, slots=True)
class LexicalTable:
    """Directions of terms.

    Attributes:
        hashes: Hash of each term (`hash_term`), ascending. Shape (terms,), uint32.
        signs: Signs of the coordinates of each term's direction, one bit each, first coordinate in the
            highest bit. Shape (terms, dimension / 8), uint8.
        weights: Weight of each term: rare terms weigh more. Shape (terms,), float32.
        mean: Mean of public text, by which features are centered. Shape (dimension,), float32.
    """

    hashes: NDArray[np.uint32] = field(repr=False)
    signs: NDArray[np.uint8] = field(repr=False)
    weights: NDArray[np.float32] = field(repr=False)
    mean: NDArray[np.float32] = field(repr=False)

    @property
    def dimension(self) -> int:
        """Width of the features."""
        return len(self.mean)

    def embed(self, masked_text: str) -> NDArray[np.float32]:
        """Compute the features of a text: the sum over its terms, minus the public mean, of norm 1.

        A term that occurs n times counts 1 + log(n) times.

        Returns:
            Shape (dimension,); zeros if the table has no term of the text.
        """
        summed = self.sum(masked_text)
        norm = float(np.linalg.norm(summed))
        if norm == 0:
            return summed
        centered = summed / norm - self.mean
        return centered / max(float(np.linalg.norm(centered)), 1e-12)

    def sum(self, masked_text: str) -> NDArray[np.float32]:
        """Compute the sum over the terms of a text. Shape (dimension,)."""
        found = Counter(map(hash_term, list_terms(masked_text)))
        terms = np.fromiter(found.keys(), np.uint32, len(found))
        counts = np.fromiter(found.values(), np.float32, len(found))
        rows = np.searchsorted(self.hashes, terms).clip(max=len(self.hashes) - 1)
        is_known = self.hashes[rows] == terms
        weights = (1 + np.log(counts[is_known])) * self.weights[rows[is_known]]
        signs = np.unpackbits(self.signs[rows[is_known]], axis=1).astype(np.float32) * 2 - 1
        return weights @ signs


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


def hash_term(term: str) -> int:
    """Return the 32 bits by which a table knows a term."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))


@cache
def load_table() -> LexicalTable:
    """Load the packaged table, once per process.

    Raises:
        LexicalTableError: it is not the published one.
    """
    content = files("lexveil.nlp.encoders").joinpath("weights", TABLE).read_bytes()
    if hashlib.sha256(content).hexdigest() != TABLE_DIGEST:
        raise LexicalTableError
    tensors = load(content)
    return LexicalTable(
        tensors["hashes"], tensors["signs"], tensors["weights"].astype(np.float32), tensors["mean"]
    )
