"""Attacks on a finished model, from one score per owner: the higher the score, the likelier a member.

All results are computed from private owners without noise and must not be published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 20


@dataclass(frozen=True, slots=True)
class Membership:
    """The result of a membership-inference attack. It is unprotected.

    Attributes:
        members: Number of owners the model was trained on.
        others: Number of owners it was not trained on.
        auc: Area under the ROC curve of the scores; .5 is guessing.
        advantage: Largest difference of true and false positive rate.
        tpr_at_low_fpr: True positive rate where at most 1 % of the others are taken for members (Carlini et
            al. 2022, "Membership Inference Attacks From First Principles", section III-C: an average hides
            the few owners who are exposed).
        epsilon_lower_bound: See `measure_membership`.
    """

    members: int
    others: int
    auc: float
    advantage: float
    tpr_at_low_fpr: float
    epsilon_lower_bound: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """Exposure of the training owners among the held-out ones, in bits. It is unprotected.

    Attributes:
        mean: Mean over the training owners.
        by_chance: Mean for a model that memorizes nobody.
        highest: Largest exposure, at most log2(others + 1).
    """

    mean: float
    by_chance: float
    highest: float


def measure_membership(
    members: NDArray[np.float64],
    others: NDArray[np.float64],
    delta: float,
    confidence: float,
    dice: np.random.Generator,
) -> Membership | None:
    """Measure how well a threshold on the scores separates members from others.

    Such an attack can refute a claim that is grossly wrong, or show that outliers are exposed. It cannot show
    that nobody is: a better attack may exist, and it sees these documents only.

    Args:
        members: Scores of the training owners, shape (members,).
        others: Scores of the held-out owners, shape (others,). Ties count half.
        delta: Delta of the claim.
        confidence: Confidence of the bound, between 0 and 1.
        dice: Source of the random halves.

    Returns:
        None with fewer than 20 scores of either kind.

    Formal guarantee:
        A threshold is chosen on one random half of the scores, and the rates beyond it are bounded on the
        other half (Clopper & Pearson 1934, each at half of 1 - confidence); (epsilon, delta)-DP allows TPR <=
        e^epsilon FPR + delta and 1 - FPR <= e^epsilon (1 - TPR) + delta (Kairouz, Oh & Viswanath 2015,
        theorem 2.1). The bound assumes that owners are independent of each other given the model: it is a
        strong indication rather than a proof, and far below epsilon wherever there are few owners.
    """
    if min(len(members), len(others)) < FEWEST:
        return None
    everyone = np.sort(others)
    below = np.searchsorted(everyone, members, "left") + np.searchsorted(everyone, members, "right")
    true, false = _rates(members, others)
    half = [dice.permutation(len(scores)) < len(scores) // 2 for scores in (members, others)]
    bound = _bound(
        (members[half[0]], others[half[1]]), (members[~half[0]], others[~half[1]]), delta, confidence
    )
    return Membership(
        members=len(members),
        others=len(others),
        auc=float(below.mean() / (2 * len(others))),
        advantage=float((true - false).max()),
        tpr_at_low_fpr=float(true[false <= 0.01].max(initial=0.0)),
        epsilon_lower_bound=bound,
    )


def measure_exposure(members: NDArray[np.float64], others: NDArray[np.float64]) -> Exposure | None:
    """Measure the exposure of natural canaries (Carlini et al. 2019, "The Secret Sharer", definition 5).

    The exposure of a member is log2(candidates) - log2(rank), with its rank among the others, all of which
    might have been in its place. Ties rank low.

    It can show that a model memorizes owners. It cannot find what is memorized but not queried: no secrets
    are planted, since the saved model was trained without any.

    Args:
        members: Scores of the training owners, shape (members,).
        others: Scores of the held-out owners, shape (others,).

    Returns:
        None with fewer than 20 scores of either kind.
    """
    if min(len(members), len(others)) < FEWEST:
        return None
    candidates = len(others) + 1
    rank = candidates - np.searchsorted(np.sort(others), members, "left")
    bits = math.log2(candidates) - np.log2(rank)
    chance = math.log2(candidates) - float(np.log2(np.arange(1, candidates + 1)).mean())
    return Exposure(float(bits.mean()), chance, float(bits.max()))


def _rates(
    members: NDArray[np.float64], others: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the true and false positive rates of `score >= threshold`, for every threshold that occurs."""
    thresholds = np.unique(np.concatenate([members, others]))
    rates = [1 - np.searchsorted(np.sort(s), thresholds, "left") / len(s) for s in (members, others)]
    return rates[0], rates[1]


def _bound(
    choose: tuple[NDArray[np.float64], NDArray[np.float64]],
    judge: tuple[NDArray[np.float64], NDArray[np.float64]],
    delta: float,
    confidence: float,
) -> float:
    """Return the bound of the better direction; direction and threshold are chosen on `choose`."""
    thresholds = np.unique(np.concatenate(choose))
    sides: list[tuple[float, int, float]] = []
    for sign in (1, -1):
        # For -1 the roles are exchanged, for the second inequality: 1 - FPR against 1 - TPR.
        hit, miss = (choose[0], choose[1]) if sign == 1 else (choose[1], choose[0])
        caught = np.array([(sign * (hit - t) >= 0).sum() for t in thresholds])
        wrong = np.array([(sign * (miss - t) >= 0).sum() for t in thresholds])
        bounds = [
            _epsilon(int(c), len(hit), int(w), len(miss), delta, confidence)
            for c, w in zip(caught, wrong, strict=True)
        ]
        best = int(np.argmax(bounds))
        sides.append((bounds[best], sign, float(thresholds[best])))
    _, sign, threshold = max(sides)
    hit, miss = (judge[0], judge[1]) if sign == 1 else (judge[1], judge[0])
    caught, wrong = (int((sign * (scores - threshold) >= 0).sum()) for scores in (hit, miss))
    return _epsilon(caught, len(hit), wrong, len(miss), delta, confidence)


def _epsilon(hits: int, n_hits: int, misses: int, n_misses: int, delta: float, confidence: float) -> float:
    """Return the lower bound of epsilon from hits among members and misses among others."""
    from scipy.stats import beta

    error = (1 - confidence) / 2
    low = float(beta.ppf(error, hits, n_hits - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - error, misses + 1, n_misses - misses)) if misses < n_misses else 1.0
    return max(0.0, math.log((low - delta) / high)) if low > delta else 0.0
