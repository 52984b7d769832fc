"""Compute the hashed features of the tokens of many texts at once, in numpy.

A feature is a 32-bit hash; no string of a text leaves this module. Most features of a token depend on one
word at a fixed distance, so they are hashed once per word; features of several words are mixed from the
words' hashes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]
Integers = NDArray[np.int64]

_TOKEN = re.compile(r"(\w+|[^\w\s])")
_RUNS = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in ((r"[A-ZÄÖÜ]+", "X"), (r"[a-zäöüß]+", "x"), (r"\d+", "d"), (r"[^Xxd\W]+", "w"))
)
_TITLES = frozenset("mr mrs ms miss dr messrs judge herr frau herrn prof professor sir lady".split())  # noqa: SIM905
_ENGLISH = frozenset("the of and to in that was is for by with not his her on at an a".split())  # noqa: SIM905
_GERMAN = frozenset("der die das und nicht des dem den ist auf für mit zu von im ein eine".split())  # noqa: SIM905
# Further letters add no information, and a limit makes hostile words cheap.
_LONGEST = 40
# The CRF reads one sequence at a time; a longer sentence is split.
_SEGMENT = 256
# After a longer token a full stop ends a sentence; after a shorter one it may belong to an abbreviation.
_ABBREVIATION = 3

# Features of one word, and the distances at which a token uses them.
TEMPLATES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("word", (0,)),
    ("lower", (-2, -1, 0, 1, 2)),
    ("shape", (-2, -1, 0, 1, 2)),
    ("prefix2", (0,)),
    ("prefix3", (-1, 0, 1)),
    ("suffix2", (0,)),
    ("suffix3", (-1, 0, 1)),
    ("suffix4", (0,)),
    ("coarse", (-3, -2, -1, 0, 1, 2, 3)),
    ("middle", (-2, -1, 0, 1, 2)),
    ("fine", (-1, 0, 1)),
)
REACH = 3
OFFSETS = tuple(range(-REACH, REACH + 1))
# Features of several words together: (template, distance) of each part.
COMBINED: tuple[tuple[tuple[str, int], ...], ...] = (
    (("lower", -1), ("lower", 0)),
    (("lower", 0), ("lower", 1)),
    (("lower", -2), ("lower", -1)),
    (("lower", 1), ("lower", 2)),
    (("lower", -1), ("shape", 0)),
    (("shape", 0), ("lower", 1)),
    (("shape", -1), ("shape", 0)),
    (("shape", 0), ("shape", 1)),
    (("shape", -1), ("shape", 0), ("shape", 1)),
    (("lower", -2), ("lower", -1), ("shape", 0)),
    (("lower", -1), ("shape", 0), ("lower", 1)),
    (("shape", 0), ("lower", 1), ("lower", 2)),
    (("middle", -1), ("middle", 0)),
    (("middle", 0), ("middle", 1)),
    (("middle", -1), ("shape", 0)),
    (("coarse", -1), ("coarse", 0), ("coarse", 1)),
)
_NAMES = tuple(name for name, _ in TEMPLATES)
_COLUMN = {name: column for column, name in enumerate(_NAMES)}


@dataclass(frozen=True, slots=True)
class Clusters:
    """Words of a public vocabulary by their hash, with the cluster of each at three grains.

    Attributes:
        hashes: (V,) sorted hashes of the words; V may be 0.
        clusters: (V, 3) clusters of each word, from coarse to fine.
    """

    hashes: Hashes = field(repr=False)
    clusters: NDArray[np.uint16] = field(repr=False)

    def look_up(self, hashes: Hashes) -> Integers:
        """Return (n, 3) clusters for (n,) hashes of lower-case words; -1 for unknown words."""
        clusters = np.full((len(hashes), 3), -1, np.int64)
        if len(self.hashes):
            rows = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
            known = self.hashes[rows] == hashes
            clusters[known] = self.clusters[rows[known]]
        return clusters


@dataclass(frozen=True, slots=True)
class Words:
    """Properties of n distinct words.

    Attributes:
        hashes: (n, templates) hash of each feature.
        title: (n,) the word is a title such as "Mr".
        german: (n,) 1 for a frequent German word, -1 for a frequent English one, 0 for neither or both.
        lower: (n,) the word is in lower case.
        long: (n,) it is in lower case and too long for an abbreviation.
        stop: (n,) it ends a sentence.
    """

    hashes: Hashes = field(repr=False)
    title: NDArray[np.bool_] = field(repr=False)
    german: NDArray[np.int8] = field(repr=False)
    lower: NDArray[np.bool_] = field(repr=False)
    long: NDArray[np.bool_] = field(repr=False)
    stop: NDArray[np.bool_] = field(repr=False)

    def concatenate(self, others: Words) -> Words:
        """Return these words followed by `others`."""
        return Words(
            *(np.concatenate((getattr(self, f.name), getattr(others, f.name))) for f in fields(Words))
        )


@dataclass(frozen=True, slots=True)
class Tokens:
    """The T tokens of several texts, one text after the other.

    Attributes:
        spans: (T, 2) [start, end) in characters of the token's text.
        text: (T,) index of the token's text.
        words: T strings.
        gap: (T,) what precedes the token: 0 nothing, 1 a space, 2 a line end.
    """

    spans: Integers = field(repr=False)
    text: Integers = field(repr=False)
    words: list[str] = field(repr=False)
    gap: NDArray[np.int8] = field(repr=False)


def hash_text(text: str) -> int:
    """Return the 32-bit hash of a string."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def tokenize(texts: Sequence[str]) -> Tokens:
    """Split texts into words and single punctuation marks."""
    words: list[str] = []
    spans: list[Integers] = []
    gaps: list[NDArray[np.int8]] = []
    owner: list[Integers] = []
    for index, text in enumerate(texts):
        # Gaps and tokens alternate.
        pieces = _TOKEN.split(text)
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        ends = np.cumsum(lengths)
        starts = ends - lengths
        tokens = pieces[1::2]
        words += tokens
        spans.append(np.stack((starts[1::2], ends[1::2]), axis=1))
        before = pieces[0:-1:2]
        kinds = {gap: 2 if "\n" in gap else int(gap != "") for gap in set(before)}
        gaps.append(np.fromiter(map(kinds.__getitem__, before), np.int8, len(before)))
        owner.append(np.full(len(tokens), index, np.int64))
    if not texts:
        return Tokens(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), [], np.zeros(0, np.int8))
    return Tokens(np.concatenate(spans), np.concatenate(owner), words, np.concatenate(gaps))


