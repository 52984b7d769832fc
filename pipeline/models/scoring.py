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


def guess_classes(config: ModelConfig, logits: np.ndarray) -> list[list[int]]:
    """Return the classes that a model gives each document: the most likely one, or all above one half.

    Args:
        config: configuration of the model.
        logits: shape (documents, labels).
    """
    if config.objective == "multilabel":
        return [np.flatnonzero(row > 0).tolist() for row in logits]
    return [[guess] for guess in logits.argmax(axis=1).tolist()]


def score_classes(config: ModelConfig, written: Sequence[str | None], logits: np.ndarray) -> Scores:
    """Score the classes of a model, as `score_guesses` does.

    Args:
        config: configuration of the model.
        written: label of each document.
        logits: shape (documents, labels).
    """
    return score_guesses(config, written, guess_classes(config, logits))


def score_guesses(
    config: ModelConfig, written: Sequence[str | None], guessed: Sequence[Sequence[int]]
) -> Scores:
    """Score the classes that a model gives documents.

    A label that the model does not know counts as a miss.

    Args:
        config: configuration of the model.
        written: label of each document.
        guessed: what `guess_classes` returns.
    """
    from sklearn.metrics import f1_score

    parsed = {label: parse_classes(label) for label in set(written)}
    unknown = {name for own in parsed.values() for name in own} - set(config.labels)
    names = [*config.labels, *sorted(unknown)]
    index = {name: number for number, name in enumerate(names)}
    if config.objective == "multilabel":
        truth = np.zeros((len(written), len(names)), dtype=bool)
        guesses = np.zeros_like(truth)
        for row, label in enumerate(written):
            truth[row, [index[name] for name in parsed[label]]] = True
            guesses[row, guessed[row]] = True
        present = np.flatnonzero(truth.any(axis=0))
    else:
        codes = {label: index[own[0]] if len(own) == 1 else -1 for label, own in parsed.items()}
        truth = np.array([codes[label] for label in written])
        guesses = np.array([guess for (guess,) in guessed])
        present = np.unique(truth)
    undefined: Any = 0.0  # F1 of a label that neither occurs nor is predicted
    micro = f1_score(truth, guesses, average="micro", zero_division=undefined)
    macro = f1_score(truth, guesses, labels=present, average="macro", zero_division=undefined)
    return Scores(float(micro), float(macro), len(written))


def measure_denoising(logits: np.ndarray, topics: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each document with its topics: the model's, and the uniform distribution's.

    Args:
        logits: shape (documents, topics).
        topics: distributions over the public topics, of the same shape.

    Returns:
        Shape (documents, 2), float32.
    """
    predicted, targets = torch.from_numpy(logits), torch.from_numpy(topics)
    losses = (denoising_loss(values, targets) for values in (predicted, torch.zeros_like(predicted)))
    return torch.stack([*losses], dim=1).numpy()


def score_topics(logits: np.ndarray, topics: np.ndarray) -> DenoisingScores:
    """Score the topics of a denoising model, as `score_losses` does; see `measure_denoising`."""
    return score_losses(measure_denoising(logits, topics))


def score_losses(losses: np.ndarray) -> DenoisingScores:
    """Score the topics of a denoising model.

    Args:
        losses: what `measure_denoising` returns.
    """
    model, uniform = (float(torch.from_numpy(column.copy()).mean()) for column in losses.T)
    return DenoisingScores(model, uniform, len(losses))
