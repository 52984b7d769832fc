"""What an update without noise gives away: rows that a layer has read, and the class of a lone item.

The gradient of a linear layer's weights is a sum of outer products of what came back and what the layer read.
"""

from __future__ import annotations

import torch
from torch import Tensor


def find_in_span(gradient: Tensor, candidates: Tensor, count: int) -> Tensor:
    """Return the candidates that a layer has most likely read (Petrov et al. 2024, "DAGER").

    Those nearest to the span of the `count` largest directions of the gradient. Without noise it finds every
    row that was read, while fewer were read than the layer has outputs and inputs. It cannot show that an
    update is safe: noise that defeats this check may not defeat a better one.

    Args:
        gradient: Gradient of the layer's weights. Shape: (outputs, inputs).
        candidates: Rows that may have been read. Shape: (candidates, inputs).
        count: Number of rows that were read.

    Returns:
        Indices of candidates. Shape: (count,).
    """
    span = torch.linalg.svd(gradient.double(), full_matrices=False)[2][:count]
    wanted = candidates.double()
    outside = wanted - (wanted @ span.T) @ span
    return (outside.norm(dim=1) / wanted.norm(dim=1)).topk(count, largest=False).indices


def read_lone_row(gradient: Tensor) -> Tensor:
    """Return the direction of the one row that a layer has read, up to its sign. Shape: (inputs,), norm 1.

    Args:
        gradient: Gradient of the layer's weights; of one row it has rank one. Shape: (outputs, inputs).
    """
    return torch.linalg.svd(gradient.double(), full_matrices=False)[2][0]


def read_lone_class(gradient: Tensor) -> int:
    """Return the class of the one item of which the last layer's weights have this gradient.

    The gradient of the logits, softmax less target, is negative for the class alone, and largest there.

    Args:
        gradient: Shape: (classes, inputs).
    """
    return int(torch.linalg.svd(gradient.double(), full_matrices=False)[0][:, 0].abs().argmax())
