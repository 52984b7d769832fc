"""The part of the raw SEAL bindings that client and server share: context, encoder, bytes in and out."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import tenseal.sealapi as seal

from lexveil.privacy.he import wire_format
from lexveil.privacy.he.layout import Slots, rotation_steps
from lexveil.privacy.he.parameters import Parameters


class Storable(Protocol):
    """A SEAL object: it saves and loads itself, by path only."""

    def save(self, path: str, /) -> None:
        """Write the object to a file."""
        ...


Loaded = TypeVar("Loaded")


class Scheme:
    """A CKKS context for published parameters. It has no key.

    Attributes:
        parameters: The parameters.
        context: SEAL's context.
        encoder: SEAL's CKKS encoder.
        primes: Primes of the data modulus.
        levels: parms_id of each level: `[primes - 1]`, the last level first.
        input_scale: Scale of a request.
        output_primes: Number of primes of a reply.
        output_scale: Scale of a reply.
        input_frame: Frame of a ciphertext of a request.
        output_frame: Frame of a ciphertext of a reply.
        key_frames: Frames of the keys that a client uploads as one sequence of bytes, in this order: `galois`
            keys for the rotations, `relin` for products of ciphertexts, `public` for fresh encryptions of
            zero; only those that are used.

    Formal guarantee:
        SEAL found the parameters 128-bit secure (Homomorphic Encryption Standard 2018); those of the table
        also are by the stricter guidelines of 2024 (`ParameterSet`).
    """

    def __init__(self, parameters: Parameters) -> None:
        """Create the context.

        Raises:
            ValueError: SEAL does not find the parameters 128-bit secure.
        """
        self.parameters = parameters
        chosen = parameters.scheme
        encryption = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        encryption.set_poly_modulus_degree(chosen.poly_modulus_degree)
        modulus = seal.CoeffModulus.Create(chosen.poly_modulus_degree, list(chosen.coeff_modulus_bits))
        encryption.set_coeff_modulus(modulus)
        self.context: Any = seal.SEALContext(encryption, True, seal.SEC_LEVEL_TYPE.TC128)
        if not self.context.parameters_set():
            raise ValueError(f"SEAL refuses the parameters: {self.context.parameters_error_name()}")
        self.encoder: Any = seal.CKKSEncoder(self.context)

        self.primes: list[int] = [prime.value() for prime in modulus][:-1]
        self.levels = self._levels()
        self.input_scale = 2.0**chosen.feature_scale_bits
        self.output_primes, self.output_scale = self._output()
        self._make_frames(len(chosen.coeff_modulus_bits))

    def _levels(self) -> list[list[int]]:
        """Return the parms_id of each level: `[primes - 1]`, the last level first."""
        data = self.context.first_context_data()
        levels = [data.parms_id()]
        for _ in self.primes[1:]:
            data = data.next_context_data()
            levels.append(data.parms_id())
        return levels[::-1]

    def level(self, ciphertext: Any) -> list[int]:
        """Return the level of a ciphertext."""
        return self.levels[ciphertext.coeff_modulus_size() - 1]

    def _output(self) -> tuple[int, float]:
        # The same operations as SEAL, in its order: scales are compared to the last bit. Rescaling divides by
        # a prime, which is only near its power of two.
        parameters, chosen = self.parameters, self.parameters.scheme
        primes, scale = len(self.primes), self.input_scale

        def rescale(scale: float) -> float:
            nonlocal primes
            if primes == 1:
                return scale
            primes -= 1
            return scale / float(self.primes[primes])

        scale = rescale(scale * 2.0 ** chosen.weight_scale_bits[0])
        if parameters.n_hidden:
            hidden = scale
            for _ in range(parameters.degree - 1):
                scale = rescale(hidden * scale)
            scale = rescale(scale * 2.0 ** chosen.weight_scale_bits[1])
        return primes, scale

    def _make_frames(self, primes: int) -> None:
        degree = self.parameters.scheme.poly_modulus_degree
        version = to_bytes(seal.Plaintext())[3:5]
        key_level = self.context.key_parms_id()
        self.input_frame = wire_format.ciphertext_frame(
            version, self.levels[-1], degree, primes - 1, self.input_scale, seeded=True
        )
        self.output_frame = wire_format.ciphertext_frame(
            version,
            self.levels[self.output_primes - 1],
            degree,
            self.output_primes,
            self.output_scale,
            seeded=False,
        )
        self.key_frames: dict[str, wire_format.Frame] = {}
        if self.galois_elements:
            self.key_frames["galois"] = wire_format.galois_keys_frame(
                version, key_level, degree, primes, self.galois_elements
            )
        if self.parameters.n_hidden:
            self.key_frames["relin"] = wire_format.relin_keys_frame(version, key_level, degree, primes)
        if self.parameters.scheme.flooding_bits:
            self.key_frames["public"] = wire_format.ciphertext_frame(
                version, key_level, degree, primes, 1.0, seeded=False
            )

    @property
    def galois_elements(self) -> list[int]:
        """Galois elements (3^step mod 2N) of the rotations.

        The bindings take these where SEAL's own interface takes steps.
        """
        cycle = 2 * self.parameters.scheme.poly_modulus_degree
        return [pow(3, step, cycle) for step in rotation_steps(self.parameters)]

    def encode(self, values: Slots, scale: float, level: list[int]) -> Any:
        """Return the plaintext of a slot vector. Shape: (slots,). A level is a parms_id."""
        plaintext = seal.Plaintext()
        self.encoder.encode(values.tolist(), level, scale, plaintext)
        return plaintext

    def load(self, empty: Loaded, serialized: bytes, frame: wire_format.Frame) -> Loaded:
        """Load a stranger's bytes into `empty`.

        Raises:
            MalformedError: The bytes do not have this frame.
        """
        return load_checked(empty, self.context, serialized, frame)


def load_checked(empty: Loaded, context: Any, serialized: bytes, frame: wire_format.Frame) -> Loaded:
    """Load a stranger's bytes into `empty`.

    Raises:
        MalformedError: The bytes do not have this frame.
    """
    stored = wire_format.inflate(serialized, limit=wire_format.frame_length(frame))
    wire_format.check_frame(stored, frame)
    try:
        return from_bytes(empty, context, stored)
    except (RuntimeError, ValueError, IndexError):
        raise wire_format.MalformedError("the coefficients do not fit the parameters") from None


def to_bytes(storable: Storable) -> bytes:
    """Return the serialized object.

    Raises:
        OSError: The system has no memory or space for it.
    """
    with _private_file() as path:
        try:
            storable.save(str(path))
        except RuntimeError:  # SEAL's word for a file that cannot be written
            raise OSError("no space for a serialized object") from None
        return path.read_bytes()


def from_bytes(empty: Loaded, context: Any, serialized: bytes) -> Loaded:
    """Load bytes that this package wrote; a stranger's go through `load_checked`.

    Raises:
        OSError: The system has no memory or space for them.
    """
    with _private_file() as path:
        path.write_bytes(serialized)
        empty.load(context, str(path))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return empty


@contextlib.contextmanager
def _private_file() -> Generator[Path, None, None]:
    """Yield the path of an empty file of this process: sealapi takes paths only.

    It is in memory. /dev/shm is not used, because containers limit it to 64 MiB for all of their processes.
    """
    try:
        descriptor = os.memfd_create("lexveil")
    except (AttributeError, OSError):  # not Linux, or forbidden
        descriptor = None
    try:
        path = Path(f"/proc/self/fd/{descriptor}")
        if descriptor is not None and path.exists():
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="lexveil-", ignore_cleanup_errors=True) as folder:
            yield Path(folder) / "object"
    finally:
        if descriptor is not None:
            os.close(descriptor)
