"""Sums under one key are exact; what is no ciphertext is refused; nobody without the key reads anything."""

from __future__ import annotations

import pickle
from contextlib import suppress

import numpy as np
import pytest

from lexveil.privacy.he.sums import SumKeys, SumScheme, digest_key
from lexveil.privacy.he.wire_format import MalformedError

NUMBERS, LARGEST = 5000, 2**34
SCHEME = SumScheme(NUMBERS, LARGEST, 5)
KEYS = SumKeys(SumKeys.generate().to_bytes())


def draw(seed: int, largest: int = LARGEST // 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(-largest, largest + 1, NUMBERS)


@pytest.mark.parametrize("seed", range(3))
def test_a_sum_of_encrypted_vectors_is_exact(seed: int) -> None:
    vectors = [draw(5 * seed + one) for one in range(5)]
    vectors[0][:2], vectors[1][:2] = LARGEST // 5, -(LARGEST // 5)
    added = SCHEME.add([SCHEME.read(KEYS.encrypt(SCHEME, one)) for one in vectors])
    assert (KEYS.decrypt(SCHEME, added) == np.sum(vectors, axis=0)).all()


@pytest.mark.parametrize(("bits", "summands"), [(40, 64), (42, 5), (1, 2)])
def test_the_largest_numbers_of_a_scheme_are_exact(bits: int, summands: int) -> None:
    scheme = SumScheme(4097, 2**bits - 1, summands)
    each = (2**bits - 1) // summands
    vector = np.random.default_rng(bits).choice([-each, each], 4097)
    added = scheme.add([scheme.read(KEYS.encrypt(scheme, vector)) for _ in range(summands)])
    assert (KEYS.decrypt(scheme, added) == summands * vector).all()


@pytest.mark.parametrize(("bits", "summands"), [(48, 2), (44, 64)])
def test_numbers_that_would_not_be_exact_are_refused(bits: int, summands: int) -> None:
    with pytest.raises(ValueError, match="too large"):
        SumScheme(4097, 2**bits - 1, summands)


def test_one_vector_is_encrypted_otherwise_each_time_and_is_about_as_long_as_in_plain() -> None:
    one, other = (KEYS.encrypt(SCHEME, draw(1)) for _ in range(2))
    assert one != other
    assert len(one) < 1.05 * 8 * 2 * 4096


def test_who_has_another_key_reads_nothing() -> None:
    vector = draw(1)
    added = SCHEME.add([SCHEME.read(KEYS.encrypt(SCHEME, vector))])
    with pytest.raises(ValueError, match="larger than any sum"):
        SumKeys.generate().decrypt(SCHEME, added)


def test_what_is_no_vector_of_the_scheme_is_refused() -> None:
    honest = KEYS.encrypt(SCHEME, draw(1))
    longer, coarser = SumScheme(9000, LARGEST, 5), SumScheme(NUMBERS, 2**38, 5)
    hostile = [
        b"",
        b"\0" * len(honest),
        honest[:-1],
        honest + b"\0",
        honest + honest,
        honest[: len(honest) // 2],
    ]
    hostile += [KEYS.encrypt(longer, np.zeros(9000, int)), KEYS.encrypt(coarser, draw(1))]
    hostile += [SCHEME.add([SCHEME.read(honest)]), KEYS.to_bytes(), pickle.dumps([1])]
    for one in hostile:
        with pytest.raises(MalformedError):
            SCHEME.read(one)
    dice = np.random.default_rng(2)
    for _ in range(60):
        changed = bytearray(honest)
        changed[int(dice.integers(0, 120))] ^= int(dice.integers(1, 256))
        with suppress(MalformedError):  # a changed coefficient is another number
            assert len(SCHEME.read(bytes(changed))) == SCHEME.ciphertexts


def test_a_changed_sum_is_refused_or_of_the_right_shape() -> None:
    added = SCHEME.add([SCHEME.read(KEYS.encrypt(SCHEME, draw(1)))])
    for at in (20, 60, 100, 5000):
        changed = bytearray(added)
        changed[at] ^= 1
        with pytest.raises(ValueError):  # the structure, or numbers beyond all bounds
            KEYS.decrypt(SCHEME, bytes(changed))


def test_the_key_is_not_shown_and_its_digest_tells_keys_apart() -> None:
    assert repr(KEYS) == "SumKeys(...)"
    with pytest.raises(TypeError):
        pickle.dumps(KEYS)
    assert digest_key(KEYS.to_bytes()) != digest_key(SumKeys.generate().to_bytes())
    with pytest.raises(ValueError, match="not a key"):
        SumKeys(b"no key")
