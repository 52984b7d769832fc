"""Privacy accounting: the epsilon of DP-SGD with Poisson-sampled owners, and the noise for a given epsilon.

Privacy loss distributions (PLD) are authoritative for one run; the ledger's filter over runs uses `renyi`.
The tests compare both with dp-accounting and with Opacus' PRV accountant. The central limit approximation of
Gaussian DP is not offered, because it is not an upper bound: it gives 1.10 where the true epsilon is 1.64
(q = .001, sigma = .7, 10,000 steps, delta = 1e-6).

The privacy unit is the owner. The neighboring relation is adding or removing one owner with all of its items.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from lexveil.privacy.dp import renyi
from lexveil.privacy.dp.sampled_gaussian import (
    Truncation,
    check_delta,
    check_epsilon,
    check_run,
    list_cuts,
)

if TYPE_CHECKING:
    from dp_accounting.pld.pld_pmf import PLDPmf
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution
    from numpy.typing import NDArray

# epsilon() is at most this share too large; another version of it may differ by as much.
ACCURACY = 0.01
# The interval of level n is FINEST * 4**n: each a multiple of the next finer one, so that connect-the-dots
# estimates only fall as they are refined.
FINEST = 1e-4
# Number of intervals per epsilon at the first try: more cost time, fewer are refined anyway.
_FIRST_INTERVALS = (100, 6400)
# The discretization error falls with the square of the interval: a change of 0.5 % between intervals
# four apart leaves about 0.03 %, and 0.17 % if it only fell with the interval.
_CONVERGED = 0.005
# noise_multiplier() stops as soon as epsilon is between this share of the target and the target.
_CALIBRATED = 0.999
# Beyond this many losses an array takes gigabytes; beyond this epsilon values need not be distinguished.
_MOST_POINTS = 4_000_000
_HOPELESS = 1e6
_LARGE = 500.0
# Added so that rounding of differences and convolutions never puts an estimate below a finer one.
_ROUNDING = 1e-5
_MIN_NOISE_MULTIPLIER, _MAX_NOISE_MULTIPLIER = 2.0**-7, 2.0**40
# Largest step of the search, on the logarithm of the noise.
_LONGEST_STRIDE = 4.0
_SEARCHES = 4
# The delta by whose epsilon a profile's interval is chosen.
_PROFILE_DELTA = 1e-4


@dataclass(frozen=True, slots=True)
class _Run:
    """The parameters of a run except its noise."""

    sample_rate: float
    steps: int
    delta: float
    truncation: Truncation | None

    def finest_level(self, sigma: float) -> int:
        """Return the finest level that memory allows: above 0 only where a step has little noise."""
        narrow = sigma / math.sqrt(self.steps) if self.sample_rate == 1 else sigma
        if self.truncation is not None:
            narrow /= 2  # a replacement has sensitivity 2
        losses = 0.5 / narrow**2 + 10 / narrow
        return max(0, math.ceil(math.log(losses / (_MOST_POINTS * FINEST), 4)))

    def first_level(self, sigma: float) -> int:
        """Return the level to start at, by the order of magnitude of the Renyi bound."""
        loose = renyi.rdp_epsilon(sigma, self.sample_rate, self.steps, self.delta, truncation=self.truncation)
        loose = min(loose, _HOPELESS)
        few, many = _FIRST_INTERVALS
        level = self.finest_level(sigma)
        while _interval(level + 1) * few <= loose and (level < 3 or _interval(level) * many < loose):
            level += 1
        return level

    @property
    def is_covered_by_delta(self) -> bool:
        """Whether delta covers the chance that an owner is drawn at all, so that little noise may do."""
        return self.truncation is None and 1 - (1 - self.sample_rate) ** self.steps < self.delta

    def converge(self, sigma: float) -> tuple[float, int]:
        """Return epsilon and the level at which it converged."""
        level, finest = self.first_level(sigma), self.finest_level(sigma)
        value = _pld_epsilon(sigma, self, level)
        while level > finest:
            level -= 1
            finer = _pld_epsilon(sigma, self, level)
            if math.isfinite(value) and value - finer <= _CONVERGED * finer:
                return finer, level
            value = finer
        return value, level


def _interval(level: int) -> float:
    return FINEST * 4.0**level


@lru_cache(maxsize=4096)
def _converge(run: _Run, sigma: float) -> float:
    return run.converge(sigma)[0]


@lru_cache(maxsize=1024)
def _pld_epsilon(sigma: float, run: _Run, level: int) -> float:
    losses = _compose(sigma, run, level)
    return max(float(one.get_epsilon_for_delta(run.delta)) for one in losses) * (1 + _ROUNDING)


def _compose(sigma: float, run: _Run, level: int) -> tuple[PrivacyLossDistribution, ...]:
    """Return the privacy losses of the whole run, for each pair of neighbors to consider."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    interval = _interval(level)
    if run.truncation is None and run.sample_rate == 1:
        gaussian = pld.from_gaussian_mechanism(
            sigma / math.sqrt(run.steps), value_discretization_interval=interval
        )
        return (gaussian,)
    whole = [_sampled_gaussian(sigma, run.sample_rate, way, interval) for way in _WAYS]
    composed: list[PrivacyLossDistribution] = []
    for cut in list_cuts(run.sample_rate, run.truncation):
        step = whole
        if cut.share:
            replaced = [_sampled_gaussian(sigma / 2, cut.rate, way, interval) for way in _WAYS]
            step = [two.compute_mixture(one, cut.share) for one, two in zip(whole, replaced, strict=True)]
        composed.append(pld.PrivacyLossDistribution(*step).self_compose(run.steps))
    return tuple(composed)


