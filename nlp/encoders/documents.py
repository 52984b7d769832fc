"""Many documents at once: masked text -> what a model takes -> features and logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from lexveil.nlp.encoders.config import TRANSFORMERS, ModelConfig, takes_tokens
from lexveil.nlp.encoders.inputs import collate_tokens
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.public import (
    BATCH_TOKENS,
    CHUNK_LENGTH,
    CHUNK_LIMIT,
    Array,
    PublicEncoder,
    batches_by_length,
)
from lexveil.nlp.encoders.topics import PublicTopics

Want = Literal["embedding", "tokens"]

# Wide, because an LSTM goes through a batch one position at a time.
_LSTM_BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Encoded:
    """One document, ready for a model. Tokens are nearly the text: keep them where masked text may be.

    embedding: centred, of unit norm, Shape (dimension,); None if tokens were wanted.
    tokens: token ids of each chunk; empty if the embedding was wanted, or the document has none.
    topics: share of each public topic, Shape (n_topics,); None if no topics were given.
    chunks, total_chunks: how many chunks were read, and how many there are.
    """

    embedding: Array | None = field(repr=False)
    tokens: Sequence[Sequence[int] | NDArray[np.int32]] = field(repr=False)
    topics: Array | None = field(repr=False)
    chunks: int
    total_chunks: int


@dataclass(frozen=True, slots=True)
class Extracted:
    """Shapes: features (documents, feature_dim), logits (documents, labels); float32."""

    features: Array = field(repr=False)
    logits: Array = field(repr=False)


def wanted_by(config: ModelConfig) -> Want:
    """What a model of this configuration takes."""
    return "tokens" if takes_tokens(config.kind) else "embedding"


def encode_documents(
    texts: Sequence[str],
    encoder: PublicEncoder,
    want: Want = "embedding",
    topics: PublicTopics | None = None,
    length: int = CHUNK_LENGTH,
    limit: int = CHUNK_LIMIT,
) -> list[Encoded]:
    """Encode masked texts, in their order; all chunks of all of them are embedded in batches by length.

    Each result depends on its own text only: which documents share a call has no influence.
    """
    chunked = [encoder.chunks(text, length, limit) for text in texts]
    embeddings = encoder.document_features([c.ids for c in chunked]) if want == "embedding" else None
    return [
        Encoded(
            embedding=None if embeddings is None else embeddings[row],
            tokens=chunks.ids if want == "tokens" else [],
            topics=None if topics is None else topics.histogram(i for ids in chunks.ids for i in ids),
            chunks=len(chunks.ids),
            total_chunks=chunks.total,
        )
        for row, chunks in enumerate(chunked)
    ]


def encode_document(
    masked_text: str, encoder: PublicEncoder, topics: PublicTopics | None, config: ModelConfig
) -> Encoded:
    """One document, as a model of `config` takes it."""
    return encode_documents(
        [masked_text], encoder, wanted_by(config), topics, config.chunk_length, config.chunk_limit
    )[0]


@torch.inference_mode()
def extract(model: FeatureModel, encoded: Sequence[Encoded], batch_tokens: int | None = None) -> Extracted:
    """Features and logits of documents. A document of several chunks has the mean of their features.

    Logits are `head(features)`, exactly what the encrypted head computes. A document without a token has
    zero features, and the head's bias as logits.

    batch_tokens: positions in a batch of chunks, padding included; None: what suits the kind. A transformer
        is given chunks of one length at once, so that rounding doesn't depend on a document's company; an
        LSTM, which rounds to about 1e-7 alike, batches as wide as can be.

    Raises: ValueError if a document was encoded for another kind of model.
    """
    if wanted_by(model.config) == "embedding":
        features = torch.zeros(len(encoded), model.config.feature_dim)
        rows = [row for row, document in enumerate(encoded) if document.chunks]
        if rows:
            embeddings = np.stack([_embedding(encoded[row]) for row in rows])
            features[rows] = model.features(torch.from_numpy(embeddings))
    else:
        usual = _LSTM_BATCH_TOKENS if model.config.kind == "lstm" else BATCH_TOKENS
        features = _mean_chunk_features(model, encoded, batch_tokens or usual)
    return Extracted(features.numpy(), model.head(features).numpy())


def _mean_chunk_features(model: FeatureModel, encoded: Sequence[Encoded], batch_tokens: int) -> torch.Tensor:
    if any(len(document.tokens) != document.chunks for document in encoded):
        raise ValueError("a document has no tokens: it was encoded for another kind of model")
    items = [(row, chunk) for row, document in enumerate(encoded) for chunk in document.tokens]
    features = torch.zeros(len(encoded), model.config.feature_dim)
    equal = model.config.kind in TRANSFORMERS
    for places in batches_by_length([len(chunk) for _, chunk in items], batch_tokens, equal=equal):
        batch = [items[place] for place in places]
        rows = torch.tensor([row for row, _ in batch])
        features.index_add_(0, rows, model.features(collate_tokens([chunk for _, chunk in batch])))
    counts = torch.tensor([max(1, document.chunks) for document in encoded])
    return features / counts[:, None]


def _embedding(document: Encoded) -> Array:
    if document.embedding is None:
        raise ValueError("a document has no embedding: it was encoded for another kind of model")
    return document.embedding