def compute_shape(word: str) -> str:
    """Return one letter per run of capitals, small letters and digits.

    A word of digits or capitals only has their number instead, as in "d4" or "X2".
    """
    if word.isdigit():
        return f"d{min(len(word), 7)}"
    if word.isupper():
        return f"X{min(len(word), 4)}"
    for pattern, kind in _RUNS:
        word = pattern.sub(kind, word)
    return word[:8]


def describe_words(words: Iterable[str], clusters: Clusters) -> Words:
    """Compute the properties that each word has by itself."""
    words = [word[:_LONGEST] for word in words]
    lower = [word.lower() for word in words]
    hashes = np.zeros((len(words), len(_NAMES)), np.uint32)
    values = {
        "word": words,
        "lower": lower,
        "shape": [compute_shape(word) for word in words],
        "prefix2": [word[:2] for word in lower],
        "prefix3": [word[:3] for word in lower],
        "suffix2": [word[-2:] for word in lower],
        "suffix3": [word[-3:] for word in lower],
        "suffix4": [word[-4:] for word in lower],
    }
    for name, column in values.items():
        hashes[:, _COLUMN[name]] = np.fromiter(map(hash_text, column), np.uint32, len(words))
    word_clusters = clusters.look_up(hashes[:, _COLUMN["lower"]])
    for grain, name in enumerate(("coarse", "middle", "fine")):
        # The shape of an unknown word serves as its cluster.
        known = word_clusters[:, grain] >= 0
        hashes[:, _COLUMN[name]] = np.where(known, word_clusters[:, grain], hashes[:, _COLUMN["shape"]])
    n = len(words)
    return Words(
        hashes,
        np.fromiter((w in _TITLES for w in lower), np.bool_, n),
        np.fromiter(((w in _GERMAN) - (w in _ENGLISH) for w in lower), np.int8, n),
        np.fromiter((w.islower() for w in words), np.bool_, n),
        np.fromiter((len(w) > _ABBREVIATION and w.islower() for w in words), np.bool_, n),
        np.fromiter((w in ".?!;" for w in words), np.bool_, n),
    )


def number_segments(tokens: Tokens, ids: Integers, words: Words) -> Integers:
    """Return (T,) the number of each token's sequence; a sequence ends with a line or a sentence.

    Args:
        tokens: T tokens.
        ids: (T,) row of each token in `words`.
        words: the distinct words.
    """
    count = len(ids)
    begins = np.zeros(count, np.bool_)
    if not count:
        return begins.astype(np.int64)
    begins[0] = True
    begins[1:] |= tokens.text[1:] != tokens.text[:-1]
    begins |= tokens.gap == 2
    if count > 2:
        begins[2:] |= words.stop[ids[1:-1]] & words.long[ids[:-2]] & (tokens.gap[2:] > 0)
    positions = np.arange(count)
    since = positions - np.maximum.accumulate(np.where(begins, positions, 0))
    begins |= since % _SEGMENT == 0
    return np.cumsum(begins) - 1


