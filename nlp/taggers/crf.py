"""A linear-chain conditional random field (Lafferty, McCallum, Pereira 2001) over hashed features.

Inference is numpy alone: what a word adds to the scores of its neighbours is looked up once a word, and the
forward-backward recursion (Rabiner 1989, section III) runs over all sentences of a batch side by side.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.taggers.contract import WEIGHTS, Sensitivity
from lexveil.nlp.taggers.features import (
    OFFSETS,
    Clusters,
    Hashes,
    Integers,
    Tokens,
    describe,
    neighbour,
    segments,
    token_features,
    tokenise,
    word_features,
)
from lexveil.nlp.text import Span

Floats = NDArray[np.float32]

OUTSIDE = "O"
_NO_WORD = 0
# Words remembered with what they add; at 0.6 KB a word this is some 20 MB.
_REMEMBERED = 30_000
_BATCH_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Marginals:
    """Of one text: tokens (T, 2) in characters, probabilities (T, L) whose rows sum to 1, segment (T,)."""

    tokens: Integers = field(repr=False)
    probabilities: Floats = field(repr=False)
    segment: Integers = field(repr=False)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is stored: features (F,) sorted hashes, state (F, L), transition (L, L) from row to column.

    `operating` holds a threshold for each operating point, `languages` what it was trained on.
    """

    labels: tuple[str, ...]
    features: Hashes = field(repr=False)
    state: Floats = field(repr=False)
    transition: Floats = field(repr=False)
    clusters: Clusters = field(repr=False)
    operating: dict[str, float]
    languages: tuple[str, ...]

    def save(self, path: Path) -> None:
        """One compressed .npz; weights as sparse 16-bit floats."""
        rows, columns = np.nonzero(self.state)
        about = {"labels": self.labels, "operating": self.operating, "languages": self.languages}
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                about=np.frombuffer(json.dumps(about).encode(), np.uint8),
                features=np.diff(self.features, prepend=np.uint32(0)),
                counts=np.bincount(rows, minlength=len(self.features)).astype(np.uint8),
                columns=columns.astype(np.uint8),
                values=self.state[rows, columns].astype(np.float16),
                transition=self.transition,
                cluster_hashes=np.diff(self.clusters.hashes, prepend=np.uint32(0)),
                clusters=self.clusters.clusters,
            )

    @classmethod
    def load(cls, path: Path) -> Parameters:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            features = np.cumsum(stored["features"], dtype=np.uint32)
            state = np.zeros((len(features), len(about["labels"])), np.float32)
            state[np.repeat(np.arange(len(features)), stored["counts"]), stored["columns"]] = stored["values"]
            return cls(
                tuple(about["labels"]),
                features,
                state,
                stored["transition"].astype(np.float32),
                Clusters(np.cumsum(stored["cluster_hashes"], dtype=np.uint32), stored["clusters"]),
                dict(about["operating"]),
                tuple(about["languages"]),
            )


class Crf:
    """Posterior probabilities of labels. Not safe to share between threads: it remembers words."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.labels = parameters.labels
        # A last row of zeros for features that the training didn't see.
        self._state = np.vstack((parameters.state, np.zeros((1, len(self.labels)), np.float32)))
        self._transition = np.exp(parameters.transition - parameters.transition.max())
        self._forget()

    @classmethod
    def load(cls, path: Path | None = None) -> Crf:
        """The model in `path`, once a process; by default the shipped one."""
        return _load((path or WEIGHTS / "light.npz").resolve())

    def marginals(self, texts: Sequence[str]) -> list[Marginals]:
        """Of each text (normalised), token by token. Memory grows with the longest text alone."""
        return [marginals for batch in _batches(texts) for marginals in self._of_batch(batch)]

    def _of_batch(self, texts: Sequence[str]) -> Iterator[Marginals]:
        tokens = tokenise(texts)
        ids = self._known(tokens.words)
        sequence = segments(tokens, ids, self._words)
        scores = self._scores(tokens, ids)
        probabilities = posteriors(scores, self._transition, sequence)
        bounds = np.searchsorted(tokens.text, np.arange(len(texts) + 1))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            yield Marginals(tokens.spans[start:end], probabilities[start:end], sequence[start:end])

    def _scores(self, tokens: Tokens, ids: Integers) -> Floats:
        """(T, L) the sum of the weights of each token's features."""
        scores = np.zeros((len(ids), len(self.labels)), np.float32)
        if not len(ids):
            return scores
        for column, offset in enumerate(OFFSETS):
            scores += self._heard[neighbour(ids, tokens.text, offset, _NO_WORD), column]
        rows = self._rows(token_features(tokens, ids, self._words, _NO_WORD))
        for column in range(rows.shape[1]):
            scores += self._state[rows[:, column]]
        return scores

    def _rows(self, features: Hashes) -> Integers:
        known = self.parameters.features
        if not len(known):
            return np.zeros(features.shape, np.int64)
        at = np.minimum(np.searchsorted(known, features), len(known) - 1)
        return np.where(known[at] == features, at, len(known))

    def _forget(self) -> None:
        self._ids: dict[str, int] = {}
        self._words = describe((), self.parameters.clusters)
        self._heard = np.zeros((0, len(OFFSETS), len(self.labels)), np.float32)
        self._learn([""])

    def _learn(self, words: list[str]) -> None:
        new = describe(words, self.parameters.clusters)
        heard = np.stack(
            [self._state[self._rows(word_features(new, offset))].sum(axis=1) for offset in OFFSETS], axis=1
        )
        self._ids.update(zip(words, range(len(self._ids), len(self._ids) + len(words)), strict=True))
        self._words = self._words.and_also(new)
        self._heard = np.concatenate((self._heard, heard))

    def _known(self, words: list[str]) -> Integers:
        if len(self._ids) > _REMEMBERED:
            self._forget()
        new = set(words).difference(self._ids)
        if new:
            self._learn(sorted(new))
        return np.fromiter(map(self._ids.__getitem__, words), np.int64, len(words))


