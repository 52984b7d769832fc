"""The randomness of differential privacy: cryptographic, addressable by step, replayable from one key.

A run that is killed and restarted must not release a second, independent output under one charge. So every
draw is a function of (key, label, step): whoever holds the key repeats the killed run bit for bit, and the
run costs what the ledger reserved. With the same key the noise can be subtracted from a model, so the caller
wraps it, stores it only with the open reservation, and destroys it at the commit.
"""

from __future__ import annotations

import math
import secrets

import numpy as np
import torch
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
# 32-bit block counter of RFC 8439: past it the keystream would repeat.
_STREAM_BYTES = 2**32 * 64
# 2n normals per draw with n = 2, as Holohan & Braghin recommend against known reconstruction attacks.
_SUMMANDS = 4
_IN_CACHE = 1 << 14


def keystream(key: bytes, nonce: bytes, n_bytes: int) -> bytes:
    """Return ChaCha20 keystream (RFC 8439, section 2.4), with the block counter starting at 0.

    Args:
        key: 32 bytes.
        nonce: 12 bytes.
        n_bytes: Number of bytes.

    Raises:
        ValueError: Key or nonce has another length, or the stream would exceed the counter.
    """
    if len(key) != KEY_BYTES or len(nonce) != 12:
        raise ValueError(
            f"ChaCha20 takes a key of 32 and a nonce of 12 bytes, found {len(key)} and {len(nonce)}"
        )
    if n_bytes > _STREAM_BYTES:
        raise ValueError(f"one stream holds {_STREAM_BYTES} bytes, {n_bytes} were requested")
    encryptor = Cipher(algorithms.ChaCha20(key, bytes(4) + nonce), mode=None).encryptor()
    return encryptor.update(bytes(n_bytes))


class SecureRandom:
    """Uniform and Gaussian draws from a 256-bit key, addressed by (label, step).

    The same (label, step) gives the same draw again, and a longer draw starts with the shorter one's
    keystream: use each pair for one purpose only. Each label has its own key (HKDF-SHA256), each step its own
    nonce, so that streams neither overlap nor reveal anything about each other.

    Formal guarantee:
        Under the assumption that ChaCha20 is a pseudo-random function and HKDF-SHA256 a key derivation
        function, draws are computationally indistinguishable from independent uniform bits to anyone without
        the key; differential privacy that rests on them is computational. A Gaussian draw is the sum of four
        independent Box-Muller normals over sqrt(4) in float64 (Holohan & Braghin 2021, "Secure Random
        Sampling in Differential Privacy", section 4), which makes the inversion attack of Mironov 2012 ("On
        significance of the least significant bits") infeasible as far as is known today. It is a mitigation,
        not a proof: the float64 grid is not the real line, tails end at 8.6 standard deviations per summand,
        and no discrete Gaussian is offered. Draws repeat bit for bit on the same machine and library
        versions; other vector units may round the last bit of log and cos differently.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes | None = None) -> None:
        """Create a source of randomness.

        Args:
            key: 32 bytes; None for a fresh key from the system's randomness.

        Raises:
            ValueError: The key has another length.
        """
        self._key = secrets.token_bytes(KEY_BYTES) if key is None else bytes(key)
        if len(self._key) != KEY_BYTES:
            raise ValueError(f"the key must have {KEY_BYTES} bytes, found {len(self._key)}")

    def __repr__(self) -> str:
        return "SecureRandom(key=<hidden>)"

    def __reduce__(self) -> str:
        raise TypeError("a SecureRandom is never pickled: it holds the key that subtracts the noise")

    def export_key(self) -> bytes:
        """Return the 32-byte key, for the caller to wrap and store with an open reservation. Never log it."""
        return self._key

    def derive(self, purpose: str) -> bytes:
        """Return a 32-byte key for a purpose other than drawing, which reveals nothing about the draws."""
        return self._subkey(b"lexveil/dp/key/1/" + purpose.encode())

    def _subkey(self, info: bytes) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._key)

    def _bytes(self, label: str, step: int, n_bytes: int) -> bytes:
        if step < 0:
            raise ValueError(f"step must be 0 or more, found {step}")
        subkey = self._subkey(b"lexveil/dp/randomness/1/" + label.encode())
        return keystream(subkey, step.to_bytes(12, "little"), n_bytes)

    def integers(self, label: str, step: int, n: int) -> np.ndarray:
        """Return uniform 64-bit integers. Shape: (n,), uint64.

        Raises:
            ValueError: `step` is negative.
        """
        return np.frombuffer(self._bytes(label, step, 8 * n), dtype="<u8").astype(np.uint64)

    def uniform(self, label: str, step: int, n: int) -> np.ndarray:
        """Return uniform numbers in [0, 1) on the grid of 2**-53. Shape: (n,), float64.

        Raises:
            ValueError: `step` is negative.
        """
        return (self.integers(label, step, n) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, label: str, step: int, n: int) -> torch.Tensor:
        """Return standard Gaussians, made as the class docstring describes. Shape: (n,), float64, on the CPU.

        Add them to a float64 sum and round afterwards: rounding before adding the noise is not
        post-processing.

        Raises:
            ValueError: `step` is negative.
        """
        # At least two, so that the four summands of a draw come from four different pairs: the two normals
        # of one Box-Muller pair add up to a single normal at a shifted angle.
        m = max(n, 2)
        uniforms = torch.from_numpy(self.uniform(label, step, _SUMMANDS * m)).view(_SUMMANDS, m)
        total = torch.zeros(m, dtype=torch.float64)
        for first, angle in zip(uniforms[:2], uniforms[2:], strict=True):
            for start in range(0, m, _IN_CACHE):
                end = min(start + _IN_CACHE, m)
                # 1 - u is in (0, 1], where the logarithm is finite.
                radius = torch.log1p(-first[start:end]).mul_(-2 / _SUMMANDS).sqrt_()
                turned = angle[start:end] * (2 * math.pi)
                total[start:end] += radius * torch.cos(turned)
                sines = radius.mul_(torch.sin(turned))
                # The sine goes to the next draw, so that no draw holds both halves of a pair.
                inside = min(end + 1, m) - (start + 1)
                total[start + 1 : start + 1 + inside] += sines[:inside]
                total[:1] += sines[inside:].sum()
        return total[:n]