_WAYS = ("REMOVE", "ADD")


def _sampled_gaussian(sigma: float, sample_rate: float, adjacency: str, interval: float) -> PLDPmf:
    """Return dp-accounting's distribution of one step, with its loop over the losses vectorized.

    Args:
        sigma: Noise multiplier.
        sample_rate: Sampling probability of an owner.
        adjacency: `REMOVE` or `ADD`.
        interval: Discretization interval of the losses.
    """
    from dp_accounting.pld import pld_pmf
    from dp_accounting.pld.privacy_loss_mechanism import AdjacencyType, GaussianPrivacyLoss

    mechanism = GaussianPrivacyLoss(sigma, sampling_prob=sample_rate, adjacency_type=AdjacencyType[adjacency])
    bounds = mechanism.connect_dots_bounds()
    assert bounds.epsilon_lower is not None
    assert bounds.epsilon_upper is not None
    low, high = math.floor(bounds.epsilon_lower / interval), math.ceil(bounds.epsilon_upper / interval)
    losses = np.arange(low, high + 1) * interval
    # On removal a loss is never below log(1 - q); on addition, never above its negative.
    sign = 1 if adjacency == "REMOVE" else -1
    lowest = math.log1p(-sample_rate) * (1 - 1e-9) if sample_rate < 1 else -math.inf
    inside = sign * losses > lowest
    deltas = np.zeros(losses.size) if sign < 0 else -np.expm1(np.minimum(losses, 0.0))
    # log(1 + (exp(x) - 1) / q), where exp(x) may overflow.
    x = sign * losses[inside]
    unsampled = np.where(
        x < _LARGE, np.log1p(np.expm1(np.minimum(x, _LARGE)) / sample_rate), x - math.log(sample_rate)
    )
    at = -sign * 0.5 - sign * unsampled * sigma**2
    deltas[inside] = mechanism.mu_upper_cdf(at) - np.exp(losses[inside] + mechanism.mu_lower_log_cdf(at))
    pmf = pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(interval, low, high, np.clip(deltas, 0, 1))
    # Composing a short one as a dictionary would first raise its length to the power of the steps.
    return pmf.to_dense_pmf()


def epsilon(
    noise_multiplier: float,
    sample_rate: float,
    steps: int,
    delta: float,
    *,
    truncation: Truncation | None = None,
) -> float:
    """Return the epsilon of `steps` DP-SGD steps at `delta`, under adding or removing one owner.

    Args:
        noise_multiplier: Standard deviation of the noise in units of the clipping norm.
        sample_rate: Probability with which each owner takes part in a step.
        steps: Number of steps.
        delta: Failure probability of (epsilon, delta)-DP.
        truncation: Cap on the size of a draw, if there is one.

    Raises:
        ValueError: Unless noise_multiplier > 0, 0 < sample_rate <= 1, steps >= 1 and 0 < delta < 1.

    Formal guarantee:
        The result is an upper bound of the epsilon of `steps` adaptively composed Poisson-sampled Gaussian
        mechanisms of sensitivity 1 and standard deviation `noise_multiplier`, whose three parameters are
        fixed beforehand: privacy loss distributions (Koskela et al. 2020) rounded pessimistically by
        connect-the-dots (Doroshenko et al. 2022), convolved by FFT. The interval is refined, down to 1e-4,
        until the result changes by less than 0.5 %, so it is never below the value at 1e-4 and within 1 % of
        it.

        With `truncation`, a step is a mixture of a Poisson-sampled Gaussian of sensitivity 1 and, where the
        draw is cut, one of sensitivity 2: the proof is in `renyi.rdp`, and holds for privacy loss
        distributions because hockey-stick divergences are jointly convex too. The larger epsilon of both
        neighbors, one owner more and one less, is returned.
    """
    check_delta(delta)
    check_run(noise_multiplier, sample_rate, steps)
    return _converge(_Run(sample_rate, int(steps), delta, truncation), noise_multiplier)


