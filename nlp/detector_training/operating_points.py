"""Choose the operating points of a learned detector on documents that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable

from lexveil.nlp.evaluation.scoring import Scores

PRECISION = {"balanced": 0.82, "strict": 0.72}
"""Token precision that each point must reach on held-out documents.

It is 0.02 above the documented precision, because other documents always differ a little.
"""

THRESHOLDS = (0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)


def choose_operating_points(score_at: Callable[[float], Scores]) -> dict[str, float]:
    """Return for each point the lowest threshold that reaches its precision; the highest one if none does.

    Args:
        score_at: returns the scores of a detector at a threshold, on documents that it was not trained on.
    """
    precisions = {threshold: score_at(threshold).token_precision or 0.0 for threshold in THRESHOLDS}
    return {
        name: min((at for at, precision in precisions.items() if precision >= goal), default=THRESHOLDS[0])
        for name, goal in PRECISION.items()
    }
