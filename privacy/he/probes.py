"""Known answers: features whose logits a server states, signs, and is held to in blocks it cannot tell apart.

Guarantee: a server that evaluates another head than the one of its manifest gives itself away with every
probe on which the two heads differ by more than the stated errors. Under IND-CPA security it cannot tell a
block with a probe from one with a document.

Not covered: (1) a head that differs from the stated one only in directions that no probe sees; published
probes span so many directions as there are of them, which the server knows (a client's own probes, whose
first answers it keeps, find such a change later, but not at first use); (2) a lie in a ciphertext without a
probe; (3) whether the stated head is any good.

Each probe tells a caller as much of the head as an answer to one document: for the price of `COUNT` of the
d+1 answers from which a linear head of d features is recovered, everybody who reads the manifest has these.
Answers are rounded to the error that the endpoint states anyway.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.served_model import Head

COUNT = 8


def probe_features(seed: str, count: int, n_features: int) -> Floats:
    """Features of norm 1 that everybody derives alike from a public seed. Shape: (count, n_features).

    Signs alone, from SHAKE-256: no generator whose stream depends on a library's version.
    """
    stream = hashlib.shake_256(b"lexveil-probe\0" + seed.encode()).digest(-(-count * n_features // 8))
    bits = np.unpackbits(np.frombuffer(stream, np.uint8))[: count * n_features]
    return (bits.reshape(count, n_features) * 2.0 - 1.0) / n_features**0.5


def known_answers(head: Head, seed: str, error_bound: float, count: int = COUNT) -> list[list[float]]:
    """Logits of the probes, for a manifest, rounded by `rounding_error(error_bound)` at most.

    error_bound: `Evaluator.error_bound(1.0)`, since probes have norm 1.
    """
    logits = head.logits(probe_features(seed, count, head.n_features))
    return np.round(logits, _decimals(error_bound)).tolist()


def rounding_error(error_bound: float) -> float:
    """Largest error that `known_answers` adds."""
    return 0.5 * 10.0 ** -_decimals(error_bound)


def _decimals(error_bound: float) -> int:
    return max(0, math.floor(-math.log10(max(error_bound, 1e-12))))
