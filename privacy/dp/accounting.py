"""Privacy accounting: the epsilon of DP-SGD with Poisson-sampled owners, and the noise for a given epsilon.

Privacy loss distributions (PLD) are authoritative. Renyi DP serves the ledger's filter, which must stay sound
when runs are chosen after seeing the results of earlier ones. The tests compare both with dp-accounting and
with Opacus' PRV accountant. The central limit approximation of Gaussian DP is not offered, because it is not
an upper bound: it gives 1.10 where the true epsilon is 1.64 (q = .001, sigma = .7, 10,000 steps,
delta = 1e-6).

The privacy unit is the owner. The neighboring relation is adding or removing one owner with all of its items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dp_accounting import DpEvent
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

# The series sums terms near 1: a result below this, times the order, is rounding, and may be negative.
_RDP_ROUNDING = 1e-13

# From so many runs on, vectors are faster; so many are computed at once, to limit memory.
_MANY, _CHUNK = 32, 1024

# Probabilities of a cut below it are rounded up to it: a float takes the smallest for none, and others make
# dp-accounting's sums overflow.
_LEAST_SHARE = 1e-100
_BINOMIAL_ROUNDING = 1e-9
# The delta by whose epsilon a profile's interval is chosen.
_PROFILE_DELTA = 1e-4

# Fixed so that totals in the ledger add up order by order. Fractional orders below 2 seldom converge.
RDP_ORDERS: tuple[float, ...] = (
    *(2 + i / 4 for i in range(25)),
    *(float(a) for a in (9, 10, 11, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 256, 512)),
)


@dataclass(frozen=True, slots=True)
class Truncation:
    """A cap on the size of a Poisson draw.

    Of the drawn owners at most `max_batch` are kept, chosen uniformly.

    Attributes:
        max_batch: Largest number of owners in one step.
        n_owners: Number of owners that are sampled from. It is public, and it decides how often a draw is
            cut.

    Raises:
        ValueError: One of the numbers is below 1 or not a whole number.
    """

    max_batch: int
    n_owners: int

    def __post_init__(self) -> None:
        _check_count("max_batch", self.max_batch)
        _check_count("n_owners", self.n_owners)


def _check_count(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 1 and value == int(value)):
        raise ValueError(f"{name} must be a whole number of at least 1, found {value}")


def check_run(noise_multiplier: float, sample_rate: float, steps: int) -> None:
    """Check the parameters of a run.

    Raises:
        ValueError: Unless noise_multiplier > 0, 0 < sample_rate <= 1 and steps >= 1.
    """
    if not (math.isfinite(noise_multiplier) and noise_multiplier > 0):
        raise ValueError(f"noise_multiplier must be a finite number above 0, found {noise_multiplier}")
    if not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate must be in (0, 1], found {sample_rate}")
    _check_count("steps", steps)


def check_delta(delta: float) -> None:
    """Check a delta.

    Raises:
        ValueError: Unless `delta` is between 0 and 1, both excluded.
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), found {delta}")


