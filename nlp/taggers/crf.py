"""A linear-chain conditional random field (Lafferty, McCallum, Pereira 2001) over hashed features.

Inference needs numpy only. What a word contributes to the scores of its neighbors is computed once per word,
and the forward-backward recursion (Rabiner 1989, section III) processes all sentences of a batch together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.batching import batch_by_size
from lexveil.nlp.taggers.contract import WEIGHTS, Sensitivity
from lexveil.nlp.taggers.features import (
    OFFSETS,
    Clusters,
    Hashes,
    Integers,
    Tokens,
    compute_token_features,
    compute_word_features,
    describe_words,
    find_neighbors,
    number_segments,
    tokenize,
)
from lexveil.nlp.text import Span

Floats = NDArray[np.float32]

GERMAN = WEIGHTS / "german.npz"
"""The parameters for German."""

OUTSIDE = "O"
_NO_WORD = 0
# Words whose contributions are cached; at 0.6 KB per word this is about 20 MB.
_CACHED_WORDS = 30_000
_BATCH_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Marginals:
    """Posterior probabilities of one text of T tokens.

    Attributes:
        tokens: (T, 2) [start, end) of each token in characters.
        probabilities: (T, L) posterior of each label; rows sum to 1.
        segment: (T,) number of the sequence that each token belongs to.
    """

    tokens: Integers = field(repr=False)
    probabilities: Floats = field(repr=False)
    segment: Integers = field(repr=False)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that are stored.

    Attributes:
        labels: L names, "O" first.
        features: (F,) sorted hashes of the known features.
        state: (F, L) weight of each feature for each label.
        transition: (L, L) weights from row to column.
        clusters: clusters of the words of a public vocabulary.
        operating: threshold of each operating point.
        languages: ISO 639-1 codes of the languages it was trained on.
    """

    labels: tuple[str, ...]
    features: Hashes = field(repr=False)
    state: Floats = field(repr=False)
    transition: Floats = field(repr=False)
    clusters: Clusters = field(repr=False)
    operating: dict[str, float]
    languages: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write one compressed .npz file with the weights as sparse 16-bit floats."""
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
        """Read a file that `save` wrote."""
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


class FeatureRows:
    """The rows of features: those of a hash's first bits stand together, so that few must be compared."""

    def __init__(self, features: Hashes) -> None:
        """Index sorted hashes."""
        self._count = len(features)
        bits = max(1, len(features).bit_length() + 1)
        self._shift = np.uint32(32 - bits)
        counts = np.bincount(features >> self._shift, minlength=1 << bits)
        self._first = (np.cumsum(counts) - counts).astype(np.int32)
        self._most = int(counts.max())
        self._features = np.pad(features, (0, self._most), mode="edge" if len(features) else "constant")

    def find(self, features: Hashes) -> Integers:
        """Return the row of each feature; unknown ones get the row after the last."""
        first = self._first[features >> self._shift]
        rows = np.full(features.shape, self._count, np.int32)
        # Backwards: behind the last feature stand copies of it.
        for step in range(self._most - 1, -1, -1):
            row = first + np.int32(step)
            np.copyto(rows, row, where=self._features[row] == features)
        return np.minimum(rows, self._count)


