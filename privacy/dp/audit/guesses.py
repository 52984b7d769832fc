"""Lower bounds of epsilon from guesses about who took part, for audits with one training run.

Two bounds: one against (epsilon, delta)-DP, whatever the algorithm, and one against a whole privacy profile,
which is tighter because a Gaussian's profile says more than one of its points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_HIGHEST = 64.0
_PRECISION = 1e-3
# P-values of `profile_p_value`, rounded up to one of these.
_LEVELS = np.logspace(-12, 0, 49)


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Return an upper bound of the probability of so many correct guesses, or more, under the claim.

    The claim is (epsilon, delta)-DP. Each canary took part or not by an independent fair coin, one run was
    made, and `guesses` of the coins were guessed, the others left open. Steinke, Nasr & Jagielski 2023
    ("Privacy Auditing with One (1) Training Run"), theorem 5.2: with W binomial(guesses, e^epsilon / (1 +
    e^epsilon)),

        P[correct >= v] <= P[W >= v] + 2 canaries delta max_i P[v - i <= W < v] / i.

    Args:
        canaries: Number of canaries.
        guesses: Number of canaries about which a guess was made.
        correct: Number of correct guesses.
        epsilon: Claimed epsilon.
        delta: Claimed delta.

    Raises:
        ValueError: Unless 0 <= correct <= guesses <= canaries, epsilon >= 0 and 0 <= delta < 1.

    Formal guarantee:
        The bound holds for every (epsilon, delta)-DP algorithm under adding or removing one canary, whatever
        the guesser does and however the canaries depend on each other. `guesses` must not be chosen after
        seeing the coins. A small p-value falsifies the claim; a large one proves nothing.
    """
    from scipy.stats import binom

    if not 0 <= correct <= guesses <= canaries:
        raise ValueError(f"{correct} correct of {guesses} guesses about {canaries} canaries do not fit")
    if not (epsilon >= 0 and 0 <= delta < 1):
        raise ValueError(f"epsilon {epsilon} or delta {delta} is not possible")
    success = 1 / (1 + math.exp(-epsilon))
    tail = float(binom.sf(correct - 1, guesses, success))
    just_below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, success))
    densest = float((just_below / np.arange(1, correct + 1)).max()) if correct else 0.0
    return min(1.0, tail + 2 * canaries * delta * densest)


def epsilon_lower_bound(
    canaries: int, guesses: int, correct: int, delta: float, confidence: float = 0.95
) -> float:
    """Return the largest epsilon that the correct guesses refute, rounded down to 0.001; 0 if none.

    Args:
        canaries: Number of canaries.
        guesses: Number of canaries about which a guess was made.
        correct: Number of correct guesses.
        delta: Claimed delta.
        confidence: Confidence of the bound.

    Raises:
        ValueError: Unless 0 < confidence < 1, or as in `p_value`.

    Formal guarantee:
        An algorithm that is (epsilon, delta)-DP gets a bound above its epsilon with probability at most
        1 - confidence (the assumptions are those of `p_value`).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), found {confidence}")
    low, high = 0.0, _HIGHEST
    if p_value(canaries, guesses, correct, low, delta) > 1 - confidence:
        return 0.0
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if p_value(canaries, guesses, correct, middle, delta) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low


@dataclass(frozen=True, slots=True)
class PrivacyProfile:
    """A claim of (epsilon, delta)-DP at several points at once: a trade-off function (Dong, Roth & Su 2022).

    Attributes:
        epsilons: Epsilons, at least 0. Shape: (n,).
        deltas: A delta for each. Shape: (n,).

    Raises:
        ValueError: The arrays do not fit, or an epsilon or delta is out of range.
    """

    epsilons: NDArray[np.float64] = field(repr=False)
    deltas: NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        if self.epsilons.shape != self.deltas.shape or self.epsilons.ndim != 1 or not self.epsilons.size:
            raise ValueError("a profile needs as many epsilons as deltas")
        if not ((self.epsilons >= 0).all() and (self.deltas >= 0).all() and (self.deltas <= 1).all()):
            raise ValueError("a profile has epsilons of at least 0 and deltas in [0, 1]")

    def least(self, reached: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least probability, under a neighbor, of an event of probability `reached`.

        Both (epsilon, delta)-DP and the same for the opposite event count.
        """
        odds = np.exp(self.epsilons)
        forward = (reached[:, None] - self.deltas) / odds
        backward = 1 - self.deltas - odds * (1 - reached[:, None])
        return np.maximum(0.0, np.maximum(forward, backward).max(axis=1))


