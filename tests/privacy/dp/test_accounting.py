from __future__ import annotations

import math

import pytest

from privacy.dp import accounting


@pytest.mark.parametrize(
    ("noise", "rate", "steps", "delta", "pld", "rdp"),
    [
        # Measured against PLD at discretisation 1e-3 and Renyi DP before this code was written.
        (1.0, 0.01, 10_000, 1e-5, 6.19, 6.71),
        (0.7, 0.001, 10_000, 1e-6, 1.64, 2.47),
        # Without sampling the Gaussian mechanism has a closed form (Balle & Wang 2018).
        (10.0, 1.0, 100, 1e-5, 4.3772, 4.7285),
    ],
)
def test_epsilon_agrees_with_published_figures(noise, rate, steps, delta, pld, rdp):
    assert accounting.epsilon(noise, rate, steps, delta) == pytest.approx(pld, rel=5e-3)
    assert accounting.rdp_epsilon(noise, rate, steps, delta) == pytest.approx(rdp, rel=5e-3)


@pytest.mark.parametrize(
    ("noise", "rate", "steps", "delta"),
    [(2.3, 0.2, 100, 1e-5), (40.0, 0.2, 100, 1e-5), (0.5, 0.01, 1, 1e-5), (4.0, 0.01, 100_000, 1e-5)],
)
def test_epsilon_is_never_below_the_finest_and_within_one_percent(noise, rate, steps, delta):
    from dp_accounting import NeighboringRelation, pld

    accountant = pld.PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=1e-4)
    finest = accountant.compose(accounting.event(noise, rate, steps)).get_epsilon(delta)
    assert finest <= accounting.epsilon(noise, rate, steps, delta) <= 1.01 * finest


def test_epsilon_agrees_with_the_prv_accountant():
    ours = accounting.epsilon(1.5, 0.2, 100, 1e-5)
    assert accounting.cross_check(1.5, 0.2, 100, 1e-5) == pytest.approx(ours, rel=0.01)


@pytest.mark.parametrize("target", [0.1, 1.0, 3.0, 8.0])
def test_noise_multiplier_reaches_the_target_from_below(target):
    noise = accounting.noise_multiplier(target, 0.2, 100, 1e-5)
    assert 0.998 * target <= accounting.epsilon(noise, 0.2, 100, 1e-5) <= target


def test_rdp_adds_up_by_order():
    one = accounting.rdp(1.2, 0.1, 1, 4.0)
    assert accounting.rdp(1.2, 0.1, 70, 4.0) == pytest.approx(70 * one, rel=1e-12)
    # Unsampled Gaussian: alpha / (2 sigma^2).
    assert accounting.rdp(2.0, 1.0, 3, 5.0) == pytest.approx(3 * 5 / 8)
    assert accounting.rdp_to_epsilon(0.0, 4.0, 1e-5) == 0


@pytest.mark.parametrize(
    "arguments",
    [(0.0, 0.1, 10, 1e-5), (math.inf, 0.1, 10, 1e-5), (1.0, 0.0, 10, 1e-5), (1.0, 1.1, 10, 1e-5),
     (1.0, 0.1, 0, 1e-5), (1.0, 0.1, 1.5, 1e-5), (1.0, 0.1, 10, 0.0), (1.0, 0.1, 10, 1.0),
     (math.nan, 0.1, 10, 1e-5)],
)  # fmt: skip
def test_impossible_arguments_are_refused(arguments):
    for function in (accounting.epsilon, accounting.noise_multiplier, accounting.cross_check):
        with pytest.raises(ValueError, match="found"):
            function(*arguments)
