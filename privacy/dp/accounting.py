"""What a training run costs: epsilon of DP-SGD with Poisson-sampled owners, and the noise for an epsilon.

Privacy loss distributions are authoritative; Renyi DP serves the ledger's filter, which must stay sound
when runs are chosen after seeing earlier ones; the PRV accountant cross-checks. Gaussian DP's central
limit approximation is not offered: it is no upper bound (1.10 where the truth is 1.64 at q .001,
sigma .7, 10,000 steps, delta 1e-6).

The unit is the owner, the neighbouring relation is adding or removing one owner with all of its items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dp_accounting import DpEvent

# Each a multiple of the next, so that connect-the-dots estimates only fall along the list.
_INTERVALS = (16e-4, 4e-4, 1e-4)
# The discretisation error falls with the square of the interval: a change of 0.5 % between intervals
# four apart leaves about 0.03 %.
_CONVERGED = 0.005
# noise_multiplier() stops between this share of the target and the target.
_CALIBRATED = 0.999
_MAX_NOISE_MULTIPLIER = 2.0**40

# The series sums terms near 1: below this, times the order, it is rounding, even negative.
_RDP_ROUNDING = 1e-13

# Fixed, so that totals in the ledger add up order by order. Fractional orders below 2 seldom converge.
RDP_ORDERS: tuple[float, ...] = (
    *(2 + i / 4 for i in range(25)),
    *(float(a) for a in (9, 10, 11, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 256, 512)),
)


@dataclass(frozen=True, slots=True)
class Truncation:
    """Of a Poisson draw from `n_owners` owners, at most `max_batch` are kept, chosen uniformly.

    `n_owners` is public: it decides how often a draw is cut. Raises ValueError below 1.
    """

    max_batch: int
    n_owners: int

    def __post_init__(self) -> None:
        for name, value in (("max_batch", self.max_batch), ("n_owners", self.n_owners)):
            if value < 1 or value != int(value):
                raise ValueError(f"{name} must be a whole number of at least 1, found {value}")


def check_run(noise_multiplier: float, sample_rate: float, steps: int) -> None:
    """ValueError unless noise_multiplier > 0, 0 < sample_rate <= 1 and steps >= 1."""
    if not (math.isfinite(noise_multiplier) and noise_multiplier > 0):
        raise ValueError(f"noise_multiplier must be a finite number above 0, found {noise_multiplier}")
    if not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate must lie in (0, 1], found {sample_rate}")
    if steps < 1 or steps != int(steps):
        raise ValueError(f"steps must be a whole number of at least 1, found {steps}")


def check_delta(delta: float) -> None:
    """ValueError unless `delta` lies in (0, 1)."""
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie in (0, 1), found {delta}")


def check_epsilon(epsilon: float) -> None:
    """ValueError unless `epsilon` is finite and above 0."""
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon must be a finite number above 0, found {epsilon}")


def event(
    noise_multiplier: float, sample_rate: float, steps: int, truncation: Truncation | None = None
) -> DpEvent:
    """The run in dp-accounting's terms: a self-composed, (truncated) Poisson-sampled Gaussian."""
    import dp_accounting

    check_run(noise_multiplier, sample_rate, steps)
    mechanism = dp_accounting.GaussianDpEvent(noise_multiplier)
    if truncation is not None:
        # The larger of two neighbours may have one owner more, and is cut the more often.
        mechanism = dp_accounting.TruncatedSubsampledGaussianDpEvent(
            dataset_size=truncation.n_owners + 1,
            sampling_probability=sample_rate,
            truncated_batch_size=truncation.max_batch,
            noise_multiplier=noise_multiplier,
        )
    elif sample_rate < 1:
        mechanism = dp_accounting.PoissonSampledDpEvent(sample_rate, mechanism)
    return dp_accounting.SelfComposedDpEvent(mechanism, int(steps))


def _pld_epsilon(run: DpEvent, delta: float, interval: float) -> float:
    from dp_accounting import NeighboringRelation, pld

    accountant = pld.PLDAccountant(
        NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=interval
    )
    return float(accountant.compose(run).get_epsilon(delta))


def epsilon(
    noise_multiplier: float,
    sample_rate: float,
    steps: int,
    delta: float,
    *,
    truncation: Truncation | None = None,
) -> float:
    """Epsilon of `steps` DP-SGD steps at `delta`, under adding or removing one owner.

    Raises ValueError outside noise_multiplier > 0, 0 < sample_rate <= 1, steps >= 1, 0 < delta < 1.

    Formal guarantee
    ----------------
    An upper bound of the epsilon of `steps` adaptively composed Poisson-sampled Gaussian mechanisms of
    sensitivity 1 and standard deviation `noise_multiplier`, whose three numbers are fixed beforehand:
    privacy loss distributions (Koskela et al. 2020) rounded pessimistically by connect-the-dots
    (Doroshenko et al. 2022), convolved by FFT. The interval is refined, down to 1e-4, until the result
    moves by less than 0.5 %, so it is never below the value at 1e-4 and within 1 % of it.

    A draw cut to `truncation.max_batch` owners replaces one of them where it is cut, so that step counts
    as a mixture of sensitivities 1 and 2 (Ganesh et al. 2025, arXiv 2508.15089, as in dp-accounting).
    """
    check_delta(delta)
    check_run(noise_multiplier, sample_rate, steps)
    return _refined_epsilon(noise_multiplier, sample_rate, steps, delta, truncation)


