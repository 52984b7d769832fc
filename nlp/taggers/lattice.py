"""A lexicon-enhanced LSTM that recognizes people in Chinese text, character by character.

Chinese has no spaces, so the difficulty is where a name ends. Each character is read with the words of a
public lexicon that begin at it, contain it, end with it, or are it (Zhang and Yang 2018, "Chinese NER Using
Lattice LSTM"; in the form of Ma et al. 2020, "Simplify the Usage of Lexicon in Chinese NER": a bidirectional
LSTM over character embeddings beside count-weighted sets of words). A word counts by its class, such as verb
or place, so the lexicon holds hashes only.

Inference needs numpy only: the states of all segments advance together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.batching import batch_by_size
from lexveil.nlp.letters import HAN, has_han
from lexveil.nlp.taggers.contract import WEIGHTS, Sensitivity, TaggerError
from lexveil.nlp.taggers.crf import Marginals, compute_posteriors, decode_spans
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import WORDS_LIKE_NAMES_ZH

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Codes = NDArray[np.uint32]

CHINESE = WEIGHTS / "chinese.safetensors"
"""The shipped parameters."""

LABELS = ("O", "B-PERSON", "I-PERSON")
LONGEST_WORD = 4
"""Characters of the longest word of the lexicon."""

SETS = 4
"""Where a character is in a word: at the beginning, in the middle, at the end, or alone."""

SEGMENT = 128
"""Characters that are read at once."""

LEVELS = 4
"""Counts of words are rounded to this many powers of ten."""

_BATCH_CHARACTERS = 1 << 15
_SCORED_AT_ONCE = 1 << 13
_SURE = 0.9
_ENDS = re.compile(r"[\n。;!?]")
# Poor scans put spaces into a name, narrow columns a line end; "乔治·W·布什".
_NAME = re.compile(rf"[{HAN}](?:(?:[·•・‧⋅∙\n]| {{1,3}})?[{HAN}×*XxA-H\d]|[·•・‧⋅∙][A-Z](?=[·•・‧⋅∙]))+")
# Particles and pronouns, which end no name.
_NEVER_LAST = "她它您们这勿啦吗呢吧嘛了着的很哦呀"
# Provinces that do not begin with a common surname.
_PROVINCE = re.compile(
    r"(?:四川|北京|上海|重庆|河北|山西|辽宁|浙江|福建|山东|河南|湖北|湖南|广东|陕西|青海|台湾|内蒙|广西|西藏|新疆|香港|澳门)"
)
_DIRECTIONS = ("forward", "backward")
_FOLD = str.maketrans(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "0" * 10 + "a" * 26 + "A" * 26
)
_MULTIPLIER, _MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Hashes of words with their classes.

    Attributes:
        hashes: (V,) sorted hashes.
        codes: (V,) class times `LEVELS`, plus the level of the word's count.
        classes: number of classes.
    """

    hashes: Codes = field(repr=False)
    codes: NDArray[np.uint8] = field(repr=False)
    classes: int

    def describe(self, characters: Codes, segment: Integers) -> Floats:
        """Return (N, SETS * classes): the share of each class in the words of each set at each character.

        Args:
            characters: (N,) folded code points.
            segment: (N,) number of the segment of each; words end with it.
        """
        count = len(characters)
        shares = np.zeros((count, SETS * self.classes), np.float32)
        if not len(self.hashes):
            return shares
        for size in range(1, LONGEST_WORD + 1):
            starts = np.arange(max(0, count - size + 1))
            starts = starts[segment[starts] == segment[starts + size - 1]]
            hashes = hash_words(characters, starts, size)
            rows = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
            known = self.hashes[rows] == hashes
            starts, codes = starts[known], self.codes[rows[known]]
            weights = (1 + codes % LEVELS).astype(np.float32)
            for offset in range(size):
                place = 3 if size == 1 else 0 if offset == 0 else 2 if offset == size - 1 else 1
                shares[starts + offset, place * self.classes + codes // LEVELS] += weights
        return SETS * shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)