class Crf:
    """Posterior probabilities of labels. Not safe to share between threads: it caches words."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.labels = parameters.labels
        # The last row of zeros serves features that the training did not see.
        self._state = np.vstack((parameters.state, np.zeros((1, len(self.labels)), np.float32)))
        self._rows = FeatureRows(parameters.features)
        self._transition = np.exp(parameters.transition - parameters.transition.max())
        self._reset_cache()

    @classmethod
    def load(cls, path: Path | None = None) -> Crf:
        """Load the model in `path`, by default the shipped one, once per process."""
        return _load((path or WEIGHTS / "light.npz").resolve())

    def marginals(self, texts: Sequence[str]) -> list[Marginals]:
        """Return the posteriors of each text (normalized). Memory grows with the longest text only."""
        return [
            marginals
            for batch in batch_by_size(texts, len, _BATCH_CHARACTERS)
            for marginals in self._infer(batch)
        ]

    def _infer(self, texts: Sequence[str]) -> Iterator[Marginals]:
        tokens = tokenize(texts)
        ids = self._look_up(tokens.words)
        sequence = number_segments(tokens, ids, self._words)
        scores = self._score(tokens, ids)
        probabilities = compute_posteriors(scores, self._transition, sequence)
        bounds = np.searchsorted(tokens.text, np.arange(len(texts) + 1))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            yield Marginals(tokens.spans[start:end], probabilities[start:end], sequence[start:end])

    def _score(self, tokens: Tokens, ids: Integers) -> Floats:
        """Return (T, L) sums of the weights of each token's features."""
        scores = np.zeros((len(ids), len(self.labels)), np.float32)
        if not len(ids):
            return scores
        for column, offset in enumerate(OFFSETS):
            neighbors = find_neighbors(ids, tokens.text, offset, _NO_WORD)
            scores += self._contributions[column].take(neighbors, axis=0)
        rows = self._rows.find(compute_token_features(tokens, ids, self._words, _NO_WORD))
        for column in range(rows.shape[1]):
            scores += self._state.take(rows[:, column], axis=0)
        return scores

    def _reset_cache(self) -> None:
        self._ids: dict[str, int] = {}
        self._words = describe_words((), self.parameters.clusters)
        # (offsets, words, L): what a word adds to the scores of the token at each distance.
        self._contributions = np.zeros((len(OFFSETS), 0, len(self.labels)), np.float32)
        self._cache([""])

    def _cache(self, words: list[str]) -> None:
        described = describe_words(words, self.parameters.clusters)
        contributions = [
            self._state[self._rows.find(compute_word_features(described, offset))].sum(axis=1)
            for offset in OFFSETS
        ]
        self._ids.update(zip(words, range(len(self._ids), len(self._ids) + len(words)), strict=True))
        self._words = self._words.concatenate(described)
        self._contributions = np.concatenate((self._contributions, np.stack(contributions)), axis=1)

    def _look_up(self, words: list[str]) -> Integers:
        """Return the cached id of each word."""
        if len(self._ids) > _CACHED_WORDS:
            self._reset_cache()
        new = set(words).difference(self._ids)
        if new:
            self._cache(sorted(new))
        return np.fromiter(map(self._ids.__getitem__, words), np.int64, len(words))


def compute_posteriors(scores: Floats, transition: Floats, sequence: Integers) -> Floats:
    """Compute the posteriors of labels by the forward-backward recursion.

    All chains advance together, the longest first, so that each step processes only the chains that have not
    ended.

    Args:
        scores: (T, L) scores of the tokens.
        transition: (L, L) exp of the transition weights.
        sequence: (T,) number of the chain of each token; a chain is a run of tokens.

    Returns:
        (T, L) probabilities whose rows sum to 1.
    """
    if not len(scores):
        return scores
    starts = np.flatnonzero(np.diff(sequence, prepend=sequence[0] - 1))
    lengths = np.diff(starts, append=len(sequence))
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    alive = np.searchsorted(-lengths, -np.arange(lengths[0]), side="left")
    offsets = np.concatenate(([0], np.cumsum(alive)))
    # The token at each position of the layout by steps.
    source = np.concatenate([starts[:count] + step for step, count in enumerate(alive.tolist())])
    emission = np.exp(scores - scores.max(axis=1, keepdims=True))[source]
    steps = [slice(begin, end) for begin, end in pairwise(offsets.tolist())]
    posterior = _run_forward(emission, transition, steps) * _run_backward(emission, transition, steps)
    posterior /= posterior.sum(axis=1, keepdims=True)
    result = np.empty_like(posterior)
    result[source] = posterior
    return result


