"""TODO docstring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Tokens(NamedTuple):
    """Right-padded chunks. Shapes: ids (items, longest) int64, lengths (items,) int64, each at least 1."""

    ids: Tensor
    lengths: Tensor


Inputs = Tensor | Tokens


class Uniform(Protocol):
    """Draws from [0, 1); a numpy Generator is one."""

    def random(self, size: tuple[int, ...], /) -> NDArray[np.float64]: ...


def collate_tokens(chunks: Sequence[Sequence[int] | NDArray[np.int32]], pad_id: int = 0) -> Tokens:
    """Chunks, right-padded. An empty chunk is read as one pad token, so that its item keeps its place."""
    lengths = torch.tensor([max(1, len(chunk)) for chunk in chunks], dtype=torch.int64)
    ids = torch.full((len(chunks), int(lengths.max()) if chunks else 1), pad_id, dtype=torch.int64)
    for row, chunk in zip(ids, chunks, strict=True):
        row[: len(chunk)] = torch.from_numpy(np.asarray(chunk, np.int64))
    return Tokens(ids, lengths)
