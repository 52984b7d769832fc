"""Scores of owners, each in [0, 1], so that their sum can be released with noise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.encoders.documents import extract
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Row, Split
from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.engine import TrainingPlan


def plan_score_release(train: TrainSettings) -> TrainingPlan:
    """Plan the release of scores: one step of the Gaussian mechanism, in the ledger a run like others.

    Args:
        train: settings with the epsilon and delta of the release.
    """
    noise_multiplier = accounting.noise_multiplier(train.epsilon, 1.0, 1, train.delta)
    return TrainingPlan(noise_multiplier, 1.0, 1.0, 1, 1.0)


def score_owners(model: FeatureModel, split: Split, rows: Sequence[Row]) -> NDArray[np.float64]:
    """Return the share of its documents that each owner has classified correctly, in [0, 1].

    An owner's share depends on the model and this owner only. Shape: (owners,).

    Args:
        model: the model.
        split: what it learns, and its classes.
        rows: labeled documents of the owners.
    """
    logits = extract(model, [row.encoded for row in rows]).logits
    shares: dict[str, list[float]] = defaultdict(list)
    for row, row_logits in zip(rows, logits, strict=True):
        shares[row.owner].append(_score_row(row, row_logits, split))
    return np.array([np.mean(shares[owner]) for owner in sorted(shares)], np.float64)


def _score_row(row: Row, logits: np.ndarray, split: Split) -> float:
    """Return 1 or 0 for one class, and for several classes the F1 of the two sets."""
    if split.objective != "multilabel":
        return float(split.labels[int(logits.argmax())] == row.label)
    truth = set(parse_classes(row.label))
    predicted = {name for name, logit in zip(split.labels, logits, strict=True) if logit > 0}
    return 2 * len(truth & predicted) / (len(truth) + len(predicted)) if truth or predicted else 1.0