def check_epsilon(epsilon: float) -> None:
    """Check an epsilon.

    Raises:
        ValueError: Unless `epsilon` is finite and above 0.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon must be a finite number above 0, found {epsilon}")


def _check_order(order: float) -> None:
    if not (math.isfinite(order) and order > 1):
        raise ValueError(f"order must be a finite number above 1, found {order}")


def dp_event(noise_multiplier: float, sample_rate: float, steps: int) -> DpEvent:
    """Return the run as an event of dp-accounting: a self-composed, Poisson-sampled Gaussian.

    Raises:
        ValueError: Unless noise_multiplier > 0, 0 < sample_rate <= 1 and steps >= 1.
    """
    import dp_accounting

    check_run(noise_multiplier, sample_rate, steps)
    mechanism = dp_accounting.GaussianDpEvent(noise_multiplier)
    if sample_rate < 1:
        mechanism = dp_accounting.PoissonSampledDpEvent(sample_rate, mechanism)
    return dp_accounting.SelfComposedDpEvent(mechanism, int(steps))


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
        loose = rdp_epsilon(sigma, self.sample_rate, self.steps, self.delta, truncation=self.truncation)
        loose = min(loose, _HOPELESS)
        few, many = _FIRST_INTERVALS
        level = self.finest_level(sigma)
        while _interval(level + 1) * few <= loose and (level < 3 or _interval(level) * many < loose):
            level += 1
        return level

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
    for cut in _list_cuts(run.sample_rate, run.truncation):
        step = whole
        if cut.share:
            replaced = [_sampled_gaussian(sigma / 2, cut.rate, way, interval) for way in _WAYS]
            step = [two.compute_mixture(one, cut.share) for one, two in zip(whole, replaced, strict=True)]
        composed.append(pld.PrivacyLossDistribution(*step).self_compose(run.steps))
    return tuple(composed)


_WAYS = ("REMOVE", "ADD")


@dataclass(frozen=True, slots=True)
class _Cut:
    """How a cap acts on one pair of neighbors: see the proof in `rdp`.

    Attributes:
        share: Probability that the owners other than the one in question fill the batch.
        rate: Probability, given that, with which this owner takes the place of another.
    """

    share: float
    rate: float


@lru_cache(maxsize=256)
def _list_cuts(sample_rate: float, truncation: Truncation | None) -> tuple[_Cut, ...]:
    """Return the cuts of both neighbors of a data set: without one of its owners, and with one more."""
    if truncation is None:
        return (_Cut(0.0, 0.0),)
    from scipy.stats import binom

    most = truncation.max_batch
    cuts: list[_Cut] = []
    for others in (truncation.n_owners - 1, truncation.n_owners):
        if others < most:
            cuts.append(_Cut(0.0, 0.0))
            continue
        full = float(binom.sf(most - 1, others, sample_rate))
        rate = sample_rate * most / (most + 1)
        if full > _LEAST_SHARE:
            # The owner is in a cut batch: P(more than B of all drawn), times its chance to be kept.
            present = float(binom.sf(most, others + 1, sample_rate)) * most / (others + 1)
            rate = min(rate, present / full * (1 + _BINOMIAL_ROUNDING))
        cuts.append(_Cut(max(full, _LEAST_SHARE), rate))
    return tuple(cuts)


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
        draw is cut, one of sensitivity 2: the proof is in `rdp`, and holds for privacy loss distributions
        because hockey-stick divergences are jointly convex too. The larger epsilon of both neighbors, one
        owner more and one less, is returned.
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


def rdp(
    noise_multiplier: float,
    sample_rate: float,
    steps: int,
    order: float,
    *,
    truncation: Truncation | None = None,
) -> float:
    """Return the Renyi divergence of order `order` that the run spends.

    Source: Mironov, Talwar & Zhang 2019, "Renyi Differential Privacy of the Sampled Gaussian Mechanism",
    section 3.3.

    Args:
        noise_multiplier: Standard deviation of the noise in units of the clipping norm.
        sample_rate: Probability with which each owner takes part in a step.
        steps: Number of steps.
        order: Renyi order, above 1.
        truncation: Cap on the size of a draw, if there is one.

    Returns:
        An upper bound; infinity where the series does not converge, which a filter reads as "never fits".

    Raises:
        ValueError: Unless noise_multiplier > 0, 0 < sample_rate <= 1, steps >= 1 and order > 1.

    Formal guarantee:
        With `truncation`, let R be the draw of all owners but the one in question, which has the same law in
        both neighbors, and B = max_batch.

        Where |R| < B nothing is cut with or without the owner: a Poisson-sampled Gaussian of sensitivity 1.

        Where |R| >= B, let S be a uniform choice of B owners of R, and k one of S. By symmetry the law of
        (S, k) does not depend on |R|. Without the owner the batch is S. With it, the batch is S, or, with
        probability B / (|R| + 1) if the owner is drawn, S with the owner in the place of k. Given (S, k) that
        is a Poisson-sampled Gaussian of sensitivity 2, whose rate is the mean of q B / (|R| + 1) over
        |R| >= B, so at most q B / (B + 1).

        exp((order - 1) divergence) is jointly convex (van Erven & Harremoes 2014, theorem 13 and section
        II.A), so its mean over these cases, the second with probability P(|R| >= B), bounds the step's.
        Both neighbors count, with n_owners - 1 and with n_owners others, whichever costs more.
    """
    check_run(noise_multiplier, sample_rate, steps)
    _check_order(order)
    return _step_rdp(noise_multiplier, sample_rate, order, truncation) * steps


def total_rdp(runs: Sequence[tuple[float, float, int, Truncation | None]], order: float) -> float:
    """Return the sum of `rdp` of several runs at one order; at whole orders many are computed at once.

    Args:
        runs: Noise multiplier, sample rate, steps and truncation of each run.
        order: Renyi order, above 1.

    Raises:
        ValueError: As in `rdp`.
    """
    _check_order(order)
    plain = [run for run in runs if run[1] < 1 and run[3] is None] if order == int(order) else []
    if len(plain) < _MANY:
        return sum(rdp(sigma, rate, steps, order, truncation=cut) for sigma, rate, steps, cut in runs)
    total = sum(
        rdp(sigma, rate, steps, order, truncation=cut)
        for sigma, rate, steps, cut in runs
        if rate == 1 or cut is not None
    )
    for start in range(0, len(plain), _CHUNK):
        chunk = plain[start : start + _CHUNK]
        for sigma, rate, steps, _ in chunk:
            check_run(sigma, rate, steps)
        noise, rates, steps = (np.array([run[n] for run in chunk], np.float64) for n in range(3))
        total += float(_step_rdps(noise, rates, int(order)) @ steps)
    return total


def _step_rdps(noise: NDArray[np.float64], rates: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Return the divergence of one step of each run: the binomial sum of the source of `rdp`.

    Args:
        noise: Noise multipliers. Shape: (n,).
        rates: Sample rates below 1. Shape: (n,).
        order: Renyi order.
    """
    from scipy.special import gammaln

    k = np.arange(order + 1.0)[:, None]
    choices = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    terms = choices + k * np.log(rates) + (order - k) * np.log1p(-rates) + k * (k - 1) / (2 * noise**2)
    most = terms.max(0)
    logs = most + np.log(np.exp(terms - most).sum(0))
    return np.maximum(logs / (order - 1), order * _RDP_ROUNDING)


