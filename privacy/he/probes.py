"""Known answers: features whose logits a server signs and must reproduce, in indistinguishable blocks.

Formal guarantee:
    A server that evaluates another head than the one of its manifest reveals itself with every probe on which
    the two heads differ by more than the stated errors. Under IND-CPA security it cannot distinguish a block
    with a probe from one with a document.

Not covered:
    (1) A head that differs from the stated one only in directions that no probe covers; published probes span
    as many directions as there are probes, which the server knows (a client's own probes, whose first answers
    it keeps, find such a change later, but not at first use); (2) a wrong answer in a ciphertext without a
    probe; (3) whether the stated head is any good.

Each probe tells a caller as much about the head as an answer to one document: everyone who reads the manifest
has `COUNT` of the d+1 answers from which a linear head of d features is recovered. Answers are rounded to the
error that the endpoint states anyway.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.served_model import Head

COUNT = 8


def probe_features(seed: str, count: int, n_features: int) -> Floats:
    """Return features of norm 1 that everyone derives alike from a public seed. Shape: (count, n_features).

    Only signs, from SHAKE-256: no generator whose stream depends on a library's version.
    """
    stream = hashlib.shake_256(b"lexveil-probe\0" + seed.encode()).digest(-(-count * n_features // 8))
    bits = np.unpackbits(np.frombuffer(stream, np.uint8))[: count * n_features]
    return (bits.reshape(count, n_features) * 2.0 - 1.0) / n_features**0.5


def known_answers(head: Head, seed: str, error_bound: float, count: int = COUNT) -> list[list[float]]:
    """Return the logits of the probes for a manifest, rounded by at most `rounding_error(error_bound)`.

    Args:
        head: The head.
        seed: Public seed of the probes.
        error_bound: `Evaluator.error_bound(1.0)`, since probes have norm 1.
        count: Number of probes.
    """
    logits = head.logits(probe_features(seed, count, head.n_features))
    return np.round(logits, _decimals(error_bound)).tolist()


def rounding_error(error_bound: float) -> float:
    """Return the largest error that `known_answers` adds."""
    return 0.5 * 10.0 ** -_decimals(error_bound)


def _decimals(error_bound: float) -> int:
    return max(0, math.floor(-math.log10(max(error_bound, 1e-12))))