def _run_forward(emission: Floats, transition: Floats, steps: Sequence[slice]) -> Floats:
    forward = np.empty_like(emission)
    last = emission[steps[0]]
    forward[steps[0]] = last = last / last.sum(axis=1, keepdims=True)
    for step in steps[1:]:
        last = (last[: step.stop - step.start] @ transition) * emission[step]
        last /= last.sum(axis=1, keepdims=True)
        forward[step] = last
    return forward


def _run_backward(emission: Floats, transition: Floats, steps: Sequence[slice]) -> Floats:
    backward = np.ones_like(emission)
    transposed = transition.T.copy()
    for step, following in zip(reversed(steps[:-1]), reversed(steps[1:]), strict=True):
        count = following.stop - following.start
        message = (backward[following] * emission[following]) @ transposed
        backward[step.start : step.start + count] = message / message.sum(axis=1, keepdims=True)
    return backward


def decode_spans(
    marginals: Marginals, labels: Sequence[str], threshold: float, recognizer: str
) -> list[Span]:
    """Return the runs of tokens that belong to an entity with at least `threshold`.

    Each run has its likeliest type. It ends where the type changes, where the next token more probably begins
    another entity, and with the sentence.
    """
    kinds = sorted({label[2:] for label in labels if label != OUTSIDE})
    inside = 1 - marginals.probabilities[:, labels.index(OUTSIDE)]
    positions = np.flatnonzero(inside >= threshold)
    if not len(positions):
        return []
    probabilities = marginals.probabilities[positions]
    begins = probabilities[:, [labels.index(f"B-{kind}") for kind in kinds]]
    continues = probabilities[:, [labels.index(f"I-{kind}") for kind in kinds]]
    kind = (begins + continues).argmax(axis=1)
    rows = np.arange(len(positions))
    first = begins[rows, kind] > continues[rows, kind]
    first[0] = True
    first[1:] |= (np.diff(positions) > 1) | (kind[1:] != kind[:-1])
    first[1:] |= marginals.segment[positions[1:]] != marginals.segment[positions[:-1]]
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(positions))
    score = np.maximum.reduceat(inside[positions], starts)
    return [
        Span(
            int(marginals.tokens[positions[start], 0]),
            int(marginals.tokens[positions[end - 1], 1]),
            kinds[kind[start]],
            # The last digits depend on the other texts of the batch.
            min(round(float(probability), 3), 1.0),
            recognizer,
        )
        for start, end, probability in zip(starts.tolist(), ends.tolist(), score, strict=True)
    ]


class CrfTagger:
    """A `lexveil.nlp.taggers.contract.Tagger` over a `Crf`."""

    insists = False

    def __init__(self, crf: Crf, threshold: float) -> None:
        self._crf = crf
        self._threshold = threshold

    @classmethod
    def load(cls, path: Path | None = None, sensitivity: Sensitivity = "balanced") -> CrfTagger:
        """Load the model in `path`, by default the shipped one, at an operating point."""
        crf = Crf.load(path)
        return cls(crf, crf.parameters.operating[sensitivity])

    @property
    def languages(self) -> frozenset[str]:
        """Languages it was trained on (ISO 639-1)."""
        return frozenset(self._crf.parameters.languages)

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the sorted spans of each text."""
        return [
            decode_spans(marginals, self._crf.labels, self._threshold, type(self).__name__)
            for marginals in self._crf.marginals(texts)
        ]


@cache
def load_vocabulary() -> frozenset[int]:
    """Return the hashes (`features.hash_text`) of the lower-case words of the public encoder's vocabulary."""
    with np.load(WEIGHTS / "light.npz", allow_pickle=False) as stored:
        return frozenset(np.cumsum(stored["cluster_hashes"], dtype=np.uint32).tolist())


@lru_cache(maxsize=4)
def _load(path: Path) -> Crf:
    return Crf(Parameters.load(path))
