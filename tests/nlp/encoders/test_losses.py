"""Losses: the right value for each item, finite for extreme logits, and no influence between items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lexveil.nlp.encoders.losses import classification_loss, denoising_loss, multilabel_loss

Loss = Callable[[Tensor, Tensor], Tensor]
LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0], [3.0, 1.0, 1.0], [-4.0, 0.5, 2.5]])
TARGETS: dict[str, tuple[Loss, Tensor]] = {
    "classification": (classification_loss, torch.tensor([1, 0, 2, 0])),
    "multilabel": (multilabel_loss, torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])),
    "denoising": (denoising_loss, torch.tensor([[0.5, 0.5, 0], [0, 0, 0], [0, 0, 1.0], [0.2, 0.3, 0.5]])),
}
EACH = pytest.mark.parametrize("name", TARGETS)


def test_classification_is_the_negative_log_probability_of_the_class() -> None:
    probabilities = np.exp(LOGITS.numpy()) / np.exp(LOGITS.numpy()).sum(axis=1, keepdims=True)
    expected = [-np.log(probabilities[row, label]) for row, label in enumerate([1, 0, 2, 0])]
    np.testing.assert_allclose(classification_loss(LOGITS, TARGETS["classification"][1]), expected, rtol=1e-5)


def test_multilabel_is_the_sum_over_labels_that_do_not_exclude_each_other() -> None:
    _, targets = TARGETS["multilabel"]
    p = 1 / (1 + np.exp(-LOGITS.numpy()))
    expected = -(targets.numpy() * np.log(p) + (1 - targets.numpy()) * np.log(1 - p)).sum(axis=1)
    np.testing.assert_allclose(multilabel_loss(LOGITS, targets), expected, rtol=1e-5)
    assert multilabel_loss(LOGITS.double(), targets).dtype == torch.float64


def test_denoising_is_lowest_for_the_distribution_itself_and_zero_without_one() -> None:
    target = torch.tensor([[0.2, 0.3, 0.5]])
    best = denoising_loss(target.log(), target)
    torch.testing.assert_close(best, -(target * target.log()).sum(dim=1))
    for other in ([[0.0, 0.0, 0.0]], [[1.0, 2.0, 3.0]], [[5.0, -5.0, 0.0]]):
        assert denoising_loss(torch.tensor(other), target) > best
    assert denoising_loss(LOGITS, torch.zeros_like(LOGITS)).tolist() == [0, 0, 0, 0]


@EACH
def test_there_is_one_loss_per_item_and_none_depends_on_another(name: str) -> None:
    loss, targets = TARGETS[name]
    together = loss(LOGITS, targets)
    assert together.shape == (4,)
    alone = torch.cat([loss(LOGITS[row : row + 1], targets[row : row + 1]) for row in range(4)])
    torch.testing.assert_close(together, alone)


@EACH
def test_the_gradient_of_an_item_is_its_own(name: str) -> None:
    loss, targets = TARGETS[name]
    logits = LOGITS.clone().requires_grad_()
    loss(logits, targets)[0].backward()
    assert logits.grad is not None
    assert logits.grad[0].any()
    assert not logits.grad[1:].any()


@EACH
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_extreme_logits_have_a_finite_loss_and_gradient(name: str, scale: float) -> None:
    loss, targets = TARGETS[name]
    logits = (LOGITS * scale).requires_grad_()
    values = loss(logits, targets)
    values.sum().backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(values).all())
    assert bool(torch.isfinite(logits.grad).all())
