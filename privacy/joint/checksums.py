"""Checksums of uploads, by which offices that have a key together find a hub that has not added all."""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lexveil.privacy.dp.randomness import KEY_BYTES, SecureRandom
from lexveil.privacy.joint.noise import Integers
from lexveil.privacy.vault import TamperedError, seal, unseal

MODULUS = 2**127 - 1  # a prime
_BYTES = 16
_LABEL = "checksum"
# Factors are words of 16 bits, numbers parts of 20 to 24 bits: the sum of so many products fits into 64 bits.
_WORDS, _MASK, _PIECE = 8, 2**20 - 1, 2**20


class Checksums:
    """Secret linear functions, one for each step: the checksums of uploads add up to that of their sum.

    Formal guarantee:
        Whoever does not have the key, and has made another sum than that of the uploads, finds numbers with
        the right checksum with probability below 2**-125: a difference that is not zero modulo 2**127 - 1
        goes to zero for so few factors (universal hashing, Carter & Wegman 1979). Assumption: ChaCha20 and
        HKDF-SHA256 (`SecureRandom`). Checksums are sealed (AES-256-GCM), so whoever has no key learns
        nothing from them; to those who have it, a checksum is a function of the upload that it is of.
    """

    def __init__(self, secret_key: bytes, agreement: bytes) -> None:
        """Derive the functions.

        Args:
            secret_key: The key that the offices have together.
            agreement: Digest of the agreement.
        """
        kdf = HKDF(hashes.SHA256(), KEY_BYTES, salt=agreement, info=b"lexveil/joint/checksums/1")
        self._random = SecureRandom(kdf.derive(secret_key))
        self._key = self._random.derive("seal")

    def seal(self, step: int, office: int, upload: Integers) -> bytes:
        """Return the checksum of an office's upload, sealed."""
        content = self.compute(step, upload).to_bytes(_BYTES, "big")
        return seal(self._key, content, _describe(step, office))

    def open(self, step: int, office: int, sealed: bytes) -> int | None:
        """Return the checksum of an office's upload; None: what was sent is none."""
        try:
            return int.from_bytes(unseal(self._key, sealed, _describe(step, office)), "big")
        except TamperedError:
            return None

    def compute(self, step: int, numbers: Integers) -> int:
        """Return the checksum of a vector: the sum of products with secret factors, modulo 2**127 - 1."""
        words = self._random.integers(_LABEL, step, 2 * numbers.size).view("<u2").reshape(-1, _WORDS)
        total = 0
        for start in range(0, numbers.size, _PIECE):
            factors = words[start : start + _PIECE].astype(np.int64)
            some = numbers[start : start + _PIECE]
            for at, part in ((0, some & _MASK), (20, some >> 20 & _MASK), (40, some >> 40)):
                products = (part @ factors).tolist()
                total += sum(value << (16 * word + at) for word, value in enumerate(products))
        return total % MODULUS


def _describe(step: int, office: int) -> str:
    return f"joint-checksum/{step}/{office}"
