"""Train the `light` detector: L-BFGS with L1 and L2 (CRFsuite, Okazaki 2007) over hashed features."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.detection.windows import split_windows
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan
from lexveil.nlp.taggers.crf import OUTSIDE, Parameters
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
    hash_text,
    number_segments,
    tokenize,
)
from lexveil.nlp.text import NormalizedText

# A feature of fewer documents may be somebody's name.
FEWEST_DOCUMENTS = 3
_ITERATIONS = 60
_L1, _L2 = 0.1, 0.01
_GRAINS = (64, 256, 1024)
# In these languages spaces do not separate words.
_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "km", "my"})
_DEFAULT_OPERATING = {"balanced": 0.15, "strict": 0.05}


@dataclass(frozen=True, slots=True)
class _Examples:
    """The T tokens of all windows of all documents, one after the other.

    Attributes:
        features: (T, k) features of each token.
        labels: (T,) its BIO label.
        sequence: (T,) number of its sequence.
        document: (T,) index of its document.
    """

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
    """Train the CRF. Spans that need no masking count as ordinary text.

    Only features that occur in at least `FEWEST_DOCUMENTS` documents are learned, and only as hashes.
    Languages without spaces between words are left out. The same seed gives the same parameters on one
    machine. It takes about one CPU-minute per million characters.

    Args:
        documents: prepared gold documents.
        seed: seed of the word clusters.
        clusters: word clusters; by default those of the public encoder's vocabulary.
        operating: threshold of each operating point, stored with the parameters.
    """
    documents = [document for document in documents if document.language not in _WITHOUT_SPACES]
    clusters = clusters or cluster_public_words(seed)
    examples = _build_examples(documents, clusters)
    known = _find_shared(examples)
    types = sorted({label[2:] for label in np.unique(examples.labels).tolist() if label != OUTSIDE})
    labels = (OUTSIDE, *(f"{position}-{kind}" for kind in types for position in "BI"))
    state, transition = _fit(examples, known, labels)
    used = state.any(axis=1)
    languages = tuple(sorted({document.language for document in documents if document.language}))
    return Parameters(
        labels, known[used], state[used], transition, clusters, operating or _DEFAULT_OPERATING, languages
    )


def cluster_public_words(seed: int) -> Clusters:
    """Cluster the words of the public encoder's vocabulary by their input embeddings.

    k-means (scikit-learn's MiniBatchKMeans) on vectors of length 1, at three grains. No private data is read.
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
    hashes = np.fromiter((hash_text(words[index]) for index in ids), np.uint32, len(ids))
    order = np.argsort(hashes)
    return Clusters(hashes[order], np.stack(columns, axis=1).astype(np.uint16)[order])


_TypedRange = tuple[int, int, str]
"""(start, end, type)."""


def _build_examples(documents: Sequence[GoldDocument], clusters: Clusters) -> _Examples:
    texts: list[str] = []
    owners: list[int] = []
    spans: list[list[_TypedRange]] = []
    for index, document in enumerate(documents):
        for text, inside in _annotated_windows(document):
            texts.append(text)
            owners.append(index)
            spans.append(inside)
    tokens = tokenize(texts)
    vocabulary: dict[str, int] = {"": 0}
    ids = np.fromiter(
        (vocabulary.setdefault(word, len(vocabulary)) for word in tokens.words), np.int64, len(tokens.words)
    )
    words = describe_words(vocabulary, clusters)
    word_features = [
        compute_word_features(words, offset)[find_neighbors(ids, tokens.text, offset, 0)]
        for offset in OFFSETS
    ]
    features = np.concatenate((*word_features, compute_token_features(tokens, ids, words, 0)), axis=1)
    bounds = np.searchsorted(tokens.text, np.arange(len(texts) + 1)).tolist()
    labels = [
        _label_tokens(tokens, begin, end, inside)
        for (begin, end), inside in zip(pairwise(bounds), spans, strict=True)
    ]
    owner = np.fromiter(owners, np.int64, len(owners))
    return _Examples(
        features, np.concatenate(labels), number_segments(tokens, ids, words), owner[tokens.text]
    )


def _annotated_windows(document: GoldDocument) -> Iterator[tuple[str, list[_TypedRange]]]:
    """Yield each window of the normalized text with its spans, once per annotator."""
    normalized = NormalizedText.of(document.text)
    for annotation in document.annotations:
        spans = _normalize_spans(normalized, document.text, annotation)
        for window in split_windows(normalized.text):
            end = window.start + len(window.text)
            inside = [
                (start - window.start, stop - window.start, kind)
                for start, stop, kind in spans
                if start < end and stop > window.start
            ]
            yield window.text, inside


def _normalize_spans(
    normalized: NormalizedText, original: str, spans: Sequence[GoldSpan]
) -> list[_TypedRange]:
    """Return the spans that need masking, in characters of the normalized text."""
    needed = [span for span in spans if span.identifier != "NO_MASK"]
    if len(normalized.text) == len(original):
        return [(span.start, span.end, span.type) for span in needed]
    starts = np.fromiter(
        (normalized.to_original(at, at)[0] for at in range(len(normalized.text) + 1)), np.int64
    )
    return [
        (int(np.searchsorted(starts, s.start)), int(np.searchsorted(starts, s.end)), s.type) for s in needed
    ]


def _label_tokens(tokens: Tokens, begin: int, end: int, spans: Sequence[_TypedRange]) -> NDArray[np.str_]:
    """Return the BIO labels of the tokens `begin` to `end`, which are those of one window."""
    labels = np.full(end - begin, OUTSIDE, dtype="U24")
    starts, ends = tokens.spans[begin:end, 0], tokens.spans[begin:end, 1]
    # Where two spans overlap, the longer one is learned.
    for start, stop, kind in sorted(spans, key=lambda span: span[0] - span[1]):
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(starts, stop, side="left"))
        if first < last and (labels[first:last] == OUTSIDE).all():
            labels[first:last] = f"I-{kind}"
            labels[first] = f"B-{kind}"
    return labels