def profile_p_value(canaries: int, guesses: int, correct: int, profile: PrivacyProfile) -> float:
    """Return an upper bound of the probability of so many correct guesses, or more, under a profile.

    Mahloujifar, Melis & Chaudhuri 2025 ("Auditing f-Differential Privacy in One Run", ICML): the bound for
    an adversary with a fixed number of guesses, and the recursion that turns it into a bound of a tail.

    Args:
        canaries: Number of canaries.
        guesses: Number of canaries about which a guess was made.
        correct: Number of correct guesses.
        profile: Claimed profile.

    Returns:
        The bound, rounded up to one of 49 levels between 1e-12 and 1.

    Raises:
        ValueError: Unless 0 <= correct <= guesses <= canaries.

    Formal guarantee:
        The bound holds for every algorithm with this profile under adding or removing one canary, whatever
        the guesser does and however the canaries depend on each other. Each canary took part or not by an
        independent fair coin, and `guesses` must not be chosen after seeing the coins.

        Proof. Let p_k be the probability of exactly k correct guesses, out of g = `guesses`, and s_i = p_i +
        ... + p_g. For a canary, the event "guessed rightly, and at least i right in all" becomes, when its
        coin is turned, "guessed wrongly, and at least i - 1 right in all". With the means over the m =
        `canaries`, and L = `profile.least`, which is convex and rising: sum over k >= i - 1 of
        (g - k) p_k / m >= L(sum over k >= i of k p_k / m). Summed by parts this is (g - i + 1) s_(i-1) >=
        m L((i s_i + s_(i+1) + ... + s_g) / m) + s_i + ... + s_g, whose right side rises in every s_k. So with
        s_correct = tau the recursion with equality, from s_k = 0 for k > correct down to s_0, gives the least
        s_0; as s_0 = 1, a tau with a least s_0 above 1 is not possible.
    """
    impossible = _LEVELS[_least_total(canaries, guesses, correct, _LEVELS, profile) > 1]
    return float(impossible.min(initial=1.0))


def refutes_profile(
    canaries: int, guesses: int, correct: int, profile: PrivacyProfile, confidence: float = 0.95
) -> bool:
    """Return whether the correct guesses refute a profile.

    Raises:
        ValueError: Unless 0 < confidence < 1, or as in `profile_p_value`.

    Formal guarantee:
        A profile that holds is refuted with probability at most 1 - `confidence` (the assumptions are those
        of `profile_p_value`).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), found {confidence}")
    tail = np.array([1 - confidence])
    return bool(_least_total(canaries, guesses, correct, tail, profile)[0] > 1)


def _least_total(
    canaries: int, guesses: int, correct: int, tails: NDArray[np.float64], profile: PrivacyProfile
) -> NDArray[np.float64]:
    """Return s_0 for each s_correct in `tails`, or a number above 1 that it exceeds. Shape: of `tails`."""
    if not 0 <= correct <= guesses <= canaries:
        raise ValueError(f"{correct} correct of {guesses} guesses about {canaries} canaries do not fit")
    least, above = tails.copy(), np.zeros_like(tails)
    for i in range(correct, 0, -1):
        reached = np.minimum(1.0, (i * least + above) / canaries)
        above = above + least
        least = np.maximum(least, (canaries * profile.least(reached) + above) / (guesses - i + 1))
        if (least > 1).all():
            break
    return least