def _mix(value: NDArray[np.uint32] | NDArray[np.uint64], salt: int) -> NDArray[np.uint64]:
    """Apply the finalizer of SplitMix64 (Steele, Lea, Flood 2014) to value and salt."""
    mixed = value.astype(np.uint64) + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _shorten(mixed: NDArray[np.uint64]) -> Hashes:
    return (mixed >> np.uint64(32)).astype(np.uint32)


def compute_word_features(words: Words, offset: int) -> Hashes:
    """Return (n, k) features that a token gets from a word at distance `offset`."""
    columns = [
        _shorten(_mix(words.hashes[:, column], 100 * (offset + REACH) + column))
        for column, (_, offsets) in enumerate(TEMPLATES)
        if offset in offsets
    ]
    return np.stack(columns, axis=1)


def find_neighbors(ids: Integers, text: Integers, offset: int, none: int) -> Integers:
    """Return (T,) the id at `offset` from each token, or `none` beyond the ends of its text.

    Args:
        ids: (T,) id of each token's word, or any other value per token.
        text: (T,) index of each token's text.
        offset: distance, negative to the left.
        none: the value that stands for no token.
    """
    neighbors = np.full(len(ids), none, np.int64)
    if offset == 0:
        neighbors[:] = ids
    elif abs(offset) < len(ids):
        if offset > 0:
            here, there = slice(None, -offset), slice(offset, None)
        else:
            here, there = slice(-offset, None), slice(None, offset)
        same = text[here] == text[there]
        neighbors[here] = np.where(same, ids[there], none)
    return neighbors


def compute_token_features(tokens: Tokens, ids: Integers, words: Words, none: int) -> Hashes:
    """Return (T, m) features that depend on several words or on the whole text.

    Args:
        tokens: T tokens.
        ids: (T,) row of each token in `words`.
        words: the distinct words.
        none: the row that stands for no word.
    """
    neighbors = {offset: find_neighbors(ids, tokens.text, offset, none) for offset in (-2, -1, 0, 1, 2)}
    columns: list[Hashes] = []
    for number, parts in enumerate(COMBINED):
        mixed = np.full(len(ids), number, np.uint64)
        for name, offset in parts:
            part = words.hashes[neighbors[offset], _COLUMN[name]].astype(np.uint64)
            mixed = _mix(mixed ^ part, 1000 + number)
        columns.append(_shorten(mixed))
    shapes = words.hashes[ids, _COLUMN["shape"]].astype(np.uint64)
    flags = _compute_flags(tokens, ids, words, words.title[neighbors[-1]] | words.title[neighbors[-2]])
    for number, value in enumerate(
        (
            flags,
            find_neighbors(flags, tokens.text, 1, -1),
            find_neighbors(flags, tokens.text, -1, -1),
            _describe_surroundings(tokens, ids, words),
        )
    ):
        columns.append(_shorten(_mix(shapes ^ _mix(value.astype(np.uint64), number), 2000 + number)))
    return np.stack(columns, axis=1)


def _compute_flags(tokens: Tokens, ids: Integers, words: Words, titled: NDArray[np.bool_]) -> Integers:
    """Return (T,) how the text uses the word anywhere: in lower case, after a title, how often."""
    lower = words.hashes[:, _COLUMN["lower"]]
    key = (tokens.text.astype(np.uint64) << np.uint64(32)) | lower[ids]
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    lower_once = np.bincount(inverse, words.lower[ids], len(counts)) > 0
    titled_once = np.bincount(inverse, titled, len(counts)) > 0
    frequency = (counts > 1).astype(np.int64) + (counts > 3)
    return (lower_once + 2 * titled_once + 4 * frequency)[inverse]


def _describe_surroundings(tokens: Tokens, ids: Integers, words: Words) -> Integers:
    """Return (T,) the gaps before and after the token, and the language of its text."""
    texts = int(tokens.text[-1]) + 1 if len(ids) else 0
    german = np.bincount(tokens.text, words.german[ids], texts) > 0
    after = np.full(len(ids), 2, np.int64)
    after[:-1] = np.where(tokens.text[1:] == tokens.text[:-1], tokens.gap[1:], 2)
    return tokens.gap.astype(np.int64) + 3 * after + 9 * german[tokens.text]
