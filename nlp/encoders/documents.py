"""Many documents at once: masked text to model inputs, and model inputs to features and logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from lexveil.nlp.encoders.config import (
    DEFAULT_CHUNK_ENDS,
    DEFAULT_CHUNK_LENGTH,
    DEFAULT_CHUNK_LIMIT,
    LSTMS,
    TRANSFORMERS,
    ChunkEnds,
    ModelConfig,
    Representation,
    takes_tokens,
)
from lexveil.nlp.encoders.inputs import TokenBatch, collate_tokens
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.public import BATCH_TOKENS, Array, PublicEncoder, batch_by_length
from lexveil.nlp.encoders.representations import represent
from lexveil.nlp.encoders.topic_lstm import TopicLSTM
from lexveil.nlp.encoders.topics import PublicTopics

InputKind = Literal["embedding", "tokens"]

# Wide, because an LSTM processes a batch one position at a time.
_LSTM_BATCH_TOKENS = 8192

# Embeddings are multiples of this. What it cuts off, a cosine of about 1 - 1e-6, is less than bfloat16 moves
# them by, and would take more than half of their bytes on disk: it does not compress.
_STEP = 2.0**-13


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """One document, ready for a model.

    Tokens nearly are the text: keep them only where masked text may be kept.

    Attributes:
        embedding: Centered, of norm 1 or up to .003 less, multiples of 2^-13, shape (input_dim,); None if the
            document was encoded as tokens.
        tokens: Token ids of each chunk; empty if the document was encoded as an embedding, or has no text.
        topics: Share of each public topic, shape (n_topics,); None without topics.
        chunks: Number of chunks that were read.
        total_chunks: Number of chunks that the document has.
    """

    embedding: Array | None = field(repr=False)
    tokens: Sequence[Sequence[int] | NDArray[np.int32]] = field(repr=False)
    topics: Array | None = field(repr=False)
    chunks: int
    total_chunks: int


@dataclass(frozen=True, slots=True)
class ExtractedFeatures:
    """Features and logits of documents, one row per document.

    Attributes:
        features: Shape (documents, feature_dim), float32.
        logits: Shape (documents, labels), float32.
    """

    features: Array = field(repr=False)
    logits: Array = field(repr=False)


def get_input_kind(config: ModelConfig) -> InputKind:
    """Return the kind of input that a model of this configuration takes."""
    return "tokens" if takes_tokens(config.kind) else "embedding"


def encode_documents(
    texts: Sequence[str],
    encoder: PublicEncoder,
    want: InputKind = "embedding",
    topics: PublicTopics | None = None,
    length: int = DEFAULT_CHUNK_LENGTH,
    limit: int = DEFAULT_CHUNK_LIMIT,
    ends: ChunkEnds = DEFAULT_CHUNK_ENDS,
    representation: Representation = "embedding",
) -> list[EncodedDocument]:
    """Encode masked texts. Each result depends on its own text only, not on the other texts of the call.

    Args:
        texts: Masked texts.
        encoder: Public encoder.
        want: Whether to return embeddings or tokens.
        topics: Public topics whose shares are computed; None for no shares.
        length: Maximum number of tokens per chunk, the two special tokens included.
        limit: Maximum number of chunks per document.
        ends: Where chunks end.
        representation: What an embedding consists of.

    Returns:
        One encoded document per text, in the given order.

    Raises:
        ValueError: `length` or `limit` is out of range for this encoder.
    """
    chunked = [encoder.chunks(text, length, limit, ends) for text in texts]
    embeddings = None
    if want == "embedding":
        ids = [chunks.ids for chunks in chunked]
        embeddings = cut_to_steps(represent(texts, ids, encoder, representation, length, limit, ends))
    return [
        EncodedDocument(
            embedding=None if embeddings is None else embeddings[row],
            tokens=chunks.ids if want == "tokens" else [],
            topics=None if topics is None else topics.histogram(i for ids in chunks.ids for i in ids),
            chunks=len(chunks.ids),
            total_chunks=chunks.total,
        )
        for row, chunks in enumerate(chunked)
    ]


def cut_to_steps(embeddings: Array) -> Array:
    """Return embeddings cut to multiples of 2^-13, toward zero: no norm becomes larger."""
    return (np.trunc(embeddings / _STEP) * _STEP).astype(np.float32)


def encode_for_model(
    masked_texts: Sequence[str], encoder: PublicEncoder, topics: PublicTopics | None, config: ModelConfig
) -> list[EncodedDocument]:
    """Encode documents as a model of `config` takes them."""
    how = (config.chunk_length, config.chunk_limit, config.chunk_ends, config.representation)
    return encode_documents(masked_texts, encoder, get_input_kind(config), topics, *how)


@torch.inference_mode()
def extract(
    model: FeatureModel, encoded: Sequence[EncodedDocument], batch_tokens: int | None = None
) -> ExtractedFeatures:
    """Compute features and logits of documents.

    The features of a document with several chunks are the mean over its chunks. Logits are `head(features)`,
    exactly what the encrypted head computes. A document without tokens has features of zero, and the bias of
    the head as logits.

    Args:
        model: Model to apply.
        encoded: Documents, encoded for the kind of the model.
        batch_tokens: Maximum number of positions per batch of chunks, padding included; None for the kind's
            default. For a transformer, all chunks of a batch have the same length, so that rounding does not
            depend on the other documents. An LSTM rounds to about 1e-7 either way and gets batches as wide as
            possible.

    Raises:
        ValueError: A document was encoded for another kind of model.
    """
    if get_input_kind(model.config) == "embedding":
        features = torch.zeros(len(encoded), model.config.feature_dim)
        rows = [row for row, document in enumerate(encoded) if document.chunks]
        if rows:
            embeddings = np.stack([_get_embedding(encoded[row]) for row in rows])
            features[rows] = model.features(torch.from_numpy(embeddings))
    else:
        default = _LSTM_BATCH_TOKENS if model.config.kind in LSTMS else BATCH_TOKENS
        equal = model.config.kind in TRANSFORMERS
        width = model.config.feature_dim
        features = _average_chunks(model.features, width, encoded, batch_tokens or default, equal=equal)
    return ExtractedFeatures(features.numpy(), model.head(features).numpy())


def has_topic_attention(model: FeatureModel) -> bool:
    """Return True if a model has attention over topics."""
    return isinstance(model.body, TopicLSTM)


@torch.inference_mode()
def extract_topic_shares(model: FeatureModel, encoded: Sequence[EncodedDocument]) -> Array | None:
    """Compute the share of its attention that a model gives to each topic, by document.

    Args:
        model: Model to apply.
        encoded: Documents, encoded for the kind of the model.

    Returns:
        Shares that sum to 1, zeros for a document without tokens, in the order of the model's labels. Shape
        (documents, labels), float32. None for a model without attention over topics.
    """
    if not isinstance(model.body, TopicLSTM):
        return None
    width = len(model.config.labels)
    return _average_chunks(model.body.topic_shares, width, encoded, _LSTM_BATCH_TOKENS, equal=False).numpy()


def _average_chunks(
    compute: Callable[[TokenBatch], torch.Tensor],
    width: int,
    encoded: Sequence[EncodedDocument],
    batch_tokens: int,
    *,
    equal: bool,
) -> torch.Tensor:
    """Return the mean over the chunks of each document. Shape: (documents, width)."""
    if any(len(document.tokens) != document.chunks for document in encoded):
        raise ValueError("a document has no tokens: it was encoded for another kind of model")
    items = [(row, chunk) for row, document in enumerate(encoded) for chunk in document.tokens]
    sums = torch.zeros(len(encoded), width)
    for indices in batch_by_length([len(chunk) for _, chunk in items], batch_tokens, equal=equal):
        batch = [items[index] for index in indices]
        rows = torch.tensor([row for row, _ in batch])
        sums.index_add_(0, rows, compute(collate_tokens([chunk for _, chunk in batch])))
    counts = torch.tensor([max(1, document.chunks) for document in encoded])
    return sums / counts[:, None]


def _get_embedding(document: EncodedDocument) -> Array:
    if document.embedding is None:
        raise ValueError("a document has no embedding: it was encoded for another kind of model")
    return document.embedding
