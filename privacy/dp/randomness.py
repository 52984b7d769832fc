"""The randomness of differential privacy: cryptographic, addressable by step, replayable from one key.

A run that is killed and restarted must not release a second, independent output under one charge. So every
draw is a function of (key, label, step): whoever holds the key repeats the killed run bit for bit, and the
run costs what the ledger reserved. With the same key the noise can be subtracted from a model, so the caller
wraps it, stores it only with the open reservation, and destroys it at the commit.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lexveil.privacy.dp import discrete_gaussian, draws

KEY_BYTES = 32
# 32-bit block counter of RFC 8439: past it the keystream would repeat.
_BLOCK_BYTES = 64
_STREAM_BYTES = 2**32 * _BLOCK_BYTES
# 2n normals per draw with n = 2, as Holohan & Braghin recommend against known reconstruction attacks.
_SUMMANDS = 4
_IN_CACHE = 1 << 14
_ZEROS = memoryview(bytes(8 * _IN_CACHE))


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


class _Uniforms:
    """Successive uniform numbers in [0, 1) from one place of a stream on, a piece at a time.

    A piece that fits into the processor's cache takes a third of the time of the whole at once: most of that
    is writing to fresh memory.
    """

    def __init__(self, key: bytes, nonce: bytes, first: int, count: int, bits: np.ndarray) -> None:
        """Start at the 64-bit number `first` of the stream; `count` numbers will be drawn.

        Args:
            key: 32 bytes.
            nonce: 12 bytes.
            first: Position in the stream.
            count: How many numbers.
            bits: Room for the bits of a piece, which may be shared by streams that draw in turns.
        """
        if 8 * (first + count) > _STREAM_BYTES:
            raise ValueError(f"one stream holds {_STREAM_BYTES} bytes, {8 * (first + count)} were requested")
        block, inside = divmod(8 * first, _BLOCK_BYTES)
        counter = block.to_bytes(4, "little")
        self._encryptor = Cipher(algorithms.ChaCha20(key, counter + nonce), mode=None).encryptor()
        self._encryptor.update(bytes(inside))
        self._bits, self._drawn = bits, torch.empty(bits.size, dtype=torch.float64)

    def draw(self, n: int) -> torch.Tensor:
        """Return the next `n`; the caller may change them, the next draw overwrites them. Shape: (n,)."""
        bits = self._bits[:n]
        self._encryptor.update_into(_ZEROS[: 8 * n], bits.data.cast("B"))
        np.right_shift(bits, 11, out=bits)
        # Below 2**53, so that a signed integer is the same, and exact as a float64.
        drawn = self._drawn[:n].copy_(torch.from_numpy(bits.view("<i8")))
        return drawn.mul_(2.0**-53)


class Stream:
    """A keystream that is read piece by piece."""

    __slots__ = ("_encryptor", "_left")

    def __init__(self, key: bytes, nonce: bytes) -> None:
        """Start at the beginning. `key`: 32 bytes; `nonce`: 12 bytes."""
        self._encryptor = Cipher(algorithms.ChaCha20(key, bytes(4) + nonce), mode=None).encryptor()
        self._left = _STREAM_BYTES

    def fill(self, numbers: np.ndarray) -> None:
        """Overwrite an array of whole numbers with the next bytes of the stream.

        Raises:
            ValueError: The stream has no more bytes.
        """
        room = numbers.data.cast("B")
        self._left -= len(room)
        if self._left < 0:
            raise ValueError(f"one stream holds {_STREAM_BYTES} bytes, more were requested")
        for start in range(0, len(room), len(_ZEROS)):
            some = room[start : start + len(_ZEROS)]
            self._encryptor.update_into(_ZEROS[: len(some)], some)


class SecureRandom:
    """Uniform and Gaussian draws from a 256-bit key, addressed by (label, step).

    The same (label, step) gives the same draw again, and a longer draw starts with the shorter one's
    keystream: use each pair for one purpose only. Each label has its own key (HKDF-SHA256), each step its own
    nonce, so that streams neither overlap nor reveal anything about each other.

    Formal guarantee:
        Under the assumption that ChaCha20 is a pseudo-random function and HKDF-SHA256 a key derivation
        function, draws are computationally indistinguishable from independent uniform bits to anyone without
        the key; differential privacy that rests on them is computational. `whole_normals`, of which the noise
        of training is made, is a discrete Gaussian with the guarantee of `discrete_gaussian.draw_pieces`. A
        draw of `normal` is the sum of four independent Box-Muller normals over sqrt(4) in float64 (Holohan &
        Braghin 2021, "Secure Random Sampling in Differential Privacy", section 4), which makes the inversion
        attack of Mironov 2012 ("On significance of the least significant bits") infeasible as far as is known
        today. It is a mitigation, not a proof: the float64 grid is not the real line, and tails end at 8.6
        standard deviations per summand. Its draws repeat bit for bit on the same machine and library
        versions; other vector units may round the last bit of log and cos differently.
    """

    __slots__ = ("_key", "_subkeys")

    def __init__(self, key: bytes | None = None) -> None:
        """Create a source of randomness.

        Args:
            key: 32 bytes; None for a fresh key from the system's randomness.

        Raises:
            ValueError: The key has another length.
        """
        self._key = secrets.token_bytes(KEY_BYTES) if key is None else bytes(key)
        self._subkeys: dict[bytes, bytes] = {}
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
        if info not in self._subkeys:
            kdf = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info)
            self._subkeys[info] = kdf.derive(self._key)
        return self._subkeys[info]

    def _address(self, label: str, step: int) -> tuple[bytes, bytes]:
        """Return key and nonce of the stream of a label and step."""
        if step < 0:
            raise ValueError(f"step must be 0 or more, found {step}")
        return self._subkey(b"lexveil/dp/randomness/1/" + label.encode()), step.to_bytes(12, "little")

    def _bytes(self, label: str, step: int, n_bytes: int) -> bytes:
        return keystream(*self._address(label, step), n_bytes)

    def whole_normals(self, label: str, step: int, n: int, parts: int = 4) -> Iterator[np.ndarray]:
        """Yield draws of `discrete_gaussian`, the same on any machine, piece by piece.

        A piece is a float64 array of whole numbers, which the next piece overwrites; the pieces have `n`
        together.

        Raises:
            ValueError: `step` is negative.
        """
        return discrete_gaussian.draw_pieces(parts, Stream(*self._address(label, step)).fill, n)

    def add_whole_normals(
        self, label: str, step: int, sums: Sequence[np.ndarray], spacing: float, parts: int = 4
    ) -> None:
        """Round sums to a grid, and add the draws of `whole_normals` to them in units of its spacing.

        Args:
            label: Purpose of the draws.
            step: Number of the step.
            sums: Contiguous arrays of float64, shape (n,) each, changed in place.
            spacing: Distance between neighbors on the grid.
            parts: Number of parts of a draw.

        Raises:
            ValueError: `step` is negative.
        """
        if type(self).whole_normals is SecureRandom.whole_normals:
            draws.add_draws(sums, spacing, parts, Stream(*self._address(label, step)).fill)
        else:  # a subclass draws something else
            draws.add_pieces(sums, spacing, self.whole_normals(label, step, sum(map(len, sums)), parts))

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
        subkey, nonce = self._address(label, step)
        bits = np.empty(_IN_CACHE, "<u8")
        streams = [_Uniforms(subkey, nonce, m * row, m, bits) for row in range(_SUMMANDS)]
        pairs = list(zip(streams[:2], streams[2:], strict=True))
        total, kept = torch.empty(m, dtype=torch.float64), torch.empty(_IN_CACHE, dtype=torch.float64)
        carried = [0.0] * len(pairs)  # the sine of the draw before, of each pair
        first: list[float] = []
        for start in range(0, m, _IN_CACHE):
            drawn = total[start : start + _IN_CACHE]
            for index, (radii, angles) in enumerate(pairs):
                # 1 - u is in (0, 1], where the logarithm is finite.
                radius = radii.draw(len(drawn)).neg_().log1p_().mul_(-2 / _SUMMANDS).sqrt_()
                angle = angles.draw(len(drawn)).mul_(2 * math.pi)
                cosines = torch.cos(angle, out=kept[: len(drawn)]).mul_(radius)
                sines = radius.mul_(angle.sin_())
                if index == 0:
                    drawn.copy_(cosines)
                    drawn[0] += carried[index]
                else:
                    drawn[0] += carried[index]
                    drawn.add_(cosines)
                if start == 0:
                    first.append(float(cosines[0]))
                # The sine goes to the next draw, so that no draw holds both halves of a pair.
                drawn[1:] += sines[:-1]
                carried[index] = float(sines[-1])
        # The last sines go to the first draw, in the order of all others.
        total[0] = ((first[0] + carried[0]) + first[1]) + carried[1]
        return total[:n]
