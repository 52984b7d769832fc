"""Scores of a model's logits against labels or topics. Measured without noise, so they must stay inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.losses import denoising_loss
from lexveil.pipeline.labels import parse_classes


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a classification. Measured on private documents without noise: unprotected.

    Attributes:
        micro_f1: F1 over all decisions together.
        macro_f1: mean F1 of the classes that occur.
        n: number of documents.
    """

    micro_f1: float
    macro_f1: float
    n: int


@dataclass(frozen=True, slots=True)
class DenoisingScores:
    """Cross-entropy with the public topics of documents. Measured without noise: unprotected.

    Attributes:
        loss: mean cross-entropy of the model.
        uniform: mean cross-entropy of the uniform distribution.
        n: number of documents.
    """

    loss: float
    uniform: float
    n: int


def score_classes(config: ModelConfig, written: Sequence[str | None], logits: np.ndarray) -> Scores:
    """Score the classes of a model: the most likely one, or, for a multilabel model, all above one half.

    A label that the model does not know counts as a miss.

    Args:
        config: configuration of the model.
        written: label of each document.
        logits: shape (documents, labels).
    """
    from sklearn.metrics import f1_score

    unknown = {name for label in written for name in parse_classes(label)} - set(config.labels)
    names = [*config.labels, *sorted(unknown)]
    index = {name: number for number, name in enumerate(names)}
    if config.objective == "multilabel":
        truth = np.zeros((len(written), len(names)), dtype=bool)
        for row, label in zip(truth, written, strict=True):
            row[[index[name] for name in parse_classes(label)]] = True
        guesses = np.pad(logits > 0, ((0, 0), (0, len(unknown))))
        present = np.flatnonzero(truth.any(axis=0))
    else:
        classes = [parse_classes(label) for label in written]
        truth = np.array([index[own[0]] if len(own) == 1 else -1 for own in classes])
        guesses = logits.argmax(axis=1)
        present = np.unique(truth)
    undefined: Any = 0.0  # F1 of a label that neither occurs nor is predicted
    micro = f1_score(truth, guesses, average="micro", zero_division=undefined)
    macro = f1_score(truth, guesses, labels=present, average="macro", zero_division=undefined)
    return Scores(float(micro), float(macro), len(written))


def score_topics(logits: np.ndarray, topics: np.ndarray) -> DenoisingScores:
    """Score the topics of a denoising model.

    Args:
        logits: shape (documents, topics).
        topics: distributions over the public topics, of the same shape.
    """
    predicted, targets = torch.from_numpy(logits), torch.from_numpy(topics)
    uniform = denoising_loss(torch.zeros_like(predicted), targets)
    return DenoisingScores(
        float(denoising_loss(predicted, targets).mean()), float(uniform.mean()), len(logits)
    )