@dataclass(frozen=True, slots=True)
class Direction:
    """Weights of an LSTM in one direction over inputs of size I, with H states (gates in, forget, cell, out).

    Attributes:
        inputs: (I, 4H).
        states: (H, 4H).
        bias: (4H,).
    """

    inputs: Floats = field(repr=False)
    states: Floats = field(repr=False)
    bias: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class LatticeParameters:
    """What is stored.

    Attributes:
        characters: (C - 1,) sorted code points with an embedding of their own; all others share row 0.
        embeddings: (C, D).
        lexicon: the lexicon.
        directions: the LSTM, forward and backward.
        emission: (2H, L) from states to scores of labels.
        bias: (L,).
        transition: (L, L) from row to column.
        operating: threshold of each operating point.
    """

    characters: Codes = field(repr=False)
    embeddings: Floats = field(repr=False)
    lexicon: Lexicon
    directions: tuple[Direction, Direction]
    emission: Floats = field(repr=False)
    bias: Floats = field(repr=False)
    transition: Floats = field(repr=False)
    operating: Mapping[str, float]

    def save(self, path: Path) -> None:
        """Write a file of 16-bit floats."""
        from safetensors.numpy import save_file

        floats = {
            "embeddings": self.embeddings,
            "emission": self.emission,
            "bias": self.bias,
            "transition": self.transition,
            **{
                f"{name}.{part}": getattr(direction, part)
                for name, direction in zip(_DIRECTIONS, self.directions, strict=True)
                for part in Direction.__slots__
            },
        }
        arrays = {name: np.ascontiguousarray(array, np.float16) for name, array in floats.items()}
        arrays |= {"characters": self.characters, "words": self.lexicon.hashes, "codes": self.lexicon.codes}
        about = {"operating": dict(self.operating), "classes": self.lexicon.classes}
        save_file(arrays, path, {"about": json.dumps(about)})

    @classmethod
    def load(cls, path: Path) -> LatticeParameters:
        """Read a file that `save` wrote.

        Raises:
            TaggerError: it is missing or is no such file.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "np") as file:
                about = json.loads(file.metadata()["about"])
                stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dictionary
            floats = {
                name: array.astype(np.float32) for name, array in stored.items() if array.dtype == np.float16
            }
            first, second = (
                Direction(*(floats[f"{name}.{part}"] for part in Direction.__slots__)) for name in _DIRECTIONS
            )
            return cls(
                stored["characters"],
                floats["embeddings"],
                Lexicon(stored["words"], stored["codes"], about["classes"]),
                (first, second),
                floats["emission"],
                floats["bias"],
                floats["transition"],
                dict(about["operating"]),
            )
        except FileNotFoundError:
            raise TaggerError("missing") from None
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            raise TaggerError("unreadable") from None


@dataclass(frozen=True, slots=True)
class Batch:
    """The characters of the segments of some texts, one after the other.

    Attributes:
        characters: (N,) folded code points.
        text: (N,) index of the text of each.
        position: (N,) its position in the text.
        segment: (N,) number of its segment.
    """

    characters: Codes = field(repr=False)
    text: Integers = field(repr=False)
    position: Integers = field(repr=False)
    segment: Integers = field(repr=False)


class Lattice:
    """The network: posteriors of labels for each character. Safe to share between threads."""

    def __init__(self, parameters: LatticeParameters) -> None:
        self.parameters = parameters
        self._transition = np.exp(parameters.transition - parameters.transition.max())

    @classmethod
    def load(cls, path: Path | None = None) -> Lattice:
        """Load the model in `path`, by default the shipped one, once per process.

        Raises:
            TaggerError: it cannot be used.
        """
        return _load((path or CHINESE).resolve())

    def marginals(self, texts: Sequence[str]) -> list[Marginals]:
        """Return the posteriors of the characters of each text (normalized), where it has Chinese ones."""
        return [
            marginals
            for batch in batch_by_size(texts, len, _BATCH_CHARACTERS)
            for marginals in self._infer(batch)
        ]

    def _infer(self, texts: Sequence[str]) -> Iterator[Marginals]:
        batch = split_segments(texts)
        probabilities = compute_posteriors(self._score(batch), self._transition, batch.segment)
        bounds = np.searchsorted(batch.text, np.arange(len(texts) + 1)).tolist()
        for start, end in pairwise(bounds):
            position = batch.position[start:end]
            spans = np.stack((position, position + 1), axis=1)
            yield Marginals(spans, probabilities[start:end], batch.segment[start:end])

    def _score(self, batch: Batch) -> Floats:
        """Return (N, L) scores of the labels of each character.

        A long text is read part by part: a character takes more than a kilobyte here.
        """
        scores = np.empty((len(batch.characters), len(LABELS)), np.float32)
        starts = np.flatnonzero(np.diff(batch.segment, prepend=-1))
        cuts = starts[np.diff(starts // _SCORED_AT_ONCE, prepend=-1) > 0].tolist()
        for start, end in pairwise([*cuts, len(scores)]):
            scores[start:end] = self._score_part(batch.characters[start:end], batch.segment[start:end])
        return scores

    def _score_part(self, characters: Codes, segment: Integers) -> Floats:
        parameters = self.parameters
        inputs = np.concatenate(
            (
                parameters.embeddings[find_rows(characters, parameters.characters)],
                parameters.lexicon.describe(characters, segment),
            ),
            axis=1,
        )
        starts = np.flatnonzero(np.diff(segment, prepend=-1))
        lengths = np.diff(starts, append=len(segment))
        # The longest first: each step processes only the segments that have not ended.
        order = np.argsort(-lengths, kind="stable")
        starts, lengths = starts[order], lengths[order]
        forward, backward = parameters.directions
        scores = _run(forward, inputs, starts, lengths, 1) @ parameters.emission[: len(forward.states)]
        scores += _run(backward, inputs, starts, lengths, -1) @ parameters.emission[len(forward.states) :]
        return scores + parameters.bias


class LatticeTagger:
    """A `lexveil.nlp.taggers.contract.Tagger` over a `Lattice`, for Chinese."""

    languages = frozenset({"zh"})
    insists = False

    def __init__(self, lattice: Lattice, threshold: float) -> None:
        self._lattice = lattice
        self._threshold = threshold

    @classmethod
    def load(cls, sensitivity: Sensitivity = "balanced", threshold: float | None = None) -> LatticeTagger:
        """Load the shipped model at an operating point, or at a threshold of its own.

        Raises:
            TaggerError: it cannot be used.
        """
        lattice = Lattice.load()
        operating = lattice.parameters.operating[sensitivity]
        return cls(lattice, operating if threshold is None else threshold)

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the sorted spans of each text."""
        return [
            list(_trim_names(text, decode_spans(marginals, LABELS, self._threshold, type(self).__name__)))
            for text, marginals in zip(texts, self._lattice.marginals(texts), strict=True)
        ]


