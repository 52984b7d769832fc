"""Shared noise is exactly discrete Gaussian, and costs what the accounting says, by exact small cases."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lexveil.privacy.dp import accounting, renyi
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint import noise
from lexveil.privacy.joint.noise import Sharing, discrete_gaussian, plan_noise, round_to_grid

Law = NDArray[np.float64]
KEY = bytes(range(32))


def law(deviation: float, reach: int, center: float = 0.0) -> Law:
    """Probabilities of the discrete Gaussian on -reach..reach."""
    weights = np.exp(-((np.arange(-reach, reach + 1) - center) ** 2) / (2 * deviation**2))
    return weights / weights.sum()


def law_of_sum(deviation: float, shares: int, reach: int) -> Law:
    total = one = law(deviation, reach)
    for _ in range(shares - 1):
        total = np.convolve(total, one)[reach : -reach or None]
    return total


@pytest.mark.parametrize("deviation", [1, 2, 7])
def test_draws_have_the_law_of_a_discrete_gaussian(deviation: int) -> None:
    from scipy.stats import chisquare

    drawn = discrete_gaussian(deviation, SecureRandom(KEY), "noise", 3, 200_000)
    reach = 3 * deviation
    inside = drawn[np.abs(drawn) <= reach]
    seen = np.bincount(inside + reach, minlength=2 * reach + 1)
    expected = law(deviation, 12 * deviation)[9 * deviation : -9 * deviation]
    tail = 1 - expected.sum()
    _, p = chisquare([*seen, drawn.size - inside.size], drawn.size * np.array([*expected, tail]))
    assert p > 1e-3


def test_large_noise_has_the_right_spread_and_no_float_in_it() -> None:
    deviation = 10**9 + 7
    drawn = discrete_gaussian(deviation, SecureRandom(KEY), "noise", 0, 40_000)
    assert drawn.std() == pytest.approx(deviation, rel=0.02)
    assert abs(drawn.mean()) < 4 * deviation / 200
    # A float of this size times a whole number would leave most low bits zero.
    assert np.bincount(drawn % 8, minlength=8) == pytest.approx(np.full(8, 5000), rel=0.1)


def test_floats_decide_nothing_that_exact_arithmetic_decides_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases = [(1, 60), (5, 60), (3_000_017, 40)]
    by_floats = [discrete_gaussian(d, SecureRandom(KEY), "noise", 1, n).tolist() for d, n in cases]
    monkeypatch.setattr(noise, "_FLOAT_ERROR", 2.0)  # every decision is too close for floats
    assert [discrete_gaussian(d, SecureRandom(KEY), "noise", 1, n).tolist() for d, n in cases] == by_floats


def test_a_draw_is_repeated_by_its_address_only() -> None:
    def draw(label: str = "noise", step: int = 0, key: bytes = KEY) -> list[int]:
        return discrete_gaussian(1000, SecureRandom(key), label, step, 50).tolist()

    assert draw() == draw()
    others = [draw(label="other"), draw(step=1), draw(key=KEY[::-1])]
    assert all(draw() != other for other in others)
    assert discrete_gaussian(5, SecureRandom(KEY), "noise", 0, 0).size == 0
    with pytest.raises(ValueError, match="deviation"):
        discrete_gaussian(0, SecureRandom(KEY), "noise", 0, 1)


@pytest.mark.parametrize(("deviation", "shares"), [(2.0, 1), (2.0, 3), (3.0, 2), (4.0, 5)])
@pytest.mark.parametrize("rounding", [0.6, 0.8, 1.0])
@pytest.mark.parametrize("shift", [0, 1, 5])
def test_a_sum_of_shares_is_a_gaussian_that_was_rounded_at_random(
    deviation: float, shares: int, rounding: float, shift: int
) -> None:
    """The lemma behind the guarantee, in small: probabilities differ by no more than the stated factor."""
    reach = 60

    def bound(variance: float) -> float:
        tail = sum(math.exp(-2 * math.pi**2 * variance * k * k) for k in range(1, 9))
        return math.log((1 + 2 * tail) / (1 - 2 * tail))

    honest = shares * deviation**2
    left = math.sqrt(honest - rounding**2)
    x = np.arange(-reach, reach, 1 / 64)  # the trapezoid rule is exact to float for such integrands
    density = np.exp(-((x - shift) ** 2) / (2 * left**2)) / (left * math.sqrt(2 * math.pi)) / 64
    y = np.arange(-reach, reach + 1)
    kernel = np.exp(-((y[:, None] - x[None, :]) ** 2) / (2 * rounding**2))
    rounded = (kernel / kernel.sum(axis=0)) @ density
    summed = np.roll(law_of_sum(deviation, shares, reach), shift)
    middle = slice(reach - 15, reach + 16)
    factor = np.abs(np.log(summed[middle] / rounded[middle])).max()
    steps = sum(bound(deviation**2 * k / (k + 1)) for k in range(1, shares))
    assert factor <= steps + bound(rounding**2) + 1e-9
    assert factor > 1e-12 or rounding == 1.0  # it is not zero: the bound is what makes it small


def exact_delta(upper: Law, lower: Law, steps: int, epsilon: float) -> float:
    """Delta of a mechanism's composition, by all of its outputs."""
    p, q = upper, lower
    for _ in range(steps - 1):
        p, q = np.outer(p, upper).ravel(), np.outer(q, lower).ravel()
    return float(np.maximum(p - math.exp(epsilon) * q, 0).sum())