def privacy_profile(
    noise_multiplier: float, sample_rate: float, steps: int, epsilons: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the delta of the run at each of several epsilons.

    Args:
        noise_multiplier: Standard deviation of the noise in units of the clipping norm.
        sample_rate: Probability with which each owner takes part in a step.
        steps: Number of steps.
        epsilons: Epsilons, ascending. Shape: (n,).

    Returns:
        Deltas. Shape: (n,).

    Raises:
        ValueError: As in `epsilon`.

    Formal guarantee:
        The run is (epsilons[i], deltas[i])-DP for all i: privacy loss distributions as in `epsilon`, at the
        first interval, which is coarser.
    """
    check_run(noise_multiplier, sample_rate, steps)
    run = _Run(sample_rate, int(steps), _PROFILE_DELTA, None)
    (losses,) = _compose(noise_multiplier, run, run.first_level(noise_multiplier))
    return np.clip(np.asarray(losses.get_delta_for_epsilon(epsilons.tolist())), 0, 1)


def noise_multiplier(
    target_epsilon: float,
    sample_rate: float,
    steps: int,
    delta: float,
    *,
    truncation: Truncation | None = None,
) -> float:
    """Return the smallest noise multiplier, to 0.1 % of epsilon, whose `epsilon` is at most `target_epsilon`.

    The result is at least 2**-7, even where sampling alone would suffice (delta at least the sample rate).

    Args:
        target_epsilon: Largest epsilon of the whole run.
        sample_rate: Probability with which each owner takes part in a step.
        steps: Number of steps.
        delta: Failure probability of (epsilon, delta)-DP.
        truncation: Cap on the size of a draw, if there is one.

    Raises:
        ValueError: Unless target_epsilon > 0, 0 < sample_rate <= 1, steps >= 1 and 0 < delta < 1, or if no
            noise multiplier up to 2**40 reaches the target.

    Formal guarantee:
        `epsilon` of the returned noise multiplier, which is an upper bound, is at most `target_epsilon`.
    """
    check_epsilon(target_epsilon)
    check_delta(delta)
    check_run(1.0, sample_rate, steps)
    run = _Run(sample_rate, int(steps), delta, truncation)
    if run.is_covered_by_delta and run.converge(_MIN_NOISE_MULTIPLIER)[0] <= target_epsilon:
        return _MIN_NOISE_MULTIPLIER
    # For a Gaussian mechanism with ratio mu, epsilon is about mu^2 / 2 + mu sqrt(2 log(1 / delta)); for many
    # sampled steps, mu^2 is about q^2 T (exp(1 / sigma^2) - 1). Not a bound: the search only starts here.
    tail = -2 * math.log(delta)
    mu = math.sqrt(tail + 2 * target_epsilon) - math.sqrt(tail)
    sigma = max(1 / math.sqrt(math.log1p((mu / sample_rate) ** 2 / steps)), _MIN_NOISE_MULTIPLIER)
    first, level = run.converge(sigma)
    if not _CALIBRATED * target_epsilon <= first <= target_epsilon:
        # A coarser estimate takes a fraction of the time, and its relative error changes slowly.
        estimate = _pld_epsilon(sigma, run, level + 1)
        share = estimate / first if 0 < first < math.inf else 1.0
        sigma = _search(partial(_estimate, run, level + 1), share * target_epsilon, sigma)
    for _ in range(_SEARCHES):
        value, level = run.converge(sigma)
        if _CALIBRATED * target_epsilon <= value <= target_epsilon:
            return sigma
        if value <= target_epsilon and sigma == _MIN_NOISE_MULTIPLIER:
            return sigma
        # The interval is fixed during a search: where it changes, epsilon jumps slightly.
        sigma = _search(partial(_estimate, run, level), target_epsilon, sigma)
    while run.converge(sigma)[0] > target_epsilon:
        sigma *= 2 - _CALIBRATED
    return sigma


def _estimate(run: _Run, level: int, sigma: float) -> float:
    return _pld_epsilon(sigma, run, max(level, run.finest_level(sigma)))


def _search(estimate: Callable[[float], float], target: float, sigma: float) -> float:
    """Return a noise multiplier whose estimate is within (_CALIBRATED, 1) of `target`.

    Secant steps on logarithms, kept inside a bracket.
    """
    low, high = 0.0, math.inf
    aim = math.log(target * (1 + _CALIBRATED) / 2)
    slope, last = -1.5, None
    while sigma <= _MAX_NOISE_MULTIPLIER:
        value = estimate(sigma)
        if _CALIBRATED * target <= value <= target or (value <= target and sigma == _MIN_NOISE_MULTIPLIER):
            return sigma
        low, high = (sigma, high) if value > target else (low, sigma)
        if high < low * (1 + 1e-9):
            return high  # epsilon jumps across the band
        here = (math.log(sigma), math.log(value) - aim if value > 0 else -math.inf)
        if last is not None and math.isfinite(here[1]) and math.isfinite(last[1]):
            slope = min((here[1] - last[1]) / (here[0] - last[0]), -0.1)
        last = here
        stride = min(max(-here[1] / slope, -_LONGEST_STRIDE), _LONGEST_STRIDE)
        following = sigma * math.exp(stride)
        if not low < following < high:
            following = math.sqrt(low * high) if low > 0 and math.isfinite(high) else sigma
        sigma = max(following, _MIN_NOISE_MULTIPLIER)
    raise ValueError(f"no noise multiplier reaches epsilon {target}")


def clear_caches() -> None:
    """Empty the caches, so that a benchmark can time these functions."""
    renyi.clear_caches()
    for cached in (_converge, _pld_epsilon, list_cuts):
        cached.cache_clear()
