"""What attacks on a finished model reach, from one score an owner: the higher, the likelier a member.

Every figure here comes from private owners and carries no noise: it must stay inside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 20


@dataclass(frozen=True, slots=True)
class Membership:
    """A membership-inference attack. Unprotected.

    auc: of the attack's scores; .5 is guessing. advantage: largest true less false positive rate.
    tpr_at_low_fpr: true positive rate where at most 1 % of the others are taken for members (Carlini et al.
    2022, "Membership Inference Attacks From First Principles", section III-C: an average hides the few who
    are betrayed). epsilon_lower_bound: see `membership`.
    """

    members: int
    others: int
    auc: float
    advantage: float
    tpr_at_low_fpr: float
    epsilon_lower_bound: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """Exposure of the training owners among the held-out ones, in bits. Unprotected.

    by_chance: the mean of a model that remembers nobody. highest: log2(others + 1) at most.
    """

    mean: float
    by_chance: float
    highest: float


def measure_membership(
    members: Floats, others: Floats, delta: float, confidence: float, dice: np.random.Generator
) -> Membership | None:
    """How well a threshold on the scores tells members from others; None with fewer than 20 of either.

    Shapes: (members,), (others,). Ties count half.

    The bound: a threshold is chosen on one random half of the scores, and the rates beyond it are bounded
    on the other half (Clopper & Pearson 1934, each at half of 1 - confidence); (epsilon, delta)-DP allows
    TPR <= e^epsilon FPR + delta and 1 - FPR <= e^epsilon (1 - TPR) + delta (Kairouz, Oh & Viswanath 2015,
    theorem 2.1). It takes owners as independent of each other given the model: a strong indication rather
    than a proof, and far below epsilon wherever there are few owners.

    Such an attack can falsify a claim that is grossly wrong, or show that outliers are betrayed. It cannot
    show that nobody is: a better attack may exist, and it sees these documents only.
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


def measure_exposure(members: Floats, others: Floats) -> Exposure | None:
    """Exposure of natural canaries (Carlini et al. 2019, "The Secret Sharer", definition 5).

    log2(candidates) - log2(rank): each member's rank among the others, all of which might have stood in its
    place; None with fewer than 20 of either. Shapes: (members,), (others,). Ties rank low.

    It can show that a model remembers owners. It cannot find what is remembered but not put to the model:
    no secrets are planted, since the saved model was trained without any.
    """
    if min(len(members), len(others)) < FEWEST:
        return None
    candidates = len(others) + 1
    rank = candidates - np.searchsorted(np.sort(others), members, "left")
    bits = math.log2(candidates) - np.log2(rank)
    chance = math.log2(candidates) - float(np.log2(np.arange(1, candidates + 1)).mean())
    return Exposure(float(bits.mean()), chance, float(bits.max()))


def _rates(members: Floats, others: Floats) -> tuple[Floats, Floats]:
    """True and false positive rates of `score >= threshold`, for every threshold that occurs."""
    thresholds = np.unique(np.concatenate([members, others]))
    rates = [1 - np.searchsorted(np.sort(s), thresholds, "left") / len(s) for s in (members, others)]
    return rates[0], rates[1]


def _bound(
    choose: tuple[Floats, Floats], judge: tuple[Floats, Floats], delta: float, confidence: float
) -> float:
    """The larger of the two directions, the threshold and the direction chosen on `choose`."""
    thresholds = np.unique(np.concatenate(choose))
    sides: list[tuple[float, int, float]] = []
    for sign in (1, -1):
        # For -1, members are those whom the threshold lets through least: 1 - FPR against 1 - TPR.
        hit, miss = (choose[0], choose[1]) if sign == 1 else (choose[1], choose[0])
        caught = np.array([(sign * (hit - t) >= 0).sum() for t in thresholds])
        wrong = np.array([(sign * (miss - t) >= 0).sum() for t in thresholds])
        found = [
            _epsilon(int(c), len(hit), int(w), len(miss), delta, confidence)
            for c, w in zip(caught, wrong, strict=True)
        ]
        best = int(np.argmax(found))
        sides.append((found[best], sign, float(thresholds[best])))
    _, sign, threshold = max(sides)
    hit, miss = (judge[0], judge[1]) if sign == 1 else (judge[1], judge[0])
    caught, wrong = (int((sign * (scores - threshold) >= 0).sum()) for scores in (hit, miss))
    return _epsilon(caught, len(hit), wrong, len(miss), delta, confidence)


def _epsilon(hits: int, n_hits: int, misses: int, n_misses: int, delta: float, confidence: float) -> float:
    from scipy.stats import beta

    error = (1 - confidence) / 2
    low = float(beta.ppf(error, hits, n_hits - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - error, misses + 1, n_misses - misses)) if misses < n_misses else 1.0
    return max(0.0, math.log((low - delta) / high)) if low > delta else 0.0
