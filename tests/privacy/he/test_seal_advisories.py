"""What SEAL 4.4.0 mended in its loaders, and the bundled 4.3.3 has not: refused before SEAL reads a byte.

SECURITY.md lists what reaches this software. Two faults of before 4.3.3 are tested with them: an older wheel
would have these again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tenseal.sealapi as seal
import zstandard

from lexveil.privacy.he import scheme as scheme_module
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.network import NetworkEvaluator
from lexveil.privacy.he.parameters import choose_parameters
from lexveil.privacy.he.scheme import Scheme, to_bytes
from lexveil.privacy.he.wire_format import MalformedError, inflate, make_header, split_objects

PARAMETERS = choose_parameters(64, 2, n_hidden=4, degree=2)
ROOMY = 1 << 26
# Offsets in an uncompressed object: header, id of the level, one byte, then size, degree, primes, scale.
HEADER, LEVEL = 16, 32
SIZE = HEADER + LEVEL + 1
SCALE = SIZE + 24
OUTER, INNER = HEADER + LEVEL, HEADER + LEVEL + 8


@pytest.fixture(scope="module")
def keys() -> ClientKeys:
    return ClientKeys.generate(PARAMETERS)


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return Scheme(PARAMETERS)


@pytest.fixture(scope="module")
def request_(keys: ClientKeys) -> bytes:
    (request,) = keys.encrypt(np.full((1, 64), 0.125))
    return inflate(request, ROOMY)


@pytest.fixture(scope="module")
def uploads(keys: ClientKeys, scheme: Scheme) -> dict[str, bytes]:
    names = list(scheme.key_frames)
    pieces = split_objects(keys.evaluation_keys(), len(names))
    return {name: inflate(piece, ROOMY) for name, piece in zip(names, pieces, strict=True)}


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """SEAL's loader must not be reached."""

    def fail(*_: Any) -> Any:
        raise AssertionError("SEAL was given the bytes")

    monkeypatch.setattr(scheme_module, "from_bytes", fail)


def patch(stored: bytes, at: int, piece: bytes) -> bytes:
    return stored[:at] + piece + stored[at + len(piece) :]


def resize(stored: bytes, body: bytes) -> bytes:
    return make_header(stored[3:5], len(body)) + body


def compress(stored: bytes, body: bytes) -> bytes:
    inflating = zstandard.compress(body, 3)
    return stored[:5] + struct.pack("<BHQ", 2, 0, HEADER + len(inflating)) + inflating


def test_the_bundled_seal_is_the_one_that_security_md_names() -> None:
    assert tuple(to_bytes(seal.Plaintext())[3:5]) == (4, 3)


@pytest.mark.usefixtures("unread")
class TestHeaders:
    """4.3.3: a size beyond the input was allocated. 4.4.0: one below the header wrapped around."""

    @pytest.mark.parametrize("size", [0, 1, 15, 16, 1 << 31, (1 << 63) - 1, (1 << 64) - 1])
    @pytest.mark.parametrize("compression", [0, 1, 2])
    def test_a_size_that_lies(self, scheme: Scheme, request_: bytes, size: int, compression: int) -> None:
        lying = patch(patch(request_, 5, bytes([compression])), 8, struct.pack("<Q", size))
        with pytest.raises(MalformedError):
            scheme.load(seal.Ciphertext(), lying, scheme.input_frame)
        with pytest.raises(MalformedError):
            split_objects(lying, 1)

    def test_one_within_another_object(self, scheme: Scheme, request_: bytes) -> None:
        inner = request_.index(b"\x5e\xa1\x10", HEADER)
        for size in (0, 15, 1 << 40):
            lying = patch(request_, inner + 8, struct.pack("<Q", size))
            with pytest.raises(MalformedError):
                scheme.load(seal.Ciphertext(), lying, scheme.input_frame)

    @pytest.mark.parametrize("more", [1, 1 << 24])
    def test_what_inflates_beyond_its_frame(self, scheme: Scheme, request_: bytes, more: int) -> None:
        """4.3.3: the whole of it was inflated before anything was checked."""
        bomb = compress(request_, request_[HEADER:] + bytes(more))
        with pytest.raises(MalformedError, match=r"length|inflate"):
            scheme.load(seal.Ciphertext(), bomb, scheme.input_frame)


