"""The main job's check that encrypted and plain classification agree. It makes keys: not for a server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.he.keys import ClientKeys
from privacy.he.parameters import Profile
from privacy.he.served import Head, ServedModel, evaluator


@dataclass(frozen=True, slots=True)
class EncryptedCheck:
    """Encrypted against plain classification of the same features.

    agreement: share of documents with the same label. max_error: largest absolute error of a logit.
    error_bound: the one that is stated for these features.
    """

    documents: int
    agreement: float
    max_error: float
    error_bound: float


def encrypted_check(
    head: Head, features: NDArray[np.floating], profile: Profile = "sealed"
) -> EncryptedCheck:
    """Classifies the features encrypted, by what client and server compute, and plain; compares.

    features: shape (n, n_features), of norm 1 at most. Raises ValueError (`HeadRefused`, `ShapeRefused`) for
    a head that cannot be served.
    """
    served = evaluator(ServedModel(head, profile), "block")
    keys = ClientKeys.generate(served.parameters)
    loaded = served.load_keys(keys.evaluation_keys())
    matrix = np.asarray(features, np.float64)
    logits = keys.decrypt([served.evaluate(x, loaded) for x in keys.encrypt(matrix)], len(matrix))
    plain = head.logits(matrix)
    same = plain.argmax(axis=1) == logits.argmax(axis=1)
    norm = float(np.linalg.norm(matrix, axis=1).max())
    error = float(np.abs(plain - logits).max())
    return EncryptedCheck(len(matrix), float(same.mean()), error, served.error_bound(norm))