@lru_cache(maxsize=256)
def _refined_epsilon(
    noise_multiplier: float, sample_rate: float, steps: int, delta: float, truncation: Truncation | None
) -> float:
    run = event(noise_multiplier, sample_rate, steps, truncation)
    value = _pld_epsilon(run, delta, _INTERVALS[0])
    for interval in _INTERVALS[1:]:
        finer = _pld_epsilon(run, delta, interval)
        if value - finer <= _CONVERGED * finer:
            return finer
        value = finer
    return value


def noise_multiplier(
    target_epsilon: float,
    sample_rate: float,
    steps: int,
    delta: float,
    *,
    truncation: Truncation | None = None,
) -> float:
    """The smallest noise multiplier, to 0.1 % of epsilon, whose `epsilon` is at most `target_epsilon`.

    Raises ValueError outside target_epsilon > 0, 0 < sample_rate <= 1, steps >= 1, 0 < delta < 1, and
    when no noise up to 2**40 reaches the target.
    """
    check_epsilon(target_epsilon)
    check_delta(delta)
    check_run(1.0, sample_rate, steps)

    def reached(sigma: float) -> float:
        return epsilon(sigma, sample_rate, steps, delta, truncation=truncation)

    low = high = 1.0
    low_value = high_value = reached(1.0)
    while high_value > target_epsilon:
        low, low_value = high, high_value
        high *= 2
        if high > _MAX_NOISE_MULTIPLIER:
            raise ValueError(f"no noise multiplier reaches epsilon {target_epsilon} at delta {delta}")
        high_value = reached(high)
    while low_value <= target_epsilon:
        high, high_value = low, low_value
        low /= 2
        low_value = reached(low)
    # Epsilon is close to a power of the noise within an octave: interpolate on logarithms, aiming just
    # below the target, and bisect where that stalls.
    aim = math.log(target_epsilon * (1 + _CALIBRATED) / 2)
    for attempt in range(60):
        if high_value >= _CALIBRATED * target_epsilon:
            break
        share = 0.5
        if attempt % 3 < 2 and high_value > 0:
            share = (math.log(low_value) - aim) / (math.log(low_value) - math.log(high_value))
        middle = low * (high / low) ** min(max(share, 0.01), 0.99)
        value = reached(middle)
        if value > target_epsilon:
            low, low_value = middle, value
        else:
            high, high_value = middle, value
    return high


def rdp(
    noise_multiplier: float,
    sample_rate: float,
    steps: int,
    order: float,
    *,
    truncation: Truncation | None = None,
) -> float:
    """Renyi divergence of order `order` that the run spends (Mironov, Talwar & Zhang 2019, section 3.3).

    Infinite where the series does not converge, which a filter reads as "never fits".

    Formal guarantee
    ----------------
    With `truncation`, let R be the draw of all owners but the one in question, which has the same law in
    both neighbours. Where |R| < max_batch the step is a Poisson-sampled Gaussian. Where |R| >= max_batch,
    the batch is uniform among those of max_batch owners whatever |R|, and with the owner present it is in
    the batch, in the place of another, with probability at most q B / (B + 1): a Poisson-sampled Gaussian
    of sensitivity 2. exp((order - 1) divergence) is jointly convex (van Erven & Harremoes 2014, theorem
    13 and section II.A), so its mean over R, with P(Binomial(n_owners, q) >= B), bounds the step's.
    """
    return _rdp_of_a_step(noise_multiplier, sample_rate, order, truncation) * steps


@lru_cache(maxsize=4096)
def _rdp_of_a_step(
    noise_multiplier: float, sample_rate: float, order: float, truncation: Truncation | None
) -> float:
    from dp_accounting import NeighboringRelation
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant([order], NeighboringRelation.ADD_OR_REMOVE_ONE)
    accountant.compose(event(noise_multiplier, sample_rate, 1))
    whole = max(float(accountant.rdp[0]), order * _RDP_ROUNDING)
    if truncation is None:
        return whole
    from scipy.stats import binom

    most = truncation.max_batch
    cut = float(binom.logsf(most - 1, truncation.n_owners, sample_rate))
    if cut == -math.inf:
        return whole
    rate = sample_rate * most / (most + 1)
    replaced = max(whole, _rdp_of_a_step(noise_multiplier / 2, rate, order, None))
    # log((1 - p) e^a + p e^b) with b >= a, written so that neither overflows nor falls below a.
    a, b = (order - 1) * whole, (order - 1) * replaced
    if not math.isfinite(b):
        return math.inf
    gap = b - a
    mean = math.log1p(math.exp(cut) * math.expm1(gap)) if gap < 1 else _log_add(0.0, cut + gap)
    return (a + min(mean, gap)) / (order - 1)


def _log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))


def rdp_to_epsilon(total: float, order: float, delta: float) -> float:
    """Epsilon at `delta` of `total` Renyi divergence (Canonne, Kamath & Steinke 2020, proposition 12)."""
    check_delta(delta)
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
    """Epsilon of the run by Renyi DP over RDP_ORDERS: looser than `epsilon`, in the ledger's terms."""

    def at(order: float) -> float:
        spent = rdp(noise_multiplier, sample_rate, steps, order, truncation=truncation)
        return rdp_to_epsilon(spent, order, delta)

    return min(at(order) for order in RDP_ORDERS)


def cross_check(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Upper bound of epsilon by Opacus' PRV accountant (Gopi, Lee & Wutschitz 2021); slow."""
    from opacus.accountants import PRVAccountant

    check_delta(delta)
    check_run(noise_multiplier, sample_rate, steps)
    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    return float(accountant.get_epsilon(delta))