@lru_cache(maxsize=4096)
def _step_rdp(
    noise_multiplier: float, sample_rate: float, order: float, truncation: Truncation | None
) -> float:
    from dp_accounting import NeighboringRelation
    from dp_accounting.rdp import RdpAccountant

    if truncation is not None:
        return max(
            _cut_rdp(noise_multiplier, sample_rate, order, cut) for cut in _list_cuts(sample_rate, truncation)
        )
    accountant = RdpAccountant([order], NeighboringRelation.ADD_OR_REMOVE_ONE)
    accountant.compose(dp_event(noise_multiplier, sample_rate, 1))
    return max(float(accountant.rdp[0]), order * _RDP_ROUNDING)


def _cut_rdp(noise_multiplier: float, sample_rate: float, order: float, cut: _Cut) -> float:
    """Return the divergence of a step against one neighbor, by the proof in `rdp`."""
    whole = _step_rdp(noise_multiplier, sample_rate, order, None)
    if not cut.share:
        return whole
    # log((1 - p) e^a + p e^b), written so that neither overflows nor loses a small difference.
    a = (order - 1) * whole
    b = (order - 1) * _step_rdp(noise_multiplier / 2, cut.rate, order, None)
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.inf
    gap = b - a
    if gap < 1:
        return (a + math.log1p(cut.share * math.expm1(gap))) / (order - 1)
    return (a + min(gap, _log_add(0.0, math.log(cut.share) + gap))) / (order - 1)


def _log_add(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))


def rdp_to_epsilon(total: float, order: float, delta: float) -> float:
    """Return the epsilon at `delta` of a total Renyi divergence.

    Source: Canonne, Kamath & Steinke 2020, "The Discrete Gaussian for Differential Privacy", proposition 12.

    Raises:
        ValueError: Unless total >= 0, order > 1 and 0 < delta < 1.

    Formal guarantee:
        A mechanism whose Renyi divergence of this order is at most `total` is (epsilon, delta)-DP.
    """
    check_delta(delta)
    _check_order(order)
    if not total >= 0:
        raise ValueError(f"total must be at least 0, found {total}")
    if total == 0:
        return 0.0
    return max(0.0, total + math.log1p(-1 / order) - math.log(delta * order) / (order - 1))


def rdp_epsilon(
    noise_multiplier: float,
    sample_rate: float,
    steps: int,
    delta: float,
    *,
    truncation: Truncation | None = None,
) -> float:
    """Return the epsilon of the run by Renyi DP, the smallest over RDP_ORDERS.

    Raises:
        ValueError: As in `epsilon`.

    Formal guarantee:
        An upper bound like `epsilon`, looser, and additive in the terms of the ledger. The order may be
        chosen afterwards because the run's parameters are fixed beforehand.
    """

    def at(order: float) -> float:
        spent = rdp(noise_multiplier, sample_rate, steps, order, truncation=truncation)
        return rdp_to_epsilon(spent, order, delta)

    return min(at(order) for order in RDP_ORDERS)


def clear_caches() -> None:
    """Empty the caches, so that a benchmark can time these functions."""
    for cached in (_converge, _pld_epsilon, _step_rdp, _list_cuts):
        cached.cache_clear()
