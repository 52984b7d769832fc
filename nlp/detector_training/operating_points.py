"""Operating points: how sure a learnt detector must be, chosen on documents it was not trained on."""

from __future__ import annotations

from collections.abc import Callable

from lexveil.nlp.evaluation.scoring import Scores

PRECISION = {"balanced": 0.82, "strict": 0.72}
"""The token precision that each point must keep on held-out documents: two hundredths above what is promised,
because other documents are never quite the same."""
THRESHOLDS = (0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)


def operating_points(score_at: Callable[[float], Scores]) -> dict[str, float]:
    """For each point the lowest threshold that keeps its precision; the highest where none does.

    `score_at` gives the scores, at a threshold, of a detector on documents that it was not trained on.
    """
    scores = [(threshold, score_at(threshold).token_precision or 0.0) for threshold in THRESHOLDS]
    return {
        name: min((at for at, precision in scores if precision >= goal), default=THRESHOLDS[0])
        for name, goal in PRECISION.items()
    }
