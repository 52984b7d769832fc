"""Heads: bounded hidden values, and polynomials that are computed as they will be under encryption."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lexveil.nlp.encoders.config import Activation
from lexveil.nlp.encoders.heads import CUBIC, BoundedLayer, PolynomialHead, make_zero_layer
from lexveil.nlp.encoders.public import PublicEncoder

DIMENSION, HIDDEN, LABELS = 16, 6, 3


def head_of(activation: Activation, encoder: PublicEncoder) -> PolynomialHead:
    head = PolynomialHead(DIMENSION, HIDDEN, LABELS, activation, encoder)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        nn.init.normal_(head.last.weight)
        nn.init.normal_(head.last.bias)
    return head


def unit_rows(count: int) -> torch.Tensor:
    rows = torch.from_numpy(np.random.default_rng(4).standard_normal((count, DIMENSION)).astype(np.float32))
    return nn.functional.normalize(rows, dim=1)


@settings(max_examples=15)
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=8, max_size=8))
def test_a_bounded_layer_has_outputs_of_norm_one_for_any_input(values: list[float]) -> None:
    layer = BoundedLayer(8, 5)
    outputs = layer(torch.tensor([values, [1.0] + [0.0] * 7]))
    assert outputs.shape == (2, 5)
    torch.testing.assert_close(outputs.norm(dim=1), torch.ones(2), atol=1e-5, rtol=0)


def test_a_bounded_layer_is_not_linear_on_inputs_of_norm_one() -> None:
    layer = BoundedLayer(DIMENSION, 5)
    with torch.no_grad():
        layer.linear.weight.fill_(0.5)
    row = unit_rows(1)
    assert not torch.allclose(layer(row) + layer(-row), torch.zeros(1, 5), atol=1e-3)


def test_a_zero_layer_gives_every_label_the_same_logit() -> None:
    layer = make_zero_layer(DIMENSION, LABELS)
    assert not layer(unit_rows(4)).any()
    layer(unit_rows(4)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.any()


@pytest.mark.parametrize("activation", ["square", "cubic"])
def test_a_folded_head_is_the_polynomial_of_its_coefficients(
    activation: Activation, tiny: PublicEncoder
) -> None:
    head = head_of(activation, tiny)
    head.fold()
    features = unit_rows(7)
    hidden = features.double().numpy() @ head.first.weight.detach().double().numpy().T
    hidden += head.first.bias.detach().double().numpy()
    activated = sum(c * hidden**power for power, c in enumerate(head.coefficients()))
    expected = activated * head.scale @ head.last.weight.detach().double().numpy().T
    expected += head.last.bias.detach().double().numpy()
    np.testing.assert_allclose(head(features).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_coefficients_before_training(tiny: PublicEncoder) -> None:
    assert head_of("square", tiny).coefficients() == (0.0, 0.0, 1.0)
    constant, *others = head_of("cubic", tiny).coefficients()
    assert constant == 0.0
    assert others == pytest.approx(CUBIC)


def test_coefficients_follow_the_trained_powers(tiny: PublicEncoder) -> None:
    head = head_of("cubic", tiny)
    before = head.coefficients()
    with torch.no_grad():
        head.powers.weight.mul_(2)
    assert head.coefficients() == pytest.approx([2 * value for value in before])


def test_a_new_cubic_increases_everywhere_and_bends_to_both_sides() -> None:
    linear, square, cube = CUBIC
    x = np.linspace(-10, 10, 401)
    assert (np.diff(linear * x + square * x**2 + cube * x**3) > 0).all()
    curvature = 2 * square + 6 * cube * x
    assert curvature.min() < 0 < curvature.max()


def test_half_of_the_units_lean_to_each_side(tiny: PublicEncoder) -> None:
    assert sorted(head_of("square", tiny).first.bias.tolist()) == [-1, -1, -1, 1, 1, 1]


@pytest.mark.parametrize("activation", ["square", "cubic", "relu"])
def test_an_item_does_not_depend_on_the_other_items(activation: Activation, tiny: PublicEncoder) -> None:
    head, features = head_of(activation, tiny), unit_rows(9)
    together = head(features)
    torch.testing.assert_close(torch.cat([head(row[None]) for row in features]), together)
    torch.testing.assert_close(head(features.flip(0)).flip(0), together)


@pytest.mark.parametrize("activation", ["square", "cubic"])
def test_the_normalization_is_a_constant_for_the_gradient(
    activation: Activation, tiny: PublicEncoder
) -> None:
    head, features = head_of(activation, tiny), unit_rows(3)
    head(features).sum().backward()
    unfolded = head.first.weight.grad
    assert unfolded is not None
    folded = head_of(activation, tiny)
    folded.load_state_dict(head.state_dict())
    _, covariance = tiny.public_moments
    weight = head.first.weight.detach()
    scale = ((weight @ torch.from_numpy(covariance)) * weight).sum(dim=1).rsqrt()
    folded.fold()
    folded(features).sum().backward()
    assert folded.first.weight.grad is not None
    torch.testing.assert_close(unfolded, folded.first.weight.grad * scale[:, None], rtol=1e-3, atol=1e-4)


def test_a_relu_head_is_the_comparison_it_is_meant_to_be(tiny: PublicEncoder) -> None:
    head = head_of("relu", tiny)
    head.fold()
    features = unit_rows(5)
    expected = head.last(head.first(features).clamp(min=0) * head.scale)
    torch.testing.assert_close(head(features), expected)
    assert not hasattr(head, "powers")


def test_a_head_without_features_gives_no_logits(tiny: PublicEncoder) -> None:
    assert head_of("cubic", tiny)(torch.zeros(0, DIMENSION)).shape == (0, LABELS)


def start_of(
    activation: Activation, encoder: PublicEncoder, weights: torch.Tensor, hidden: int
) -> PolynomialHead:
    head = PolynomialHead(DIMENSION, hidden, len(weights), activation, encoder)
    head.start_linear(weights)
    return head


def centered_weights(labels: int) -> torch.Tensor:
    weights = unit_rows(labels)
    return weights - weights.mean(dim=0)


@pytest.mark.parametrize("activation", ["square", "relu"])
def test_a_head_starts_as_a_linear_layer(activation: Activation, tiny: PublicEncoder) -> None:
    """Of four labels, three directions: six units are enough."""
    weights, features = centered_weights(4), unit_rows(9)
    head = start_of(activation, tiny, weights, HIDDEN)
    logits, expected = head(features), features @ weights.T
    # The activations of the mean of public text are no zero: each logit is off by a constant.
    torch.testing.assert_close(logits - logits[:1], expected - expected[:1], rtol=1e-3, atol=1e-3)


def test_a_cubic_starts_with_the_slopes_of_a_linear_layer(tiny: PublicEncoder) -> None:
    weights = centered_weights(4)
    head = start_of("cubic", tiny, weights, HIDDEN)
    mean = torch.from_numpy(tiny.public_moments[0]).float().requires_grad_()
    slopes = torch.stack([torch.autograd.grad(head(mean[None])[0, label], mean)[0] for label in range(4)])
    torch.testing.assert_close(slopes, weights, rtol=1e-3, atol=1e-3)


def test_few_units_take_the_main_directions(tiny: PublicEncoder) -> None:
    strong, weak = unit_rows(2)
    weak = weak - (weak @ strong) * strong
    weights = torch.stack([9 * strong, weak, -9 * strong, -weak])
    head = start_of("square", tiny, weights, 2)
    logits = head(torch.stack([strong, weak]))
    assert (logits[0] - logits[1]).abs()[[0, 2]].min() > 5
    assert (logits[0] - logits[1]).abs()[[1, 3]].max() < 0.5


@pytest.mark.parametrize("activation", ["square", "cubic"])
def test_offices_start_alike_though_their_processors_round_otherwise(
    activation: Activation, tiny: PublicEncoder
) -> None:
    """Also where singular values are equal, and singular vectors therefore anything."""
    weights = torch.eye(8, DIMENSION) - 1 / 8 * torch.ones(8, 1) * torch.eye(8, DIMENSION).sum(dim=0)
    other = weights + 1e-6 * unit_rows(8)
    one, two = (start_of(activation, tiny, rows, HIDDEN) for rows in (weights, other))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, two.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_names_that_are_all_the_same_start_nothing(tiny: PublicEncoder) -> None:
    head = start_of("square", tiny, torch.zeros(3, DIMENSION), HIDDEN)
    assert not head.last.weight.any()
    assert bool(torch.isfinite(head(unit_rows(3))).all())
