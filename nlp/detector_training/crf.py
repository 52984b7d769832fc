"""Trains the `light` detector: L-BFGS with L1 and L2 (CRFsuite, Okazaki 2007) over hashed features."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.detection.windows import windows
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan
from lexveil.nlp.taggers.crf import OUTSIDE, Parameters
from lexveil.nlp.taggers.features import (
    OFFSETS,
    Clusters,
    Hashes,
    Integers,
    Tokens,
    describe,
    hashed,
    neighbour,
    segments,
    token_features,
    tokenise,
    word_features,
)
from lexveil.nlp.text import NormalizedText

# What fewer documents share may be somebody's name.
FEWEST_DOCUMENTS = 3
_ITERATIONS = 60
_L1, _L2 = 0.1, 0.01
_GRAINS = (64, 256, 1024)
# What stands between two spaces is no word there.
_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "km", "my"})
_NO_POINTS = {"balanced": 0.15, "strict": 0.05}


@dataclass(frozen=True, slots=True)
class _Examples:
    """All windows of all documents in a row: features (T, k), labels (T,), sequence (T,), document (T,)."""

    features: Hashes = field(repr=False)
    labels: NDArray[np.str_] = field(repr=False)
    sequence: Integers = field(repr=False)
    document: Integers = field(repr=False)


def train_crf(
    documents: Sequence[GoldDocument],
    seed: int,
    *,
    clusters: Clusters | None = None,
    operating: dict[str, float] | None = None,
) -> Parameters:
    """The parameters that `documents` teach. Spans that need no masking count as text.

    Only features of at least `FEWEST_DOCUMENTS` documents are learnt, and only as hashes; scripts
    without spaces between words are left out. The same seed gives
    the same parameters on one machine. About a CPU-minute for a million characters.
    """
    documents = [document for document in documents if document.language not in _WITHOUT_SPACES]
    clusters = clusters or public_clusters(seed)
    examples = _examples(documents, clusters)
    known = _shared(examples)
    types = sorted({label[2:] for label in np.unique(examples.labels).tolist() if label != OUTSIDE})
    labels = (OUTSIDE, *(f"{place}-{kind}" for kind in types for place in "BI"))
    state, transition = _fitted(examples, known, labels)
    used = state.any(axis=1)
    languages = tuple(sorted({document.language for document in documents if document.language}))
    return Parameters(
        labels, known[used], state[used], transition, clusters, operating or _NO_POINTS, languages
    )


def public_clusters(seed: int) -> Clusters:
    """The words of the public encoder's vocabulary, clustered by their input embeddings.

    k-means (scikit-learn's MiniBatchKMeans) on vectors of length 1, at three grains. Nothing private is read.
    """
    from sklearn.cluster import MiniBatchKMeans

    from lexveil.nlp.encoders.public import PublicEncoder

    encoder = PublicEncoder.load()
    words = encoder.vocabulary()
    ids = [index for index, word in enumerate(words) if word.isalpha() and len(word) > 1]
    vectors = encoder.token_embeddings.numpy()[ids]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    columns = [
        MiniBatchKMeans(grain, random_state=seed, n_init=cast(Any, 3), batch_size=4096).fit_predict(vectors)
        for grain in _GRAINS
    ]
    hashes = np.fromiter((hashed(words[index]) for index in ids), np.uint32, len(ids))
    order = np.argsort(hashes)
    return Clusters(hashes[order], np.stack(columns, axis=1).astype(np.uint16)[order])


def _examples(documents: Sequence[GoldDocument], clusters: Clusters) -> _Examples:
    texts: list[str] = []
    labelled: list[tuple[int, list[tuple[int, int, str]]]] = []
    for index, document in enumerate(documents):
        normalised = NormalizedText.of(document.text)
        for annotation in document.annotations:
            spans = _normalised(normalised, document.text, annotation)
            for window in windows(normalised.text):
                end = window.start + len(window.text)
                texts.append(window.text)
                inside = [
                    (start - window.start, stop - window.start, kind)
                    for start, stop, kind in spans
                    if start < end and stop > window.start
                ]
                labelled.append((index, inside))
    tokens = tokenise(texts)
    vocabulary: dict[str, int] = {"": 0}
    ids = np.fromiter(
        (vocabulary.setdefault(word, len(vocabulary)) for word in tokens.words), np.int64, len(tokens.words)
    )
    words = describe(vocabulary, clusters)
    heard = [word_features(words, offset)[neighbour(ids, tokens.text, offset, 0)] for offset in OFFSETS]
    features = np.concatenate((*heard, token_features(tokens, ids, words, 0)), axis=1)
    bounds = np.searchsorted(tokens.text, np.arange(len(texts) + 1)).tolist()
    labels = [
        _labels(tokens, begin, end, spans)
        for (begin, end), (_, spans) in zip(pairwise(bounds), labelled, strict=True)
    ]
    owner = np.fromiter((index for index, _ in labelled), np.int64, len(labelled))
    return _Examples(features, np.concatenate(labels), segments(tokens, ids, words), owner[tokens.text])


def _normalised(
    normalised: NormalizedText, original: str, spans: Sequence[GoldSpan]
) -> list[tuple[int, int, str]]:
    """(start, end, type) in the normalised text of what needs masking."""
    needed = [span for span in spans if span.identifier != "NO_MASK"]
    if len(normalised.text) == len(original):
        return [(span.start, span.end, span.type) for span in needed]
    starts = np.fromiter(
        (normalised.to_original(at, at)[0] for at in range(len(normalised.text) + 1)), np.int64
    )
    return [
        (int(np.searchsorted(starts, s.start)), int(np.searchsorted(starts, s.end)), s.type) for s in needed
    ]


def _labels(tokens: Tokens, begin: int, end: int, spans: Sequence[tuple[int, int, str]]) -> NDArray[np.str_]:
    labels = np.full(end - begin, OUTSIDE, dtype="U24")
    starts, ends = tokens.spans[begin:end, 0], tokens.spans[begin:end, 1]
    # Where two overlap, the longer is learnt.
    for start, stop, kind in sorted(spans, key=lambda span: span[0] - span[1]):
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(starts, stop, side="left"))
        if first < last and (labels[first:last] == OUTSIDE).all():
            labels[first:last] = f"I-{kind}"
            labels[first] = f"B-{kind}"
    return labels


def _shared(examples: _Examples) -> Hashes:
    """Sorted features of at least `FEWEST_DOCUMENTS` documents."""
    bounds = np.flatnonzero(np.diff(examples.document, prepend=-1, append=-1))
    seen = [np.unique(examples.features[begin:end]) for begin, end in pairwise(bounds.tolist())]
    features, counts = np.unique(np.concatenate(seen), return_counts=True)
    return features[counts >= FEWEST_DOCUMENTS]


def _sequences(examples: _Examples, known: Hashes) -> Iterator[tuple[list[list[str]], list[str]]]:
    at = np.minimum(np.searchsorted(known, examples.features), len(known) - 1)
    is_known = known[at] == examples.features
    names = [str(index) for index in range(len(known))]
    bounds = np.flatnonzero(np.diff(examples.sequence, prepend=-1, append=-1)).tolist()
    for begin, end in pairwise(bounds):
        rows = zip(at[begin:end], is_known[begin:end], strict=True)
        yield (
            [[names[i] for i in row[mask].tolist()] for row, mask in rows],
            examples.labels[begin:end].tolist(),
        )


def _fitted(
    examples: _Examples, known: Hashes, labels: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """State weights (F, L) and transition weights (L, L)."""
    import pycrfsuite

    crfsuite: Any = pycrfsuite  # it says no types
    trainer = crfsuite.Trainer(verbose=False)
    for features, gold in _sequences(examples, known):
        trainer.append(features, gold)
    trainer.set_params(
        {"c1": _L1, "c2": _L2, "max_iterations": _ITERATIONS, "feature.possible_transitions": True}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "crf")
        trainer.train(path)
        tagger = crfsuite.Tagger()
        tagger.open(path)
        learnt = tagger.info()
    column = {label: index for index, label in enumerate(labels)}
    state = np.zeros((len(known), len(labels)), np.float32)
    for (feature, label), weight in learnt.state_features.items():
        state[int(feature), column[label]] = weight
    transition = np.zeros((len(labels), len(labels)), np.float32)
    for (before, after), weight in learnt.transitions.items():
        transition[column[before], column[after]] = weight
    return state, transition