@pytest.mark.usefixtures("unread")
class TestCiphertexts:
    @pytest.mark.parametrize("size", [0, 1, 3, 16, 1 << 32, (1 << 64) - 1])
    def test_another_number_of_polynomials(self, scheme: Scheme, request_: bytes, size: int) -> None:
        """4.4.0: a seeded ciphertext of another size than two went beyond its buffer."""
        crafted = patch(request_, SIZE, struct.pack("<Q", size))
        with pytest.raises(MalformedError):
            scheme.load(seal.Ciphertext(), crafted, scheme.input_frame)

    @pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 5e-324, 2.0**60])
    def test_a_scale_that_is_no_scale(self, scheme: Scheme, request_: bytes, scale: float) -> None:
        """4.4.0: NaN, infinite and denormal scales passed the check of validity."""
        crafted = patch(request_, SCALE, struct.pack("<d", scale))
        with pytest.raises(MalformedError):
            scheme.load(seal.Ciphertext(), crafted, scheme.input_frame)

    @pytest.mark.parametrize("words", [0, 1, 1 << 40, (1 << 64) - 1])
    def test_another_number_of_coefficients(self, scheme: Scheme, request_: bytes, words: int) -> None:
        """4.4.0: a bound of zero was none."""
        inner = request_.index(b"\x5e\xa1\x10", HEADER)
        crafted = patch(request_, inner + HEADER, struct.pack("<Q", words))
        with pytest.raises(MalformedError):
            scheme.load(seal.Ciphertext(), crafted, scheme.input_frame)


@pytest.mark.usefixtures("unread")
class TestKeys:
    """4.4.0: dimensions of keys were bounded by constants; too few keys were read past their end."""

    @pytest.mark.parametrize("name", ["galois", "relin"])
    @pytest.mark.parametrize("where", [OUTER, INNER])
    @pytest.mark.parametrize("count", [0, 2, 1 << 20, (1 << 64) - 1])
    def test_other_dimensions(
        self, scheme: Scheme, uploads: dict[str, bytes], name: str, where: int, count: int
    ) -> None:
        stored = uploads[name]
        crafted = patch(stored, where, struct.pack("<Q", count))
        if crafted == stored:
            crafted = patch(stored, where, struct.pack("<Q", count + 1))
        with pytest.raises(MalformedError):
            scheme.load(empty(name), crafted, scheme.key_frames[name])

    @pytest.mark.parametrize("name", ["galois", "relin"])
    def test_a_key_that_lacks_parts(self, scheme: Scheme, uploads: dict[str, bytes], name: str) -> None:
        stored = uploads[name]
        for body in (stored[HEADER:-1], stored[HEADER : len(stored) // 2], stored[HEADER:INNER]):
            with pytest.raises(MalformedError):
                scheme.load(empty(name), resize(stored, body), scheme.key_frames[name])

    def test_keys_of_another_kind(self, scheme: Scheme, uploads: dict[str, bytes]) -> None:
        for name, frame in scheme.key_frames.items():
            for other, stored in uploads.items():
                if other != name:
                    with pytest.raises(MalformedError):
                        scheme.load(empty(name), stored, frame)


def empty(name: str) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "galois": seal.GaloisKeys,
        "relin": seal.RelinKeys,
        "public": seal.Ciphertext,
    }
    return makers[name]()


def test_coefficients_past_the_modulus_are_refused_by_seal(scheme: Scheme, request_: bytes) -> None:
    """A caller chooses coefficients: their range is SEAL's to check."""
    at = request_.index(b"\x5e\xa1\x10", HEADER) + HEADER + 8
    crafted = patch(request_, at, b"\xff" * 8)
    with pytest.raises(MalformedError, match="coefficients"):
        scheme.load(seal.Ciphertext(), crafted, scheme.input_frame)


def test_a_public_key_whose_second_polynomial_is_marked_as_a_seed(
    scheme: Scheme, uploads: dict[str, bytes]
) -> None:
    """4.4.0: a ciphertext that says so is no ciphertext to compute with."""
    stored = uploads["public"]
    second = len(stored) - 8 * PARAMETERS.scheme.poly_modulus_degree * len(
        PARAMETERS.scheme.coeff_modulus_bits
    )
    for word in (b"\xff" * 8, b"\xfe" + b"\xff" * 7):
        with pytest.raises(MalformedError, match="coefficients"):
            scheme.load(seal.Ciphertext(), patch(stored, second, word), scheme.key_frames["public"])


def test_honest_uploads_still_load(keys: ClientKeys) -> None:
    head = NetworkEvaluator(
        PARAMETERS,
        (np.ones((64, 4)) / 8, np.zeros(4)),
        Activation.square((-9, 9)),
        (np.ones((4, 2)), np.zeros(2)),
    )
    loaded = head.load_keys(keys.evaluation_keys())
    (request,) = keys.encrypt(np.full((1, 64), 0.125))
    assert np.abs(keys.decrypt([head.evaluate(request, loaded)], 1) - 4).max() < 0.1
