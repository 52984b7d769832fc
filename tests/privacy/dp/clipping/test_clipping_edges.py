"""Clipping at its edges: what clips nothing, everything, nobody, and what must be refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from lexveil.privacy.dp.clipping.bookkeeper import ROUNDING, BookKeeper, ClippedSum, UnsupportedLayerError


def model_of(seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)


@contextmanager
def seeded(seed: int = 1) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def numbers(*shape: int) -> Tensor:
    with seeded():
        return torch.randn(*shape, dtype=torch.float64)


def clip(
    model: nn.Module, x: Tensor, owners: list[int], n_owners: int, norm: float, weights: Tensor | None = None
) -> ClippedSum:
    with BookKeeper(model) as keeper:
        losses = model(x).square().sum(1)
        (losses if weights is None else losses * weights).sum().backward()
        return keeper.owner_clipped_sum(torch.tensor(owners, dtype=torch.long), n_owners, norm)


def norm_of(clipped: ClippedSum) -> float:
    return math.sqrt(sum(float(grad.square().sum()) for grad in clipped.grads.values()))


def test_a_norm_that_nobody_reaches_clips_nothing() -> None:
    model, x = model_of(), numbers(4, 3)
    clipped = clip(model, x, [0, 1, 2, 3], 4, 1e9)
    model(x).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(clipped.grads[name], parameter.grad, rtol=1e-12)


def test_one_owner_beyond_the_norm_is_scaled_to_it_and_keeps_its_direction() -> None:
    model, x = model_of(), numbers(3, 3)
    whole = clip(model, x, [0, 0, 0], 1, 1e9)
    short = clip(model, x, [0, 0, 0], 1, 0.25 * norm_of(whole))
    assert norm_of(short) == pytest.approx(0.25 * norm_of(whole), rel=1e-12)
    for name, grad in whole.grads.items():
        assert torch.allclose(short.grads[name], 0.25 * grad, rtol=1e-10)
    assert torch.equal(short.norms, whole.norms)


@pytest.mark.parametrize("share", [0.999, 1.0, 1.001])
def test_near_its_own_norm_an_owner_is_clipped_only_above_it(share: float) -> None:
    model, x = model_of(), numbers(1, 3)
    own = norm_of(clip(model, x, [0], 1, 1e9))
    assert norm_of(clip(model, x, [0], 1, share * own)) == pytest.approx(min(1.0, share) * own, rel=1e-12)


def test_gradients_of_zero_stay_zero_and_make_no_nan() -> None:
    model = model_of()
    clipped = clip(model, numbers(3, 3), [0, 1, 2], 3, 1.0, torch.zeros(3))
    assert torch.equal(clipped.norms, torch.zeros(3, dtype=torch.float64))
    assert norm_of(clipped) == 0


def test_owners_without_items_have_no_norm_and_add_nothing() -> None:
    model, x = model_of(), numbers(3, 3)
    few, many = clip(model, x, [0, 1, 1], 2, 0.5), clip(model, x, [2, 5, 5], 9, 0.5)
    assert many.norms.shape == (9,)
    assert torch.equal(many.norms[[2, 5]], few.norms)
    assert many.norms.count_nonzero() == 2
    for name, grad in few.grads.items():
        assert torch.allclose(many.grads[name], grad, rtol=1e-12)


def test_the_order_of_the_items_does_not_matter() -> None:
    model, x, owners = model_of(), numbers(6, 3), [0, 1, 2, 0, 1, 0]
    order = [4, 0, 5, 2, 1, 3]
    one = clip(model, x, owners, 3, 0.5)
    other = clip(model, x[order], [owners[item] for item in order], 3, 0.5)
    assert torch.allclose(one.norms, other.norms, rtol=1e-12)
    for name, grad in one.grads.items():
        assert torch.allclose(grad, other.grads[name], rtol=1e-10, atol=1e-14)


def test_many_clipped_owners_add_up_and_one_more_adds_at_most_the_norm() -> None:
    model, x = model_of(), 100 * numbers(8, 3)
    sums = [clip(model, x[:n], list(range(n)), n, 0.1) for n in (7, 8)]
    gap = math.sqrt(sum(float((sums[1].grads[n] - g).square().sum()) for n, g in sums[0].grads.items()))
    assert gap == pytest.approx(0.1, rel=1e-9)


def test_weights_of_losses_scale_an_owners_gradient() -> None:
    model, x = model_of(), numbers(2, 3)
    full = clip(model, x, [0, 1], 2, 1e9)
    half = clip(model, x, [0, 1], 2, 1e9, torch.tensor([0.5, 1.0]))
    assert torch.allclose(half.norms, full.norms * torch.tensor([0.5, 1.0]), rtol=1e-12)


def test_two_backward_passes_are_one_sum_and_the_next_call_starts_from_nothing() -> None:
    model, x, owners = model_of(), numbers(3, 3), torch.tensor([0, 1, 1])
    whole = clip(model, x, [0, 1, 1], 2, 0.5)
    with BookKeeper(model) as keeper:
        for factor in (0.25, 0.75):
            (factor * model(x).square().sum(1)).sum().backward()
        twice = keeper.owner_clipped_sum(owners, 2, 0.5)
        nothing = keeper.owner_clipped_sum(owners, 2, 0.5)
    assert torch.allclose(twice.norms, whole.norms, rtol=1e-12)
    assert torch.equal(nothing.norms, torch.zeros(2, dtype=torch.float64))
    assert norm_of(nothing) == 0


def test_a_pass_without_gradients_leaves_nothing_to_clip() -> None:
    model, x = model_of(), numbers(2, 3)
    with BookKeeper(model) as keeper:
        with torch.no_grad():
            outputs = model(x)
        model(x).square().sum(1).sum().backward()
        once = keeper.owner_clipped_sum(torch.tensor([0, 1]), 2, 1e9)
    assert torch.equal(outputs, model(x))
    assert torch.allclose(once.norms, clip(model, x, [0, 1], 2, 1e9).norms)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_less_than_double_precision_room_is_left_for_rounding(dtype: torch.dtype) -> None:
    model, x = model_of(dtype=dtype), numbers(5, 3).to(dtype)
    with BookKeeper(model) as keeper:
        assert keeper.clipping_limit(2.0) == 2.0 * (1 - ROUNDING)
    clipped = clip(model, 50 * x, [0, 0, 0, 0, 0], 1, 0.5)
    assert norm_of(clipped) <= 0.5
    assert norm_of(clipped) > 0.5 * (1 - 3 * ROUNDING)
    assert {grad.dtype for grad in clipped.grads.values()} == {torch.float64}


def test_in_double_precision_the_whole_norm_is_used() -> None:
    with BookKeeper(model_of()) as keeper:
        assert keeper.clipping_limit(2.0) == 2.0


def test_frozen_parameters_take_no_part_in_the_norm() -> None:
    model, x = model_of(), numbers(2, 3)
    whole = clip(model, x, [0, 1], 2, 1e9)
    model[0].requires_grad_(False)
    last = clip(model, x, [0, 1], 2, 1e9)
    assert set(last.grads) == {"2.weight", "2.bias"}
    assert torch.equal(last.grads["2.weight"], whole.grads["2.weight"])
    assert (last.norms < whole.norms).all()


def test_an_empty_batch_has_no_gradient() -> None:
    model = model_of()
    clipped = clip(model, torch.empty(0, 3, dtype=torch.float64), [], 3, 1.0)
    assert torch.equal(clipped.norms, torch.zeros(3, dtype=torch.float64))
    assert set(clipped.grads) == {name for name, _ in model.named_parameters()}
    assert norm_of(clipped) == 0


@pytest.mark.parametrize("norm", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_norm_is_refused(norm: float) -> None:
    with pytest.raises(ValueError, match="max_grad_norm"):
        clip(model_of(), numbers(1, 3), [0], 1, norm)


def test_a_model_has_one_keeper_at_a_time() -> None:
    model = model_of()
    with BookKeeper(model), pytest.raises(UnsupportedLayerError, match="already replaced"):
        BookKeeper(model)
    with BookKeeper(model):
        pass


def test_after_an_error_the_model_is_ordinary_again() -> None:
    model, x = model_of(), numbers(2, 3)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), BookKeeper(model):
        model(numbers(2, 5))
    assert not [module for module in model.modules() if "forward" in vars(module)]
    model(x).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_gradients_of_before_are_not_mixed_in() -> None:
    model, x = model_of(), numbers(2, 3)
    model(x).sum().backward()
    clipped = clip(model, x, [0, 1], 2, 1e9)
    assert torch.allclose(clipped.norms, clip(model_of(), x, [0, 1], 2, 1e9).norms)
    assert all(parameter.grad is None for parameter in model.parameters())
