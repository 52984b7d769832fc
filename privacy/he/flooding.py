"""Noise that drowns what a reply would reveal besides the logits.

Formal guarantee:
    Let the polynomial of a reply without flooding decrypt to the logits plus an error, over the slots, in the
    unit of a logit. Let E be the root mean square of this error over the n outputs, where only the real parts
    count (`ParameterSet.error_to_flood`), and P the root mean square of its absolute value over the N/2
    slots, which contain partial sums of the weights between the outputs. The server adds a polynomial whose
    slots have independent Gaussians as real and imaginary parts: with standard deviation sigma at the
    outputs, and tau everywhere else. The canonical embedding is sqrt(N/2) times an isometry, so this is a
    Gaussian over the coefficients, and replies with and without the error differ by

        KL <= n E^2 / (2 sigma^2) + (N/2) P^2 / (2 tau^2),
        sigma = E sqrt(n 2^b), tau = P sqrt(N/2 2^b): KL <= 2^-b, with b = flooding_bits

    by the divergence of shifted Gaussians. What the server does afterwards (rounding to integers, rescaling)
    is post-processing. KL adds up over answers (chain rule), and by Pinsker's inequality q answers differ in
    total variation by at most sqrt(q 2^-b / 2). This is the Gaussian mechanism under the KL divergence of Li,
    Micciancio, Schultz & Sorrell ("Securing Approximate Homomorphic Encryption Using Differential Privacy",
    CRYPTO 2022, section 4), applied by the evaluator, to hide the head, instead of by whoever decrypts.
    Drowning the partial sums costs space in the modulus, where multiplying them by a mask of zeros would cost
    a rescaling, with its error, its time and its part of the keys; and it states for both what is left.

Assumptions:
    A client that makes its keys and ciphertexts as `lexveil.privacy.he.keys` does, and features of norm up to
    `NORM` (1 for a network); beyond it the divergence grows at most with the square of the partial sums. E is
    measured, not proved. Gaussians are double-precision numbers: each layer of noise is finer than the last
    by `_LAYER_BITS`, so that together they reach below the noise of encryption.

Not covered:
    (1) the logits themselves, from which a head is recovered by queries; (2) IND-CPA-D towards the server,
    which knows the noise that it added: decrypted logits must not be shared.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NORM = 8.0
# Box-Muller on 53-bit uniforms ends at sqrt(2 ln 2^53) standard deviations.
TAIL = math.sqrt(2 * 53 * math.log(2))
# Doubles have 52 bits; the transform to coefficients loses far fewer than 12 of them.
_LAYER_BITS = 40
_LAYERS = 3


def noise_level(error: float, count: int, flooding_bits: int) -> float:
    """Return the standard deviation that drowns `count` values of root mean square `error`.

    Formal guarantee:
        Adding Gaussians of this standard deviation costs a KL divergence of half of 2^-flooding_bits (see the
        module).
    """
    return error * math.sqrt(count * 2.0**flooding_bits)


def total_variation(divergence: float) -> float:
    """Return the total variation between replies with and without what flooding hides.

    Args:
        divergence: KL divergence, the sum over all answers of 2^-flooding_bits.

    Formal guarantee:
        Pinsker's inequality: at most sqrt(divergence / 2).
    """
    return min(1.0, math.sqrt(divergence / 2))


def noise_layers(
    outputs: NDArray[np.complex128], sigma: float, tau: float
) -> Iterator[NDArray[np.complex128]]:
    """Yield the noise as slot vectors to be encoded separately and summed, the coarsest first.

    Args:
        outputs: 1 where the real part of a slot is an output, plus 1j where the imaginary part is; else 0.
        sigma: Standard deviation at the outputs.
        tau: Standard deviation elsewhere; 0 if every slot is an output.

    Yields:
        Shape (slots,) each.

    Formal guarantee:
        That of the module, for these levels.
    """
    if tau:
        everything = sample_gaussian(len(outputs), tau)
        yield np.where(outputs.real > 0, 0, everything.real) + 1j * np.where(
            outputs.imag > 0, 0, everything.imag
        )
    for layer in range(_LAYERS - 1):
        yield sample_gaussian(len(outputs), sigma * 2.0 ** (-_LAYER_BITS * layer))


def sample_gaussian(slots: int, sigma: float) -> NDArray[np.complex128]:
    """Return complex Gaussians from the system's randomness (Box & Muller 1958). Shape: (slots,).

    Formal guarantee:
        Real and imaginary parts are independent, of standard deviation `sigma`, up to double precision and
        the end of their tails at `TAIL` standard deviations.
    """
    words = np.frombuffer(os.urandom(16 * slots), dtype=np.uint64) >> np.uint64(11)
    radius, angle = ((words.astype(np.float64) + 1) * 2.0**-53).reshape(2, slots)
    length, turn = sigma * np.sqrt(-2 * np.log(radius)), 2 * np.pi * angle
    return length * np.cos(turn) + 1j * (length * np.sin(turn))
