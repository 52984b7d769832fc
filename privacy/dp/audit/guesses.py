"""Lower bounds of epsilon from guesses about who took part, for audits with one training run."""

from __future__ import annotations

import math

import numpy as np

_HIGHEST = 64.0
_PRECISION = 1e-3


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