@pytest.mark.parametrize(("rate", "steps"), [(1.0, 1), (1.0, 2), (0.5, 1), (0.5, 2), (0.1, 2)])
@pytest.mark.parametrize("delta", [1e-2, 1e-4])
def test_epsilon_bounds_the_exact_divergence(rate: float, steps: int, delta: float) -> None:
    shares, deviation, shift, reach = 2, 8, 9, 90
    planned = noise.SharedNoise(bits=0, deviation=deviation, sensitivity=shift, honest=shares)
    epsilon = accounting.epsilon(planned.noise_multiplier, rate, steps, delta)
    without = law_of_sum(deviation, shares, reach)
    moved = np.roll(without, shift)
    moved[:shift] = 0
    mixed = (1 - rate) * without + rate * moved
    found = [exact_delta(*pair, steps, epsilon) for pair in ((mixed, without), (without, mixed))]
    assert 0.01 * delta < max(found) <= delta * (1 + 1e-9)


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("order", [2, 3, 5, 9])
def test_moments_of_whole_order_are_those_of_the_gaussian(rate: float, order: int) -> None:
    """The derivation of Kairouz, Liu & Steinke, which agrees with the one by rounding."""
    shares, deviation, shift, reach = 3, 6, 4, 200
    without = law_of_sum(deviation, shares, reach)
    mixed = (1 - rate) * without + rate * np.roll(without, shift)
    inside = without > 1e-250
    p, q = np.log(mixed[inside]), np.log(without[inside])
    spent = renyi.rdp(math.sqrt(shares) * deviation / shift, rate, 1, order)
    removed, added = (
        math.log(np.exp(order * a + (1 - order) * b).sum()) / (order - 1) for a, b in ((p, q), (q, p))
    )
    assert removed == pytest.approx(spent, rel=1e-6)
    assert added <= removed


def test_an_owner_in_two_offices_is_drawn_more_often_and_moves_twice_as_much() -> None:
    rate, delta, deviation, shift, reach = 0.3, 1e-3, 12, 5, 120
    sharing = Sharing(offices=2, offices_per_owner=2)
    planned = noise.SharedNoise(bits=0, deviation=deviation, sensitivity=2 * shift, honest=2)
    epsilon = accounting.epsilon(planned.noise_multiplier, sharing.sample_rate(rate), 1, delta)
    without = law_of_sum(deviation, 2, reach)
    mixed = sum(
        chance * np.roll(without, moves * shift)
        for moves, chance in enumerate([(1 - rate) ** 2, 2 * rate * (1 - rate), rate**2])
    )
    assert exact_delta(np.asarray(mixed), without, 1, epsilon) <= delta
    assert exact_delta(without, np.asarray(mixed), 1, epsilon) <= delta
    # Twice the norm alone, at the rate of one office, would claim too little.
    few = accounting.epsilon(planned.noise_multiplier * 1.5, rate, 1, delta)
    assert few < epsilon


@given(
    st.floats(0.3, 50),
    st.floats(1e-3, 100),
    st.integers(1, 10**6),
    st.integers(2, 20).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.integers(1, n))),
)
@settings(max_examples=100, deadline=None)
def test_planned_noise_is_enough(
    multiplier: float, norm: float, weights: int, who: tuple[int, int, int]
) -> None:
    planned = plan_noise(multiplier, norm, weights, Sharing(*who))
    assert planned.noise_multiplier >= multiplier
    assert planned.noise_multiplier <= multiplier * (1 + 1e-3)
    total = math.sqrt(planned.honest) * planned.deviation * 2.0**-planned.bits
    assert total == pytest.approx(multiplier * norm * who[2], rel=1e-3)


@given(st.integers(0, 2**32), st.sampled_from([1, 3, 40]))
@settings(max_examples=60, deadline=None)
def test_an_owner_moves_the_rounded_sum_by_no_more_than_the_sensitivity(seed: int, weights: int) -> None:
    generator = np.random.default_rng(seed)
    norm = 0.1
    planned = plan_noise(1.0, norm, weights, Sharing(3))
    others = generator.normal(size=weights) * 10 ** generator.uniform(-9, 3)
    owner = generator.normal(size=weights)
    owner *= norm / np.linalg.norm(owner)
    bits = planned.bits if seed % 2 else 4  # on a coarse grid, too, rounding counts as stated
    moved = round_to_grid(others + owner, bits) - round_to_grid(others, bits)
    allowed = planned.sensitivity if seed % 2 else norm * 2**bits + math.sqrt(weights)
    assert np.linalg.norm(moved) <= allowed


def test_colluders_leave_more_noise_to_the_others() -> None:
    needed = [plan_noise(2.0, 0.1, 1000, Sharing(5, t)).deviation for t in range(5)]
    assert all(less < more for less, more in pairwise(needed))
    assert needed[4] == pytest.approx(needed[0] * math.sqrt(5), rel=1e-4)


@pytest.mark.parametrize(
    "arguments", [(1,), (3, 3), (3, -1), (3, 0, 0), (3, 0, 4)], ids=["alone", "all", "below", "none", "more"]
)
def test_offices_that_cannot_be_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"offices|colluders"):
        Sharing(*arguments)


def test_noise_that_cannot_be_is_refused() -> None:
    for bad in ((0.0, 0.1, 5), (1.0, 0.0, 5), (1.0, math.inf, 5), (1.0, 0.1, 0), (1e14, 0.1, 5)):
        with pytest.raises(ValueError):
            plan_noise(*bad, Sharing(3))
    for value in (math.inf, math.nan, 1e20):
        with pytest.raises(ValueError, match="grid"):
            round_to_grid(np.array([0.0, value]), 20)
