"""Accounting against values that follow from formulas, not from another accountant."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from lexveil.privacy.dp import accounting, renyi, sampled_gaussian
from lexveil.privacy.dp.renyi import RDP_ORDERS
from lexveil.privacy.dp.sampled_gaussian import Truncation

DELTA = 1e-5


def gaussian_delta(epsilon: float, mu: float) -> float:
    """Balle & Wang 2018, theorem 8: the exact delta of a Gaussian mechanism of sensitivity / noise mu."""
    shift = epsilon / mu
    return float(norm.cdf(mu / 2 - shift) - math.exp(epsilon) * norm.cdf(-mu / 2 - shift))


def root(function: Callable[[float], float], high: float) -> float:
    """The zero of a function between 0 and a bound."""
    value = brentq(function, 0, high, xtol=1e-12)
    assert isinstance(value, float)
    return value


def gaussian_epsilon(mu: float, delta: float) -> float:
    return root(lambda epsilon: gaussian_delta(epsilon, mu) - delta, 200)


def sampled_delta(epsilon: float, noise: float, rate: float) -> float:
    """The exact delta of one Poisson-sampled Gaussian: the larger hockey-stick divergence of two ways.

    With the owner: (1 - q) N(0, s) + q N(1, s); without: N(0, s). The likelihood ratio grows with x, so that
    both divergences are differences of tail probabilities beyond one point.
    """

    def point(ratio: float) -> float:
        return noise**2 * math.log((ratio - 1 + rate) / rate) + 0.5

    def above(x: float) -> tuple[float, float]:
        without = float(norm.sf(x / noise))
        return (1 - rate) * without + rate * float(norm.sf((x - 1) / noise)), without

    present, absent = above(point(math.exp(epsilon)))
    removing = present - math.exp(epsilon) * absent
    if math.exp(-epsilon) <= 1 - rate:  # the ratio never falls so low
        return float(removing)
    present, absent = above(point(math.exp(-epsilon)))
    adding = (1 - absent) - math.exp(epsilon) * (1 - present)
    return float(max(removing, adding))


@pytest.mark.parametrize("mu", [0.05, 0.3, 1.0, 2.5, 6.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6])
def test_without_sampling_it_is_the_gaussian_mechanisms_closed_form(mu: float, delta: float) -> None:
    exact = gaussian_epsilon(mu, delta)
    assert exact <= accounting.epsilon(1 / mu, 1.0, 1, delta) <= 1.01 * exact


@pytest.mark.parametrize(("steps", "noise"), [(4, 2.0), (100, 10.0), (2500, 50.0)])
def test_steps_without_sampling_are_one_step_of_less_noise(steps: int, noise: float) -> None:
    exact = gaussian_epsilon(math.sqrt(steps) / noise, DELTA)
    assert exact <= accounting.epsilon(noise, 1.0, steps, DELTA) <= 1.01 * exact


@pytest.mark.parametrize(
    ("noise", "rate", "delta"),
    [(1.0, 0.01, 1e-5), (0.7, 0.2, 1e-4), (2.0, 0.5, 1e-6), (0.5, 0.9, 1e-5), (1.5, 0.05, 1e-8)],
)
def test_one_sampled_step_is_its_hockey_stick_divergence(noise: float, rate: float, delta: float) -> None:
    exact = root(lambda epsilon: sampled_delta(epsilon, noise, rate) - delta, 50)
    assert exact * (1 - 1e-9) <= accounting.epsilon(noise, rate, 1, delta) <= 1.01 * exact


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_sampling_amplifies_as_subsampling_of_any_mechanism_does(rate: float) -> None:
    """Balle, Barthe & Gaboardi 2018, theorem 8: epsilon' = log(1 + q (e^epsilon - 1)), delta' = q delta."""
    whole = gaussian_epsilon(1.0, 1e-4)
    amplified = math.log1p(rate * math.expm1(whole))
    assert accounting.epsilon(1.0, rate, 1, rate * 1e-4) <= 1.01 * amplified


@pytest.mark.parametrize("order", [2, 3, 8, 20])
@pytest.mark.parametrize(("noise", "rate"), [(1.0, 0.01), (0.8, 0.3), (4.0, 0.5)])
def test_renyi_divergence_of_whole_orders_is_a_binomial_sum(order: int, noise: float, rate: float) -> None:
    """Mironov, Talwar & Zhang 2019, section 3.3."""
    total = math.fsum(
        math.comb(order, k)
        * (1 - rate) ** (order - k)
        * rate**k
        * math.exp((k * k - k) / (2 * noise * noise))
        for k in range(order + 1)
    )
    expected = math.log(total) / (order - 1)
    assert renyi.rdp(noise, rate, 1, float(order)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("order", RDP_ORDERS)
def test_renyi_divergence_without_sampling_is_that_of_two_gaussians(order: float) -> None:
    assert renyi.rdp(3.0, 1.0, 5, order) == pytest.approx(5 * order / 18)


@given(order=st.floats(2, 200), total=st.floats(1e-6, 50), delta=st.floats(1e-10, 0.1))
def test_the_conversion_of_renyi_divergence_is_its_formula(order: float, total: float, delta: float) -> None:
    """Canonne, Kamath & Steinke 2020, proposition 12."""
    expected = total + math.log(1 - 1 / order) - (math.log(delta) + math.log(order)) / (order - 1)
    assert renyi.rdp_to_epsilon(total, order, delta) == pytest.approx(max(0.0, expected), abs=1e-12)


def test_the_conversion_falls_with_delta_and_rises_with_the_divergence() -> None:
    values = [renyi.rdp_to_epsilon(1.0, 8.0, delta) for delta in (1e-9, 1e-6, 1e-3)]
    assert values == sorted(values, reverse=True)
    values = [renyi.rdp_to_epsilon(total, 8.0, 1e-6) for total in (0.1, 1.0, 10.0)]
    assert values == sorted(values)
    assert renyi.rdp_to_epsilon(1e-12, 64.0, 0.9) == 0


@pytest.mark.slow
@pytest.mark.parametrize("bound", [accounting.epsilon, renyi.rdp_epsilon])
def test_more_of_anything_that_reveals_costs_more(bound: Callable[..., float]) -> None:
    by_noise = [bound(noise, 0.1, 50, DELTA) for noise in (0.8, 1.2, 2.0, 5.0)]
    assert by_noise == sorted(by_noise, reverse=True)
    by_rate = [bound(1.2, rate, 50, DELTA) for rate in (0.01, 0.1, 0.5, 1.0)]
    assert by_rate == sorted(by_rate)
    by_steps = [bound(1.2, 0.1, steps, DELTA) for steps in (1, 10, 100, 1000)]
    assert by_steps == sorted(by_steps)
    by_delta = [bound(1.2, 0.1, 50, delta) for delta in (1e-9, 1e-6, 1e-3)]
    assert by_delta == sorted(by_delta, reverse=True)


@settings(max_examples=5, derandomize=True)
@given(noise=st.floats(0.8, 10), rate=st.floats(0.01, 0.5), steps=st.integers(1, 300))
def test_renyi_dp_never_claims_less_than_privacy_loss_distributions(
    noise: float, rate: float, steps: int
) -> None:
    tight = accounting.epsilon(noise, rate, steps, DELTA)
    assert renyi.rdp_epsilon(noise, rate, steps, DELTA) >= tight * (1 - accounting.ACCURACY)


def test_less_noise_than_calibrated_misses_the_target() -> None:
    for target in (0.5, 2.0):
        noise = accounting.noise_multiplier(target, 0.1, 60, DELTA)
        assert accounting.epsilon(noise * 0.99, 0.1, 60, DELTA) > target


@pytest.mark.slow
def test_calibrated_noise_falls_with_the_target_and_rises_with_the_steps() -> None:
    noises = [accounting.noise_multiplier(target, 0.1, 50, DELTA) for target in (0.5, 1.0, 4.0)]
    assert noises == sorted(noises, reverse=True)
    noises = [accounting.noise_multiplier(1.0, 0.1, steps, DELTA) for steps in (10, 100, 400)]
    assert noises == sorted(noises)


@pytest.mark.slow
def test_a_draw_that_is_hardly_ever_cut_costs_what_an_uncut_one_costs() -> None:
    free = accounting.epsilon(2.0, 0.1, 20, DELTA)
    # 100 owners expected of 1,000, at most 200: eleven standard deviations.
    assert accounting.epsilon(2.0, 0.1, 20, DELTA, truncation=Truncation(200, 1000)) == pytest.approx(free)
    assert accounting.epsilon(2.0, 0.1, 20, DELTA, truncation=Truncation(80, 1000)) > 1.5 * free


def test_empty_caches_change_no_result() -> None:
    numbers = (1.1, 0.07, 30, DELTA)
    before = accounting.epsilon(*numbers), renyi.rdp_epsilon(*numbers)
    accounting.clear_caches()
    assert (accounting.epsilon(*numbers), renyi.rdp_epsilon(*numbers)) == before


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_epsilon_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        sampled_gaussian.check_epsilon(value)
    with pytest.raises(ValueError, match="epsilon"):
        accounting.noise_multiplier(value, 0.1, 10, DELTA)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_an_impossible_delta_is_refused(value: float) -> None:
    for use in (
        sampled_gaussian.check_delta,
        lambda delta: renyi.rdp_to_epsilon(1.0, 2.0, delta),
        lambda delta: renyi.rdp_epsilon(1.0, 0.1, 10, delta),
        lambda delta: accounting.noise_multiplier(1.0, 0.1, 10, delta),
    ):
        with pytest.raises(ValueError, match="delta"):
            use(value)


def test_the_least_possible_numbers_are_accepted() -> None:
    sampled_gaussian.check_run(1e-300, 1e-300, 1)
    sampled_gaussian.check_run(1.0, 1.0, 1)
    sampled_gaussian.check_delta(1e-300)
    sampled_gaussian.check_epsilon(1e-300)
