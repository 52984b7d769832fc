"""Model inputs: batches of padded token chunks, and embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.public import PublicEncoder


class TokenBatch(NamedTuple):
    """Right-padded chunks of token ids.

    Attributes:
        ids: Shape (items, longest), int64.
        lengths: Number of tokens of each chunk, at least 1. Shape (items,), int64.
    """

    ids: Tensor
    lengths: Tensor


Inputs = Tensor | TokenBatch


class UniformSource(Protocol):
    """A source of uniform draws from [0, 1), such as a NumPy Generator."""

    def random(self, size: tuple[int, ...], /) -> NDArray[np.float64]:
        """Return an array of independent draws. Shape: `size`."""
        ...


def collate_tokens(chunks: Sequence[Sequence[int] | NDArray[np.int32]], pad_id: int = 0) -> TokenBatch:
    """Pad chunks on the right. An empty chunk becomes one pad token, so that each chunk keeps its row."""
    lengths = torch.tensor([max(1, len(chunk)) for chunk in chunks], dtype=torch.int64)
    ids = torch.full((len(chunks), int(lengths.max()) if chunks else 1), pad_id, dtype=torch.int64)
    for row, chunk in zip(ids, chunks, strict=True):
        row[: len(chunk)] = torch.from_numpy(np.asarray(chunk, np.int64))
    return TokenBatch(ids, lengths)


def chunk_names(config: ModelConfig, encoder: PublicEncoder) -> list[Sequence[Sequence[int]]]:
    """Return the tokens of the name of each class: one chunk, cut off at its length, or none."""
    length = min(config.chunk_length, encoder.max_length)
    return [encoder.chunks(name, length, 1).ids for name in config.labels]
