"""Sums of whole numbers under one CKKS key: who adds has no key, and who has the key reads every summand.

Phong, Aono, Hayashi, Wang & Moriai 2018, "Privacy-Preserving Deep Learning via Additively Homomorphic
Encryption": all who take part have the same secret key, and somebody without it adds what they send.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from lexveil.privacy.he import wire_format
from lexveil.privacy.he.scheme import from_bytes, load_checked, to_bytes

Integers = NDArray[np.int64]

# 60 of the 106 bits that 128-bit security allows at this degree (`parameters.MODULUS_BOUND_BITS`).
_DEGREE, _PRIME_BITS = 4096, 60
# A whole number is wrong with a probability below 2 to the minus this.
_UNLIKELY_BITS = 80
# Of a coefficient: SEAL's clipped normal (3.2), and the rounding of the encoder.
_COEFFICIENT_DEVIATION = 3.3
_MOST_ERROR = 0.25
_DIGEST_DOMAIN = b"lexveil/he/sum-key/1\0"


class SumScheme:
    """How vectors of whole numbers are encrypted and added. It has no key.

    Formal guarantee:
        128-bit security by the Homomorphic Encryption Standard (2018) and, with margin, by the stricter
        guidelines of 2024 (ePrint 2024/463). A sum of `summands` honest encryptions, whose numbers add up to
        `largest` at most, is exact but for a probability below 2**-80: the error of a number before it is
        rounded is a sum of N * summands independent coefficients of subgaussian deviation 3.3 with factors
        of at most 1, so below 1/4; that of the transforms in float64 is below 2**-8 for numbers below 2**40.
    """

    def __init__(self, numbers: int, largest: int, summands: int) -> None:
        """Create the scheme.

        Args:
            numbers: Length of a vector.
            largest: Largest absolute value in a sum.
            summands: Number of vectors that are added.

        Raises:
            ValueError: The numbers are too large.
        """
        unlikely = 2 * ((_UNLIKELY_BITS + 1) * math.log(2) + math.log(numbers))
        error = _COEFFICIENT_DEVIATION * math.sqrt(_DEGREE * summands * unlikely)
        # Two numbers share a complex slot, so a coefficient is at most sqrt(2) times the largest.
        bits = _PRIME_BITS - 2 - (largest.bit_length() + 1)
        if 2**bits * _MOST_ERROR < error:
            raise ValueError(f"whole numbers of {largest.bit_length()} bits are too large to be encrypted")
        self.numbers, self.largest = numbers, largest
        self._scale = 2.0**bits
        encryption = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        encryption.set_poly_modulus_degree(_DEGREE)
        encryption.set_coeff_modulus(seal.CoeffModulus.Create(_DEGREE, [_PRIME_BITS]))
        self.context: Any = seal.SEALContext(encryption, True, seal.SEC_LEVEL_TYPE.TC128)
        self._encoder: Any = seal.CKKSEncoder(self.context)
        self._evaluator: Any = seal.Evaluator(self.context)
        self._level: Any = self.context.first_context_data().parms_id()
        self._fresh, self._added = (
            wire_format.ciphertext_frame(
                to_bytes(seal.Plaintext())[3:5], self._level, _DEGREE, 1, self._scale, seeded=seeded
            )
            for seeded in (True, False)
        )

    @property
    def ciphertexts(self) -> int:
        """Number of ciphertexts of a vector."""
        return -(-self.numbers // _DEGREE)

    def encode(self, numbers: Integers) -> list[Any]:
        """Return the plaintexts of a vector. Shape: (numbers,)."""
        padded = np.zeros(self.ciphertexts * _DEGREE)
        padded[: self.numbers] = numbers
        plaintexts: list[Any] = []
        for real, imaginary in padded.reshape(-1, 2, _DEGREE // 2):
            plaintexts.append(seal.Plaintext())
            self._encoder.encode((real + 1j * imaginary).tolist(), self._level, self._scale, plaintexts[-1])
        return plaintexts

    def decode(self, plaintexts: Sequence[Any]) -> Integers:
        """Return the vector, rounded to whole numbers. Shape: (numbers,).

        Raises:
            ValueError: A number is larger than any sum.
        """
        slots = np.array([self._encoder.decode_complex(plaintext) for plaintext in plaintexts])
        parts = np.stack([np.real(slots), np.imag(slots)], axis=1)
        found = np.rint(parts.ravel()[: self.numbers])
        if not (np.abs(found) <= self.largest).all():
            raise ValueError("a number is larger than any sum")
        return found.astype(np.int64)

    def read(self, encrypted: bytes) -> list[Any]:
        """Return the ciphertexts of a stranger's vector, as `SumKeys.encrypt` makes them.

        Raises:
            MalformedError: They are none.
        """
        return self._read(encrypted, self._fresh)

    def read_sum(self, encrypted: bytes) -> list[Any]:
        """Return the ciphertexts of a stranger's sum, as `add` makes them.

        Raises:
            MalformedError: They are none.
        """
        return self._read(encrypted, self._added)

    def add(self, vectors: Sequence[Sequence[Any]]) -> bytes:
        """Return the encrypted sum of vectors that `read` has returned; the first one is overwritten."""
        first, *rest = vectors
        for other in rest:
            for total, ciphertext in zip(first, other, strict=True):
                self._evaluator.add_inplace(total, ciphertext)
        return b"".join(to_bytes(total) for total in first)

    def _read(self, encrypted: bytes, frame: wire_format.Frame) -> list[Any]:
        pieces = wire_format.split_objects(encrypted, self.ciphertexts)
        return [load_checked(seal.Ciphertext(), self.context, piece, frame) for piece in pieces]


class SumKeys:
    """The one secret key of all who take part. It cannot be printed or pickled.

    Formal guarantee:
        Encryption is IND-CPA secure if Ring-LWE with these parameters is hard: whoever has ciphertexts and
        no key learns their number. Whoever has the key reads every ciphertext. Sums are rounded to exact
        whole numbers, so what is decrypted carries nothing of the key (Li & Micciancio 2021 need the error).
    """

    def __init__(self, secret_key: bytes) -> None:
        """Take the key that `to_bytes` returned.

        Raises:
            ValueError: It is none.
        """
        self._content = secret_key
        try:
            self._key = from_bytes(seal.SecretKey(), _any_scheme().context, secret_key)
        except (RuntimeError, ValueError, IndexError):
            raise ValueError("not a key of sums") from None

    @classmethod
    def generate(cls) -> SumKeys:
        """Return a fresh key; SEAL draws it from the system's randomness."""
        return cls(to_bytes(seal.KeyGenerator(_any_scheme().context).secret_key()))

    def to_bytes(self) -> bytes:
        """Return the secret key."""
        return self._content

    def encrypt(self, scheme: SumScheme, numbers: Integers) -> bytes:
        """Encrypt a vector, symmetric and seeded: half as long as under a public key."""
        encryptor: Any = seal.Encryptor(scheme.context, self._key)
        return b"".join(to_bytes(encryptor.encrypt_symmetric(one)) for one in scheme.encode(numbers))

    def decrypt(self, scheme: SumScheme, encrypted: bytes) -> Integers:
        """Return a sum. Shape: (numbers,).

        Raises:
            MalformedError: The bytes are no sum.
            ValueError: A number is larger than any sum.
        """
        decryptor: Any = seal.Decryptor(scheme.context, self._key)
        plaintexts: list[Any] = []
        for ciphertext in scheme.read_sum(encrypted):
            plaintexts.append(seal.Plaintext())
            decryptor.decrypt(ciphertext, plaintexts[-1])
        return scheme.decode(plaintexts)

    def __repr__(self) -> str:
        return "SumKeys(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("SumKeys cannot be pickled")


def digest_key(secret_key: bytes) -> str:
    """Return a digest by which all know that they have the same key, and from which nobody finds it."""
    return hashlib.sha256(_DIGEST_DOMAIN + secret_key).hexdigest()


def _any_scheme() -> SumScheme:
    return SumScheme(1, 1, 2)
