"""A cap on the size of a draw costs what the accounting says: never less than the mechanism itself.

Independent of the accounting: all draws of a few owners are enumerated with their cuts, which gives the exact
law of a step as a mixture of normals, with one owner and without; its hockey-stick divergences are sums over
a fine grid. The others' clipped gradients are drawn at random, mostly against the owner's: the worst case.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from lexveil.privacy.dp import accounting, renyi
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.dp.renyi import RDP_ORDERS
from lexveil.privacy.dp.sampled_gaussian import Truncation
from lexveil.privacy.dp.sampling import poisson_sample

Floats = NDArray[np.float64]
GRID = 1e-5  # what the sums over the grid are off by at most


def sums(gradients: list[float], rate: float, most: int) -> dict[float, float]:
    """The probability of each sum of a draw's gradients, where at most so many of the drawn are kept."""
    law: dict[float, float] = {}
    for drawn in itertools.product([False, True], repeat=len(gradients)):
        there = [gradient for gradient, inside in zip(gradients, drawn, strict=True) if inside]
        kept = list(itertools.combinations(there, min(len(there), most)))
        chance = rate ** len(there) * (1 - rate) ** (len(gradients) - len(there)) / len(kept)
        for batch in kept:
            law[sum(batch)] = law.get(sum(batch), 0.0) + chance
    return law


def densities(others: list[float], own: float, rate: float, most: int, noise: float, grid: Floats) -> Floats:
    """The densities of a step with the owner and without. Shape: (2, points)."""
    laws = (sums([*others, own], rate, most), sums(others, rate, most))
    terms = [[chance * norm.pdf(grid, mean, noise) for mean, chance in law.items()] for law in laws]
    return np.array([np.sum(one, axis=0) for one in terms])


def exact_epsilon(upper: Floats, lower: Floats, cell: float, delta: float) -> float:
    """The smallest epsilon of the worse direction: of adding and of removing the owner."""

    def exceeds(epsilon: float) -> bool:
        ways = ((upper, lower), (lower, upper))
        return max(float(np.maximum(p - math.exp(epsilon) * q, 0).sum()) * cell for p, q in ways) > delta

    low, high = 0.0, 60.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if exceeds(middle) else (low, middle)
    return low


def draw_case(dice: np.random.Generator) -> tuple[list[float], float, int, float]:
    count = int(dice.integers(1, 6))
    others = dice.choice([-1.0, 0.0, 1.0], p=[0.1, 0.1, 0.8], size=count).tolist()
    rate = float(dice.choice([0.1, 0.3, 0.5, 0.8, 1.0]))
    return others, rate, int(dice.integers(1, count + 1)), float(dice.choice([0.7, 1.0, 2.0]))


@pytest.mark.parametrize("seed", range(3))
def test_no_step_costs_more_than_is_charged_for_it(seed: int) -> None:
    dice = np.random.default_rng(seed)
    grid = np.linspace(-14, 14, 6401)
    closest = math.inf
    for _ in range(4):
        others, rate, most, noise = draw_case(dice)
        delta = float(dice.choice([1e-2, 1e-3, 1e-5]))
        own = float(dice.choice([-1.0, 1.0], p=[0.8, 0.2]))
        upper, lower = densities(others, own, rate, most, noise, grid)
        exact = exact_epsilon(upper, lower, float(grid[1] - grid[0]), delta)
        for owners in (len(others), len(others) + 1):  # whose neighbor has one more, or one less
            cut = Truncation(most, owners)
            charged = accounting.epsilon(noise, rate, 1, delta, truncation=cut)
            assert exact <= charged * (1 + GRID)
            assert charged <= renyi.rdp_epsilon(noise, rate, 1, delta, truncation=cut) * 1.01
            closest = min(closest, charged / exact if exact else math.inf)
    assert closest < 1.5  # the cases come near the bound


def test_the_bound_is_reached() -> None:
    """All others against the owner, all drawn: the cut replaces one by the owner's opposite."""
    grid = np.linspace(-16, 16, 6401)
    upper, lower = densities([1.0] * 4, -1.0, 1.0, 2, 1.0, grid)
    exact = exact_epsilon(upper, lower, float(grid[1] - grid[0]), 1e-4)
    charged = accounting.epsilon(1.0, 1.0, 1, 1e-4, truncation=Truncation(2, 5))
    assert exact <= charged <= 1.01 * exact


@pytest.mark.parametrize("seed", range(3))
def test_no_two_steps_cost_more_than_is_charged_for_them(seed: int) -> None:
    """The second step has other gradients: what an adversary makes of the first."""
    dice = np.random.default_rng(seed)
    grid = np.linspace(-14, 14, 561)
    others, rate, most, noise = draw_case(dice)
    steps = [
        densities(dice.choice([-1.0, 1.0], p=[share, 1 - share], size=len(others)).tolist(), -1.0, rate, most,
                  noise, grid)
        for share in (0.0, 0.3)
    ]  # fmt: skip
    upper, lower = (np.outer(steps[0][side], steps[1][side]) for side in (0, 1))
    exact = exact_epsilon(upper, lower, float(grid[1] - grid[0]) ** 2, 1e-3)
    for owners in (len(others), len(others) + 1):
        assert exact <= accounting.epsilon(noise, rate, 2, 1e-3, truncation=Truncation(most, owners))


@pytest.mark.parametrize("seed", range(3))
def test_renyi_divergences_of_a_step_bound_the_mechanisms_own(seed: int) -> None:
    dice = np.random.default_rng(seed)
    grid = np.linspace(-30, 30, 4801)
    others, rate, most, noise = draw_case(dice)
    upper, lower = densities([1.0] * len(others), -1.0, rate, most, max(noise, 1.0), grid)
    for order in [order for order in RDP_ORDERS if order <= 6]:
        for p, q in ((upper, lower), (lower, upper)):
            seen = np.where(p > 0, p * (p / np.maximum(q, 1e-300)) ** (order - 1), 0.0)
            own = math.log(float(seen.sum()) * float(grid[1] - grid[0])) / (order - 1)
            for owners in (len(others), len(others) + 1):
                cut = Truncation(most, owners)
                assert own <= renyi.rdp(max(noise, 1.0), rate, 1, order, truncation=cut) * (1 + 1e-9)


def test_the_enumeration_is_what_the_sampler_draws() -> None:
    random = SecureRandom(bytes(32))
    gradients = [1.0, 2.0, 4.0, 8.0]  # sums tell the batches apart
    expected = sums(gradients, 0.6, 2)
    found: dict[float, int] = {}
    for step in range(8_000):
        total = sum(gradients[owner] for owner in poisson_sample(4, 0.6, random, step, 2))
        found[total] = found.get(total, 0) + 1
    assert set(found) == set(expected)
    for total, chance in expected.items():
        assert abs(found[total] / 8_000 - chance) < 5 * math.sqrt(chance / 8_000)
