"""Known answers that a manifest publishes: features whose logits a server signs and must reproduce.

Formal guarantee:
    A server that evaluates another head than the one of its manifest reveals itself with every probe on which
    the two heads differ by more than the stated errors. Under IND-CPA security it cannot distinguish a block
    with a probe from one with a document.

Not covered:
    (1) A server that evaluates, from the first request on, another function that agrees with the stated head
    at the published probes, which it knows. For each class, the functions that a server can compute without
    relinearization keys are affine, of d + 1 coefficients; those of degree n in d features have C(d + n, n).
    `COUNT` probes leave a space of so many dimensions less `COUNT`. It cannot be made empty without
    publishing the head: d + 1 answers determine a linear one. What such a server computes is a head that was
    wrong from the start, and a client that keeps answers (`lexveil.pipeline.serving.client.checks`) finds
    every later change of it. (2) A wrong answer in a ciphertext without a probe. (3) Whether the stated head
    is any good.

Each probe tells a caller as much about the head as an answer to one document: everyone who reads the manifest
has `COUNT` of the d + 1 answers from which a linear head of d features is recovered. Answers are rounded to
the error that the endpoint states anyway.
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

    Their directions are uniform: Gaussian values by Box and Muller (1958), from SHAKE-256, whose stream
    depends on no library's version. No polynomial of a few coordinates is zero at all of them, as
    x_a^2 - x_b^2 is where all coordinates have one size.
    """
    stream = hashlib.shake_256(b"lexveil-probe-3\0" + seed.encode()).digest(16 * count * n_features)
    words = np.frombuffer(stream, "<u8").reshape(2, count, n_features)
    radius, angle = ((words >> 11) + 1.0) * 2.0**-53  # in (0, 1]
    normal = np.sqrt(-2.0 * np.log(radius)) * np.cos(2.0 * np.pi * angle)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


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
