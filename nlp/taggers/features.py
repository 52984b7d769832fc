"""Texts -> tokens -> hashed features, many texts at once, in numpy.

A feature is a 32-bit hash; no string of a text leaves this module. Most features of a token depend on one
word at a fixed distance, so they are hashed once a word; those of several words are mixed from the words'
hashes.
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
_GERMAN = frozenset("der die das und nicht des dem den ist auf für mit zu von im ein eine".split())  # noqa: SIM905
# Beyond this a word's letters tell nothing more, and a hostile one costs nothing.
_LONGEST = 40
# A CRF looks at one sequence at a time; a longer sentence is cut.
_SEGMENT = 256
# After a token of this many letters a full stop ends a sentence; before, it may be an abbreviation's.
_ABBREVIATION = 3

# What one word says, and at which distances a token hears it.
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
# What several words say together: (template, distance) of each part.
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
# Of the text as a whole, with the word's shape: how it is written elsewhere, after a title, how often.
_OF_TEXT = 4


@dataclass(frozen=True, slots=True)
class Clusters:
    """Words of a public vocabulary by their hash, with the cluster of each at three grains.

    `hashes` is sorted, (V,); `clusters` is (V, 3). An empty one is allowed.
    """

    hashes: Hashes = field(repr=False)
    clusters: NDArray[np.uint16] = field(repr=False)

    def of(self, hashes: Hashes) -> Integers:
        """(n,) hashes of lower-case words -> (n, 3) clusters, -1 for unknown words."""
        found = np.full((len(hashes), 3), -1, np.int64)
        if len(self.hashes):
            at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
            known = self.hashes[at] == hashes
            found[known] = self.clusters[at[known]]
        return found


@dataclass(frozen=True, slots=True)
class Words:
    """Distinct words: (n, templates) hashes, (n,) flags of each."""

    hashes: Hashes = field(repr=False)
    title: NDArray[np.bool_] = field(repr=False)
    german: NDArray[np.int8] = field(repr=False)  # 1 German, -1 English, 0 neither
    small: NDArray[np.bool_] = field(repr=False)
    long: NDArray[np.bool_] = field(repr=False)
    stop: NDArray[np.bool_] = field(repr=False)

    def and_also(self, others: Words) -> Words:
        return Words(
            *(np.concatenate((getattr(self, f.name), getattr(others, f.name))) for f in fields(Words))
        )


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of several texts in a row.

    spans (T, 2) in characters of their text; text (T,) its index; ids (T,) of the words; gap (T,) what stands
    before: 0 nothing, 1 a space, 2 a line end; segment (T,) grows where a new sequence begins.
    """

    spans: Integers = field(repr=False)
    text: Integers = field(repr=False)
    words: list[str] = field(repr=False)
    gap: NDArray[np.int8] = field(repr=False)


_ENGLISH = frozenset("the of and to in that was is for by with not his her on at an a".split())  # noqa: SIM905


def hashed(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def tokenise(texts: Sequence[str]) -> Tokens:
    words: list[str] = []
    spans: list[Integers] = []
    gaps: list[NDArray[np.int8]] = []
    owner: list[Integers] = []
    for index, text in enumerate(texts):
        # Alternately what stands between tokens and the tokens themselves.
        pieces = _TOKEN.split(text)
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        ends = np.cumsum(lengths)
        starts = ends - lengths
        found = pieces[1::2]
        words += found
        spans.append(np.stack((starts[1::2], ends[1::2]), axis=1))
        before = pieces[0:-1:2]
        kinds = {gap: 2 if "\n" in gap else int(gap != "") for gap in set(before)}
        gaps.append(np.fromiter(map(kinds.__getitem__, before), np.int8, len(before)))
        owner.append(np.full(len(found), index, np.int64))
    if not texts:
        return Tokens(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), [], np.zeros(0, np.int8))
    return Tokens(np.concatenate(spans), np.concatenate(owner), words, np.concatenate(gaps))


def shape(word: str) -> str:
    """Runs of capitals, small letters and digits as a letter each; digits and capitals with their count."""
    if word.isdigit():
        return f"d{min(len(word), 7)}"
    if word.isupper():
        return f"X{min(len(word), 4)}"
    for pattern, kind in _RUNS:
        word = pattern.sub(kind, word)
    return word[:8]


def describe(words: Iterable[str], clusters: Clusters) -> Words:
    """The features of each word for itself."""
    words = [word[:_LONGEST] for word in words]
    lower = [word.lower() for word in words]
    hashes = np.zeros((len(words), len(_NAMES)), np.uint32)
    values = {
        "word": words,
        "lower": lower,
        "shape": [shape(word) for word in words],
        "prefix2": [word[:2] for word in lower],
        "prefix3": [word[:3] for word in lower],
        "suffix2": [word[-2:] for word in lower],
        "suffix3": [word[-3:] for word in lower],
        "suffix4": [word[-4:] for word in lower],
    }
    for name, column in values.items():
        hashes[:, _COLUMN[name]] = np.fromiter(map(hashed, column), np.uint32, len(words))
    of_cluster = clusters.of(hashes[:, _COLUMN["lower"]])
    for grain, name in enumerate(("coarse", "middle", "fine")):
        # An unknown word's cluster is its shape.
        known = of_cluster[:, grain] >= 0
        hashes[:, _COLUMN[name]] = np.where(known, of_cluster[:, grain], hashes[:, _COLUMN["shape"]])
    n = len(words)
    return Words(
        hashes,
        np.fromiter((w in _TITLES for w in lower), np.bool_, n),
        np.fromiter(((w in _GERMAN) - (w in _ENGLISH) for w in lower), np.int8, n),
        np.fromiter((w.islower() for w in words), np.bool_, n),
        np.fromiter((len(w) > _ABBREVIATION and w.islower() for w in words), np.bool_, n),
        np.fromiter((w in ".?!;" for w in words), np.bool_, n),
    )


