"""What a model that takes embeddings reads of a document: the encoder's embedding, and features of its words.

All of it is public: nothing here depends on any document but the one that is represented.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from lexveil.nlp.encoders.config import (
    DEFAULT_CHUNK_ENDS,
    DEFAULT_CHUNK_LENGTH,
    DEFAULT_CHUNK_LIMIT,
    ChunkEnds,
    Representation,
)
from lexveil.nlp.encoders.lexical import load_table
from lexveil.nlp.encoders.multilingual import load_multilingual
from lexveil.nlp.encoders.public import Array, PublicEncoder, compute_moments, read_public_passages


def represent(
    texts: Sequence[str],
    chunks: Sequence[Sequence[Sequence[int]]],
    encoder: PublicEncoder,
    representation: Representation,
    length: int = DEFAULT_CHUNK_LENGTH,
    limit: int = DEFAULT_CHUNK_LIMIT,
    ends: ChunkEnds = DEFAULT_CHUNK_ENDS,
) -> Array:
    """Represent documents, each by itself.

    Args:
        texts: Masked texts.
        chunks: Their chunks, as `encoder.chunks` returns them.
        encoder: Public encoder.
        representation: What to compute.
        length: Maximum number of tokens per chunk of the multilingual encoder, which has its own.
        limit: Maximum number of its chunks per document.
        ends: Where its chunks end.

    Returns:
        One row per document, of norm 1; zeros for a document without tokens. Shape (len(texts), width).

    Raises:
        EncoderLoadError: The multilingual encoder is needed, and its package is not installed.
    """
    if representation == "multilingual-1":
        encoder = load_multilingual(encoder.precision)
        length = min(length, encoder.max_length)
        chunks = [encoder.chunks(text, length, limit, ends).ids for text in texts]
    embedded = encoder.document_features(chunks)
    return embedded if representation == "embedding" else add_words(embedded, texts)


def add_words(embedded: Array, texts: Sequence[str]) -> Array:
    """Put features of the words of masked texts beside their embeddings.

    Args:
        embedded: Embeddings of norm 1, or zeros. Shape (len(texts), dimension).
        texts: Masked texts.

    Returns:
        One row per document, of norm 1; zeros where the embedding is. Shape (len(texts), dimension + 512).
    """
    table = load_table()
    words = np.stack([table.embed(text) for text in texts]) if texts else np.empty((0, table.dimension))
    both = np.concatenate([embedded, words * embedded.any(axis=1, keepdims=True)], axis=1, dtype=np.float32)
    # Halves of equal norm; a text without a word of the table is represented by its embedding alone.
    return both / np.linalg.norm(both, axis=1, keepdims=True).clip(1e-12)


@lru_cache(maxsize=4)
def compute_public_moments(encoder: PublicEncoder, representation: Representation) -> tuple[Array, Array]:
    """Compute mean and covariance of the packaged public text, as `PublicEncoder.public_moments` does.

    Shapes: (width,), (width, width).
    """
    if representation == "embedding":
        return encoder.public_moments
    passages = read_public_passages()
    length = min(DEFAULT_CHUNK_LENGTH, encoder.max_length)
    chunks = [encoder.chunks(passage, length).ids for passage in passages]
    return compute_moments(represent(passages, chunks, encoder, representation))
