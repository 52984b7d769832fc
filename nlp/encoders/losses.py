"""Training losses, one value per item, so that the gradient of an item belongs to one owner."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax


def classification_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each item.

    Shapes: (items, labels), (items,) int64 -> (items,).
    """
    return cross_entropy(logits, targets, reduction="none")


def classification_gradient(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return `classification_loss`, and its gradient with respect to the logits: softmax less the target.

    Shapes: (items, labels), (items,) int64 -> (items,), (items, labels).
    """
    gradient, chosen = log_softmax(logits, dim=1), targets[:, None]
    losses = gradient.gather(1, chosen).neg_().squeeze(1)
    gradient.exp_().scatter_add_(1, chosen, logits.new_full(chosen.shape, -1.0))
    return losses, gradient


def multilabel_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross-entropy of each item, summed over labels that do not exclude each other.

    Shapes: (items, labels), (items, labels) of 0 and 1 -> (items,).
    """
    return binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none").sum(dim=1)


def multilabel_gradient(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return `multilabel_loss`, and its gradient with respect to the logits: sigmoid less the target.

    Shapes: (items, labels), (items, labels) of 0 and 1 -> (items,), (items, labels).
    """
    return multilabel_loss(logits, targets), logits.sigmoid().sub_(targets)


def denoising_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each item against a distribution: -sum_k t_k log softmax(logits)_k.

    Items do not interact (no in-batch negatives), so a gradient belongs to one owner.
    Shapes: (items, labels), (items, labels) -> (items,); 0 where the target is all zeros.
    """
    return -(targets * log_softmax(logits, dim=1)).sum(dim=1)