def _trim_names(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """Yield what may be a name in each span: at least two characters, the first of them a Chinese one.

    A word of the language must be surer than others. What begins with a province is none.
    """
    for span in spans:
        name = _NAME.search(text, span.start, span.end)
        if name is None or _PROVINCE.match(name.group()):
            continue
        end = name.end() - (text[name.end() - 1] in _NEVER_LAST)
        if end > name.start() + 1 and (span.score >= _SURE or name.group() not in WORDS_LIKE_NAMES_ZH):
            yield replace(span, start=name.start(), end=end)


def split_segments(texts: Sequence[str]) -> Batch:
    """Return the characters of all texts in segments of at most `SEGMENT` that end with a line or sentence.

    Segments without a Chinese character are left out.
    """
    characters: list[Codes] = []
    columns: list[tuple[int, int, int]] = []
    for index, text in enumerate(texts):
        folded = fold_characters(text)
        for start, end in _find_segments(text):
            characters.append(folded[start:end])
            columns.append((index, start, end))
    if not columns:
        none = np.zeros(0, np.int64)
        return Batch(np.zeros(0, np.uint32), none, none, none)
    lengths = np.array([end - start for _, start, end in columns])
    return Batch(
        np.concatenate(characters),
        np.repeat([index for index, _, _ in columns], lengths),
        np.concatenate([np.arange(start, end) for _, start, end in columns]),
        np.repeat(np.arange(len(columns)), lengths),
    )


def _find_segments(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = min(start + SEGMENT, len(text))
        if end < len(text):
            cuts = [match.end() for match in _ENDS.finditer(text, start + SEGMENT // 3, end)]
            comma = text.rfind(",", start + SEGMENT // 2, end)
            end = cuts[-1] if cuts else comma + 1 if comma > 0 else end
        if has_han(text[start:end]):
            yield start, end
        start = end


def fold_characters(text: str) -> Codes:
    """Return the code points of a text, with one for all digits and one for all letters of a case."""
    return np.frombuffer(text.translate(_FOLD).encode("utf-32-le", "surrogatepass"), np.uint32)


def hash_words(characters: Codes, starts: Integers, size: int) -> Codes:
    """Return the hashes of the words of `size` characters at `starts`."""
    hashes = np.full(len(starts), size, np.uint32)
    for offset in range(size):
        hashes = hashes * _MULTIPLIER + characters[starts + offset]
    hashes ^= hashes >> np.uint32(15)
    hashes *= _MIX
    return hashes ^ (hashes >> np.uint32(13))


def find_rows(characters: Codes, known: Codes) -> Integers:
    """Return the row of each character's embedding; 0 if it has none of its own."""
    rows = np.minimum(np.searchsorted(known, characters), len(known) - 1)
    return np.where(known[rows] == characters, rows + 1, 0)


def _run(direction: Direction, inputs: Floats, starts: Integers, lengths: Integers, step: int) -> Floats:
    """Return (N, H) states of an LSTM over all segments, the longest first.

    Args:
        direction: the weights.
        inputs: (N, I).
        starts: (S,) index of the first character of each segment.
        lengths: (S,) their lengths, falling.
        step: 1 to read forward, -1 backward.
    """
    size = len(direction.states)
    gates = inputs @ direction.inputs + direction.bias
    states = np.empty((len(inputs), size), np.float32)
    first = starts if step == 1 else starts + lengths - 1
    hidden, cell = (np.zeros((len(starts), size), np.float32) for _ in range(2))
    alive = np.searchsorted(-lengths, -np.arange(lengths[0]), side="left").tolist()
    for number, count in enumerate(alive):
        rows = first[:count] + step * number
        gate = np.asarray(gates[rows] + hidden[:count] @ direction.states, np.float32)
        opened = _sigmoid(gate[:, : 2 * size])
        cell = opened[:, size:] * cell[:count] + opened[:, :size] * np.tanh(gate[:, 2 * size : 3 * size])
        hidden = _sigmoid(gate[:, 3 * size :]) * np.tanh(cell)
        states[rows] = hidden
    return states


def _sigmoid(values: Floats) -> Floats:
    return np.reciprocal(1 + np.exp(-values), dtype=np.float32)


@lru_cache(maxsize=4)
def _load(path: Path) -> Lattice:
    return Lattice(LatticeParameters.load(path))