def segments(tokens: Tokens, ids: Integers, words: Words) -> Integers:
    """(T,) the number of the sequence that each token belongs to; they end with a line or a sentence."""
    count = len(ids)
    begins = np.zeros(count, np.bool_)
    if not count:
        return begins.astype(np.int64)
    begins[0] = True
    begins[1:] |= tokens.text[1:] != tokens.text[:-1]
    begins |= tokens.gap == 2
    if count > 2:
        ended = words.stop[ids[1:-1]] & words.long[ids[:-2]] & (tokens.gap[2:] > 0)
        begins[2:] |= ended
    at = np.arange(count)
    since = at - np.maximum.accumulate(np.where(begins, at, 0))
    begins |= since % _SEGMENT == 0
    return np.cumsum(begins) - 1


def _mixed(value: NDArray[np.uint32] | NDArray[np.uint64], salt: int) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over value and salt."""
    mixed = value.astype(np.uint64) + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _short(mixed: NDArray[np.uint64]) -> Hashes:
    return (mixed >> np.uint64(32)).astype(np.uint32)


def word_features(words: Words, offset: int) -> Hashes:
    """(n, k) features that a token hears from a word at `offset`."""
    columns = [
        _short(_mixed(words.hashes[:, column], 100 * (offset + REACH) + column))
        for column, (_, offsets) in enumerate(TEMPLATES)
        if offset in offsets
    ]
    return np.stack(columns, axis=1)


def neighbour(ids: Integers, text: Integers, offset: int, none: int) -> Integers:
    """(T,) the word at `offset` from each token, `none` beyond the ends of its text."""
    moved = np.full(len(ids), none, np.int64)
    if offset == 0:
        moved[:] = ids
    elif abs(offset) < len(ids):
        here, there = (
            (slice(None, -offset), slice(offset, None))
            if offset > 0
            else (
                slice(-offset, None),
                slice(None, offset),
            )
        )
        same = text[here] == text[there]
        moved[here] = np.where(same, ids[there], none)
    return moved


def token_features(tokens: Tokens, ids: Integers, words: Words, none: int) -> Hashes:
    """(T, m) features that need several words or the whole text. `none` is the id of no word."""
    at = {offset: neighbour(ids, tokens.text, offset, none) for offset in (-2, -1, 0, 1, 2)}
    columns: list[Hashes] = []
    for number, parts in enumerate(COMBINED):
        mixed = np.full(len(ids), number, np.uint64)
        for name, offset in parts:
            mixed = _mixed(mixed ^ words.hashes[at[offset], _COLUMN[name]].astype(np.uint64), 1000 + number)
        columns.append(_short(mixed))
    of_shape = words.hashes[ids, _COLUMN["shape"]].astype(np.uint64)
    flags = _flags(tokens, ids, words, words.title[at[-1]] | words.title[at[-2]])
    for number, value in enumerate(
        (
            flags,
            neighbour(flags, tokens.text, 1, -1),
            neighbour(flags, tokens.text, -1, -1),
            _surroundings(tokens, ids, words),
        )
    ):
        columns.append(_short(_mixed(of_shape ^ _mixed(value.astype(np.uint64), number), 2000 + number)))
    return np.stack(columns, axis=1)


def _flags(tokens: Tokens, ids: Integers, words: Words, titled: NDArray[np.bool_]) -> Integers:
    """(T,) what the text says of this word elsewhere: written small, after a title, how often."""
    lower = words.hashes[:, _COLUMN["lower"]]
    key = (tokens.text.astype(np.uint64) << np.uint64(32)) | lower[ids]
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    small = np.bincount(inverse, words.small[ids], len(counts)) > 0
    titled_once = np.bincount(inverse, titled, len(counts)) > 0
    often = (counts > 1).astype(np.int64) + (counts > 3)
    return (small + 2 * titled_once + 4 * often)[inverse]


def _surroundings(tokens: Tokens, ids: Integers, words: Words) -> Integers:
    """(T,) the space before and behind, and the language of the text."""
    says = words.german[ids]
    texts = int(tokens.text[-1]) + 1 if len(ids) else 0
    german = np.bincount(tokens.text, says, texts) > 0
    behind = np.full(len(ids), 2, np.int64)
    behind[:-1] = np.where(tokens.text[1:] == tokens.text[:-1], tokens.gap[1:], 2)
    return tokens.gap.astype(np.int64) + 3 * behind + 9 * german[tokens.text]
