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
from lexveil.privacy.dp.batches import Batch, TensorOwners, multiply_following
from lexveil.privacy.dp.clipping import kernel, linear_head
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, ClippedSum
from lexveil.privacy.dp.engine import ClosedLoss, Loss, TrainingPlan, clip_in_closed_form, train
from lexveil.privacy.dp.randomness import SecureRandom

WIDTH, CLASSES = 24, 7
ONE_LABEL = ClosedLoss(classification_loss, classification_gradient, "softmax")
SEVERAL_LABELS = ClosedLoss(multilabel_loss, multilabel_gradient, "sigmoid")
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


@pytest.fixture(params=["compiled", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By compiled functions, which are installed, and without them."""
    if request.param == "torch":
        monkeypatch.setattr(linear_head, "takes", lambda *_: False)
    elif kernel.find_instructions() is None:
        pytest.skip("no compiled functions are installed")
    return request.param


def pass_over(
    model: nn.Linear, owners: TensorOwners, loss: ClosedLoss, norm: float
) -> tuple[float, ClippedSum]:
    drawn = [owner for owner, count in enumerate(owners.item_counts) if count]
    with BookKeeper(model) as keeper:
        return clip_in_closed_form(model, loss, owners.batch(drawn), keeper, len(drawn), norm)


def clipped(model: nn.Linear, owners: TensorOwners, loss: ClosedLoss, norm: float) -> ClippedSum:
    return pass_over(model, owners, loss, norm)[1]


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
def test_norms_and_sums_are_those_of_each_owner_alone(way, sizes, several, bias):
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
def test_single_precision_clips_to_less_and_bounds_its_rounding(way, several):
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


def test_an_owner_that_is_not_finite_adds_nothing_and_changes_nothing(way):
    sizes = SIZES["several"]
    owners, model = data(sizes, False), layer(True)
    rest = clipped(model, owners, ONE_LABEL, 0.2)
    owners._inputs[owners._order[0]] = math.inf
    owners = TensorOwners(owners._inputs, owners._targets, owner_index(owners), len(sizes), 1)
    found = clipped(model, owners, ONE_LABEL, 0.2)
    assert found.finite.tolist() == [False] + [True] * (len(rest.norms) - 1)
    if way == "torch":
        assert torch.equal(found.norms[1:], rest.norms[1:])
    assert torch.allclose(found.norms[1:], rest.norms[1:], rtol=1e-14, atol=0)
    for name, total in found.grads.items():
        assert bool(total.isfinite().all()), name


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
def test_training_in_closed_form_is_training_by_autograd(way, several):
    """With products, without them, with those of another layer, and in parts of owners."""
    expected = trained(plain_loss(several), None, several)
    loss = SEVERAL_LABELS if several else ONE_LABEL
    for ones, max_items in ((None, 256), (1, 256), (1, 20), (1, 7), (0, 256)):
        assert torch.allclose(trained(loss, ones, several, max_items), expected, rtol=0, atol=1e-8)
    assert torch.equal(trained(loss, 1, several), trained(loss, 1, several))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("classes", [1, 7, 16, 83, 1040])
def test_every_set_of_instructions_computes_the_same(instructions, monkeypatch, classes, several, dtype):
    """Norms, sums and the loss are those of torch, for rows that fill vectors and those that do not."""
    generator = torch.Generator().manual_seed(classes)
    sizes = SIZES["several"]
    owners, model = data(sizes, several, dtype), nn.Linear(WIDTH, classes, dtype=dtype)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=3, generator=generator)
    if several:
        owners._targets = (torch.rand(sum(sizes), classes, generator=generator) < 0.3).to(dtype)
    else:
        owners._targets = torch.randint(classes, (sum(sizes),), generator=generator)
    loss = SEVERAL_LABELS if several else ONE_LABEL
    calls = list[bool]()
    by_functions = linear_head.clip_and_sum

    def spy(*arguments, **named):
        found = by_functions(*arguments, **named)
        calls.append(found is not None)
        return found

    monkeypatch.setattr(linear_head, "clip_and_sum", spy)
    total, found = pass_over(model, owners, loss, 0.2)
    # One class has no gradient: nothing rounds, and torch adds up nothing.
    assert calls == [several or classes > 1 or dtype == torch.float64]
    monkeypatch.setattr(linear_head, "takes", lambda *_: False)
    expected_total, expected = pass_over(model, owners, loss, 0.2)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    assert total == pytest.approx(expected_total, rel=tolerance, abs=tolerance)
    assert torch.allclose(found.norms, expected.norms, rtol=tolerance, atol=tolerance)
    for name, gradient in expected.grads.items():
        assert found.grads[name].shape == gradient.shape
        assert float((found.grads[name] - gradient).norm()) <= tolerance * (1 + float(gradient.norm()))


def test_the_sum_over_many_owners_stays_within_the_allowance_for_rounding(monkeypatch):
    """With so many owners that only some terms may be added at once, each part is a product of its own."""
    if kernel.find_instructions() is None:
        pytest.skip("no compiled functions are installed")
    products = list[int]()
    multiply = torch.mm

    def spy(left: Tensor, right: Tensor, *, out: Tensor) -> Tensor:
        products.append(left.shape[1])
        return multiply(left, right, out=out)

    monkeypatch.setattr(torch, "mm", spy)
    sizes = [1] * 3000
    found = clipped(layer(True, torch.float32), data(sizes, False, torch.float32), ONE_LABEL, 0.2)
    assert len(products) > 1
    assert sum(products) == 3000
    exact = clipped(layer(True), data(sizes, False), ONE_LABEL, 0.2 * (1 - 2.0**-7))
    for name, total in found.grads.items():
        assert float((total - exact.grads[name]).norm()) < 1e-5 * float(exact.grads[name].norm())


@pytest.mark.parametrize("change", ["label", "order", "large", "far owner"])
def test_what_the_functions_do_not_take_is_left_to_torch(way, change):
    owners, model = data([2, 3, 1], False, torch.float32), layer(True, torch.float32)
    batch = owners.batch([0, 1, 2])
    inputs, targets, index = batch.inputs.clone(), batch.targets.clone(), batch.owner_index.clone()
    if change == "label":
        targets[3] = CLASSES
    elif change == "order":
        index = index.flip(0)
    elif change == "far owner":
        index[5] = 3
    else:
        inputs[0] *= 1e12
        owners = TensorOwners(inputs, targets, index, 3, 1)
        batch = owners.batch([0, 1, 2])
    changed = Batch(inputs, targets, index, batch.weights, batch.products)
    with BookKeeper(model) as keeper:
        if change in ("label", "far owner"):
            with pytest.raises((RuntimeError, ValueError, IndexError)):
                clip_in_closed_form(model, ONE_LABEL, changed, keeper, 3, 0.2)
            return
        total, found = clip_in_closed_form(model, ONE_LABEL, changed, keeper, 3, 0.2)
    assert math.isfinite(total)
    assert bool(found.finite.all())
    assert float(sum(g.square().sum() for g in found.grads.values())) <= (3 * 0.2) ** 2
