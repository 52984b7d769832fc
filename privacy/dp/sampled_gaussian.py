"""The mechanism of a training step: a Gaussian on a Poisson sample of owners, and a cap on the sample's size.

Its parameters, their checks, and what a cap does to two neighbors. `renyi` and `accounting` bound its privacy
loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dp_accounting import DpEvent

# Probabilities of a cut below it are rounded up to it: a float takes the smallest for none, and others make
# dp-accounting's sums overflow.
_LEAST_SHARE = 1e-100
_BINOMIAL_ROUNDING = 1e-9


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
class Cut:
    """How a cap acts on one pair of neighbors: see the proof in `renyi.rdp`.

    Attributes:
        share: Probability that the owners other than the one in question fill the batch.
        rate: Probability, given that, with which this owner takes the place of another.
    """

    share: float
    rate: float


@lru_cache(maxsize=256)
def list_cuts(sample_rate: float, truncation: Truncation | None) -> tuple[Cut, ...]:
    """Return the cuts of both neighbors of a data set: without one of its owners, and with one more."""
    if truncation is None:
        return (Cut(0.0, 0.0),)
    from scipy.stats import binom

    most = truncation.max_batch
    cuts: list[Cut] = []
    for others in (truncation.n_owners - 1, truncation.n_owners):
        if others < most:
            cuts.append(Cut(0.0, 0.0))
            continue
        full = float(binom.sf(most - 1, others, sample_rate))
        rate = sample_rate * most / (most + 1)
        if full > _LEAST_SHARE:
            # The owner is in a cut batch: P(more than B of all drawn), times its chance to be kept.
            present = float(binom.sf(most, others + 1, sample_rate)) * most / (others + 1)
            rate = min(rate, present / full * (1 + _BINOMIAL_ROUNDING))
        cuts.append(Cut(max(full, _LEAST_SHARE), rate))
    return tuple(cuts)