def _find_shared(examples: _Examples) -> Hashes:
    """Return the sorted features that occur in at least `FEWEST_DOCUMENTS` documents."""
    bounds = np.flatnonzero(np.diff(examples.document, prepend=-1, append=-1))
    seen = [np.unique(examples.features[begin:end]) for begin, end in pairwise(bounds.tolist())]
    features, counts = np.unique(np.concatenate(seen), return_counts=True)
    return features[counts >= FEWEST_DOCUMENTS]


def _list_sequences(examples: _Examples, known: Hashes) -> Iterator[tuple[list[list[str]], list[str]]]:
    """Yield the features and labels of each sequence's tokens, in the form that CRFsuite takes."""
    rows = np.minimum(np.searchsorted(known, examples.features), len(known) - 1)
    is_known = known[rows] == examples.features
    names = [str(index) for index in range(len(known))]
    bounds = np.flatnonzero(np.diff(examples.sequence, prepend=-1, append=-1)).tolist()
    for begin, end in pairwise(bounds):
        tokens = zip(rows[begin:end], is_known[begin:end], strict=True)
        yield (
            [[names[i] for i in row[mask].tolist()] for row, mask in tokens],
            examples.labels[begin:end].tolist(),
        )


def _fit(
    examples: _Examples, known: Hashes, labels: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return state weights (F, L) and transition weights (L, L)."""
    import pycrfsuite

    crfsuite: Any = pycrfsuite  # it has no type hints
    trainer = crfsuite.Trainer(verbose=False)
    for features, gold in _list_sequences(examples, known):
        trainer.append(features, gold)
    trainer.set_params(
        {"c1": _L1, "c2": _L2, "max_iterations": _ITERATIONS, "feature.possible_transitions": True}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "crf")
        trainer.train(path)
        tagger = crfsuite.Tagger()
        tagger.open(path)
        learned = tagger.info()
    column = {label: index for index, label in enumerate(labels)}
    state = np.zeros((len(known), len(labels)), np.float32)
    for (feature, label), weight in learned.state_features.items():
        state[int(feature), column[label]] = weight
    transition = np.zeros((len(labels), len(labels)), np.float32)
    for (before, after), weight in learned.transitions.items():
        transition[column[before], column[after]] = weight
    return state, transition
