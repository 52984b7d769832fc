"""Comparison of encrypted and plain classification of the same features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.parameters import Profile
from lexveil.privacy.he.served_model import Head, ServedModel, build_evaluator


@dataclass(frozen=True, slots=True)
class EncryptedCheck:
    """Result of classifying the same features encrypted and plain.

    Attributes:
        documents: number of documents.
        agreement: share of documents with the same label, in [0, 1].
        max_error: largest absolute error of a logit.
        error_bound: the error that the server states for these features.
    """

    documents: int
    agreement: float
    max_error: float
    error_bound: float


def check_encrypted(
    head: Head, features: NDArray[np.floating], profile: Profile = "sealed"
) -> EncryptedCheck:
    """Classify features encrypted, with the code of client and server, and plain, and compare the logits.

    Args:
        head: head of the model.
        features: shape (documents, features), rows of norm at most 1.
        profile: profile of the encryption parameters.

    Raises:
        ValueError: the head cannot be served (`HeadRefusedError`, `ShapeRefusedError`).
    """
    evaluator = build_evaluator(ServedModel(head, profile), "block")
    keys = ClientKeys.generate(evaluator.parameters)
    evaluation_keys = evaluator.load_keys(keys.evaluation_keys())
    matrix = np.asarray(features, np.float64)
    encrypted = [evaluator.evaluate(bundle, evaluation_keys) for bundle in keys.encrypt(matrix)]
    logits = keys.decrypt(encrypted, len(matrix))
    plain = head.logits(matrix)
    same = plain.argmax(axis=1) == logits.argmax(axis=1)
    norm = float(np.linalg.norm(matrix, axis=1).max())
    error = float(np.abs(plain - logits).max())
    return EncryptedCheck(len(matrix), float(same.mean()), error, evaluator.error_bound(norm))
