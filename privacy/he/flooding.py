"""Noise that drowns what a reply would tell beside the logits.

Formal guarantee: let the error polynomial of a reply (everything but the logits: noise, rounding, what the
mask leaves of partial sums) have a root mean square of at most E over the slots, measured in logits; E is
`ParameterSet.drowned`. The server adds a polynomial whose slots are complex
Gaussians of standard deviation sigma in each part, that is, whose N coefficients are independent Gaussians
with variance 2 sigma^2 / N (the canonical embedding is sqrt(N) times an isometry). The error has an l2 norm
of at most E over the coefficients in the same unit, so the replies with and without it differ by

    KL <= E^2 / (2 * 2 sigma^2 / N) = N E^2 / (4 sigma^2) = 2^-flooding_bits

by the divergence of shifted Gaussians. Rounding to integers afterwards is post-processing of a sum, since the
error is integral. KL adds up over answers (chain rule), and by Pinsker's inequality q answers differ in total
variation by at most sqrt(q 2^-flooding_bits / 2). This is the Gaussian mechanism under the KL divergence of
Li, Micciancio, Schultz & Sorrell ("Securing Approximate Homomorphic Encryption Using Differential Privacy",
CRYPTO 2022, section 4), applied by the evaluator, to hide the head, instead of by who decrypts.

Assumptions: a client that makes its keys and ciphertexts as `privacy.he.keys` does, and features of norm up
to `NORM` (for a network: whose hidden values do not pass those of the training data); beyond it the
divergence grows with the square of the partial sums at most. E is measured, not proved.

Not covered: (1) the logits themselves, from which a head is recovered by asking; (2) IND-CPA-D towards the
server, which knows the noise that it added: decrypted logits are not for sharing.
"""

from __future__ import annotations

import math
import os

import numpy as np
from numpy.typing import NDArray

NORM = 8.0
# Box-Muller on 53-bit uniforms ends at sqrt(2 ln 2^53) standard deviations.
TAIL = math.sqrt(2 * 53 * math.log(2))


def noise_level(error: float, poly_modulus_degree: int, flooding_bits: int) -> float:
    """sigma for which an error of `error` is drowned to a divergence of 2^-flooding_bits an answer."""
    return error * math.sqrt(poly_modulus_degree * 2.0**flooding_bits / 4)


def total_variation(answers: int, flooding_bits: int) -> float:
    """Largest total variation distance after so many answers (Pinsker)."""
    return min(1.0, math.sqrt(answers * 2.0**-flooding_bits / 2))


def gaussian(slots: int, sigma: float) -> NDArray[np.complex128]:
    """Complex Gaussians from the system's randomness (Box & Muller 1958). Shape: (slots,)."""
    words = np.frombuffer(os.urandom(16 * slots), dtype=np.uint64) >> np.uint64(11)
    radius, angle = ((words.astype(np.float64) + 1) * 2.0**-53).reshape(2, slots)
    length, turn = sigma * np.sqrt(-2 * np.log(radius)), 2 * np.pi * angle
    return length * np.cos(turn) + 1j * (length * np.sin(turn))
