"""A linear model in closed form, with kept products, against autograd of each owner alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from lexveil.nlp.encoders.losses import (
    classification_gradient,
    classification_loss,
    multilabel_gradient,
    multilabel_loss,
)
from lexveil.privacy.dp.batches import TensorOwners, multiply_following
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, ClippedSum
from lexveil.privacy.dp.engine import ClosedLoss, Loss, TrainingPlan, train
from lexveil.privacy.dp.randomness import SecureRandom

WIDTH, CLASSES = 24, 7
ONE_LABEL = ClosedLoss(classification_loss, classification_gradient)
SEVERAL_LABELS = ClosedLoss(multilabel_loss, multilabel_gradient)
SIZES = {"one_each": [1] * 40, "several": [3, 1, 0, 17, 2, 33, 1, 1, 5, 64, 9], "too_long": [70, 2, 1]}


def data(
    sizes: Sequence[int], several: bool, dtype=torch.float64, ones: int | None = 1, seed=3
) -> TensorOwners:
    generator = torch.Generator().manual_seed(seed)
    items = sum(sizes)
    inputs = normalize(torch.randn(items, WIDTH, generator=generator, dtype=torch.float64), dim=1).to(dtype)
    owner_of = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    # In no order.
    order = torch.randperm(items, generator=generator)
    if several:
        targets = (torch.rand(items, CLASSES, generator=generator) < 0.3).to(dtype)
    else:
        targets = torch.randint(CLASSES, (items,), generator=generator)
    return TensorOwners(inputs, targets, owner_of[order], len(sizes), ones)


def layer(bias: bool, dtype=torch.float64) -> nn.Linear:
    generator = torch.Generator().manual_seed(5)
    model = nn.Linear(WIDTH, CLASSES).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    model.to(dtype)
    model.bias.requires_grad_(bias)
    return model


def clipped(model: nn.Linear, owners: TensorOwners, loss: ClosedLoss, norm: float) -> ClippedSum:
    drawn = [owner for owner, count in enumerate(owners.item_counts) if count]
    batch = owners.batch(drawn)
    with BookKeeper(model) as keeper, torch.no_grad():
        _, delta = loss.with_gradient(model(batch.inputs), batch.targets)
        delta *= batch.weights[:, None]
        keeper.keep_linear_pass(batch.inputs, delta, batch.products)
        return keeper.owner_clipped_sum(batch.owner_index, len(drawn), norm)


def one_by_one(model: nn.Linear, owners: TensorOwners, loss: Loss) -> list[dict[str, Tensor]]:
    gradients = list[dict[str, Tensor]]()
    for owner, count in enumerate(owners.item_counts):
        if count:
            batch = owners.batch([owner])
            model.zero_grad()
            (loss(model(batch.inputs), batch.targets) * batch.weights).sum().backward()
            gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    model.zero_grad()
    return gradients


def plain_loss(several: bool) -> Loss:
    if several:
        return lambda y, t: binary_cross_entropy_with_logits(y, t, reduction="none").sum(1)
    return lambda y, t: cross_entropy(y, t, reduction="none")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_norms_and_sums_are_those_of_each_owner_alone(sizes, several, bias):
    owners, model = data(sizes, several, ones=int(bias)), layer(bias)
    assert (owners.batch([0]).products is None) == (max(sizes) > 64)
    found = clipped(model, owners, SEVERAL_LABELS if several else ONE_LABEL, 0.2)
    expected = one_by_one(model, owners, plain_loss(several))
    norms = torch.stack([torch.cat([g.flatten() for g in one.values()]).norm() for one in expected])
    assert float(((found.norms - norms) / norms).abs().max()) < 1e-12
    assert set(found.grads) == ({"weight", "bias"} if bias else {"weight"})
    for name, total in found.grads.items():
        alone = sum(one[name] * min(1.0, 0.2 / float(n)) for one, n in zip(expected, norms, strict=True))
        assert isinstance(alone, Tensor)
        assert float((total - alone).norm() / alone.norm()) < 1e-12
    assert any(norms > 0.2)
    assert bool(found.finite.all())


@pytest.mark.parametrize("several", [False, True])
def test_single_precision_clips_to_less_and_bounds_its_rounding(several):
    sizes = SIZES["several"]
    loss = SEVERAL_LABELS if several else ONE_LABEL
    single, double = data(sizes, several, torch.float32), data(sizes, several)
    found = clipped(layer(True, torch.float32), single, loss, 0.2)
    exact = clipped(layer(True), double, loss, 0.2 * (1 - 2.0**-7))
    assert torch.allclose(found.norms, exact.norms, rtol=1e-5)
    for name, total in found.grads.items():
        # Its bound on the rounding counts as part of an owner's norm.
        assert float((total - exact.grads[name]).norm()) < 1e-2 * float(exact.grads[name].norm())


def test_the_gradients_are_those_of_the_losses():
    generator = torch.Generator().manual_seed(1)
    for loss, targets in (
        (ONE_LABEL, torch.randint(CLASSES, (9,), generator=generator)),
        (SEVERAL_LABELS, (torch.rand(9, CLASSES, generator=generator) < 0.4).double()),
    ):
        logits = (30 * torch.randn(9, CLASSES, generator=generator)).double().requires_grad_()
        loss(logits, targets).sum().backward()
        losses, gradient = loss.with_gradient(logits.detach(), targets)
        assert logits.grad is not None
        assert torch.allclose(gradient, logits.grad, rtol=0, atol=1e-15)
        assert torch.allclose(losses, loss(logits.detach(), targets), rtol=1e-15)


def test_products_belong_to_one_owner_alone():
    """Also beside one whose inputs are not numbers."""
    generator = torch.Generator().manual_seed(2)
    sizes = torch.tensor([2, 0, 18, 1, 3])
    inputs = torch.randn(24, 5, generator=generator, dtype=torch.float64)
    inputs[20] = math.nan  # the whole of the fourth owner
    products = multiply_following(inputs, sizes, 2)
    assert products is not None
    assert products.values.shape == (24, 32)
    start = 0
    for size in sizes.tolist():
        own = inputs[start : start + size]
        total, norm = products.values[start : start + size].sum(), own.sum(0).square().sum() + 2 * size**2
        assert torch.allclose(total, norm, rtol=1e-12, equal_nan=True)
        start += size
    assert multiply_following(inputs, torch.tensor([24]), 0) is not None
    assert multiply_following(torch.zeros(65, 2), torch.tensor([65]), 0) is None
    assert multiply_following(torch.zeros(0, 2), torch.tensor([0, 0]), 0) is None


def test_an_owner_that_is_not_finite_adds_nothing_and_changes_nothing():
    sizes = SIZES["several"]
    owners, model = data(sizes, False), layer(True)
    rest = clipped(model, owners, ONE_LABEL, 0.2)
    owners._inputs[owners._order[0]] = math.inf
    owners = TensorOwners(owners._inputs, owners._targets, owner_index(owners), len(sizes), 1)
    found = clipped(model, owners, ONE_LABEL, 0.2)
    assert found.finite.tolist() == [False] + [True] * (len(rest.norms) - 1)
    assert torch.equal(found.norms[1:], rest.norms[1:])


def owner_index(owners: TensorOwners) -> Tensor:
    index = torch.empty_like(owners._order)
    index[owners._order] = torch.repeat_interleave(owners._counts)
    return index


PLAN = TrainingPlan(1.0, 0.3, 0.5, 6, 0.5, truncation=None)


def trained(loss: Loss, ones: int | None, several=False, max_items=256) -> Tensor:
    model, owners = layer(True), data(SIZES["several"], several, ones=ones)
    train(model, owners, loss, PLAN, SecureRandom(bytes(32)), max_items=max_items)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("several", [False, True])
def test_training_in_closed_form_is_training_by_autograd(several):
    """With products, without them, with those of another layer, and in parts of owners."""
    expected = trained(plain_loss(several), None, several)
    loss = SEVERAL_LABELS if several else ONE_LABEL
    for ones, max_items in ((None, 256), (1, 256), (1, 20), (1, 7), (0, 256)):
        assert torch.allclose(trained(loss, ones, several, max_items), expected, rtol=0, atol=1e-8)
    assert torch.equal(trained(loss, 1, several), trained(loss, 1, several))