def posteriors(scores: Floats, transition: Floats, sequence: Integers) -> Floats:
    """Scores (T, L) and exp of transition weights (L, L) -> posteriors (T, L).

    `sequence` (T,) numbers the chains, each a run of tokens. All chains advance together, the longest first,
    so that a step works on the chains that are still alive.
    """
    if not len(scores):
        return scores
    starts = np.flatnonzero(np.diff(sequence, prepend=sequence[0] - 1))
    lengths = np.diff(starts, append=len(sequence))
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    alive = np.searchsorted(-lengths, -np.arange(lengths[0]), side="left")
    offsets = np.concatenate(([0], np.cumsum(alive)))
    # Where each token goes when tokens are laid out step by step.
    place = np.concatenate([starts[:count] + step for step, count in enumerate(alive.tolist())])
    emission = np.exp(scores - scores.max(axis=1, keepdims=True))[place]
    forward = np.empty_like(emission)
    backward = np.ones_like(emission)
    steps = [slice(begin, end) for begin, end in pairwise(offsets.tolist())]
    last = emission[steps[0]]
    forward[steps[0]] = last = last / last.sum(axis=1, keepdims=True)
    for step in steps[1:]:
        last = (last[: step.stop - step.start] @ transition) * emission[step]
        last /= last.sum(axis=1, keepdims=True)
        forward[step] = last
    back = transition.T.copy()
    for step, following in zip(reversed(steps[:-1]), reversed(steps[1:]), strict=True):
        count = following.stop - following.start
        behind = (backward[following] * emission[following]) @ back
        backward[step.start : step.start + count] = behind / behind.sum(axis=1, keepdims=True)
    posterior = forward * backward
    posterior /= posterior.sum(axis=1, keepdims=True)
    result = np.empty_like(posterior)
    result[place] = posterior
    return result


def decode(marginals: Marginals, labels: Sequence[str], threshold: float, recognizer: str) -> list[Span]:
    """Runs of tokens that are part of something with at least `threshold`, each of its likeliest type.

    A run ends where the type changes, where the next token rather begins something, and with the sentence.
    """
    kinds = sorted({label[2:] for label in labels if label != OUTSIDE})
    inside = 1 - marginals.probabilities[:, labels.index(OUTSIDE)]
    at = np.flatnonzero(inside >= threshold)
    if not len(at):
        return []
    probabilities = marginals.probabilities[at]
    begins = probabilities[:, [labels.index(f"B-{kind}") for kind in kinds]]
    goes_on = probabilities[:, [labels.index(f"I-{kind}") for kind in kinds]]
    kind = (begins + goes_on).argmax(axis=1)
    rows = np.arange(len(at))
    first = begins[rows, kind] > goes_on[rows, kind]
    first[0] = True
    first[1:] |= (np.diff(at) > 1) | (kind[1:] != kind[:-1])
    first[1:] |= marginals.segment[at[1:]] != marginals.segment[at[:-1]]
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(at))
    score = np.maximum.reduceat(inside[at], starts)
    return [
        Span(
            int(marginals.tokens[at[start], 0]),
            int(marginals.tokens[at[end - 1], 1]),
            kinds[kind[start]],
            # The last digits depend on what else was in the batch.
            min(round(float(probability), 3), 1.0),
            recognizer,
        )
        for start, end, probability in zip(starts.tolist(), ends.tolist(), score, strict=True)
    ]


class CrfTagger:
    """`lexveil.nlp.taggers.contract.Tagger` over a `Crf`."""

    def __init__(self, crf: Crf, threshold: float) -> None:
        self._crf = crf
        self._threshold = threshold

    @classmethod
    def load(cls, path: Path | None = None, sensitivity: Sensitivity = "balanced") -> CrfTagger:
        crf = Crf.load(path)
        return cls(crf, crf.parameters.operating[sensitivity])

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(self._crf.parameters.languages)

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        return [
            decode(marginals, self._crf.labels, self._threshold, type(self).__name__)
            for marginals in self._crf.marginals(texts)
        ]


@lru_cache(maxsize=4)
def _load(path: Path) -> Crf:
    return Crf(Parameters.load(path))


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and size + len(text) > _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch
