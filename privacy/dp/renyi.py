"""Renyi DP of training runs: additive over runs, order by order.

It serves the ledger's filter, which must stay sound when runs are chosen after seeing the results of earlier
ones. For one run, `accounting` is tighter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lexveil.privacy.dp.sampled_gaussian import (
    Cut,
    Truncation,
    check_delta,
    check_run,
    dp_event,
    list_cuts,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The series sums terms near 1: a result below this, times the order, is rounding, and may be negative.
_RDP_ROUNDING = 1e-13

# From so many runs on, vectors are faster; so many are computed at once, to limit memory.
_MANY, _CHUNK = 32, 1024

# Fixed so that totals in the ledger add up order by order. Fractional orders below 2 seldom converge.
RDP_ORDERS: tuple[float, ...] = (
    *(2 + i / 4 for i in range(25)),
    *(float(a) for a in (9, 10, 11, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 256, 512)),
)


def _check_order(order: float) -> None:
    if not (math.isfinite(order) and order > 1):
        raise ValueError(f"order must be a finite number above 1, found {order}")


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
            _cut_rdp(noise_multiplier, sample_rate, order, cut) for cut in list_cuts(sample_rate, truncation)
        )
    accountant = RdpAccountant([order], NeighboringRelation.ADD_OR_REMOVE_ONE)
    accountant.compose(dp_event(noise_multiplier, sample_rate, 1))
    return max(float(accountant.rdp[0]), order * _RDP_ROUNDING)


def _cut_rdp(noise_multiplier: float, sample_rate: float, order: float, cut: Cut) -> float:
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
    """Empty the cache, so that a benchmark can time these functions."""
    _step_rdp.cache_clear()
