"""Checksums of uploads add up as the uploads do, and no other sum has theirs."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from lexveil.privacy.he.sums import SumKeys, SumScheme
from lexveil.privacy.joint.checksums import MODULUS, Checksums
from lexveil.privacy.joint.encrypted import EncryptedSumming
from lexveil.privacy.joint.signing import Certificate, Place, Signer, make_receipt
from lexveil.privacy.joint.summing import Evidence, Parties, SumRefusedError, digest_all

AGREEMENT = bytes(32)
CHECKSUMS = Checksums(b"a key that all offices have", AGREEMENT)


def draw(seed: int, size: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**62), 2**62, size)


def test_a_checksum_is_the_sum_of_products_with_secret_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    from lexveil.privacy.joint import checksums

    numbers = np.concatenate([draw(1), [0, -1, 1, -(2**63), 2**63 - 1]])
    words = CHECKSUMS._random.integers("checksum", 3, 2 * numbers.size).tolist()  # pyright: ignore
    factors = [low + (high << 64) for low, high in zip(words[::2], words[1::2], strict=True)]
    plain = sum(one * number for one, number in zip(factors, numbers.tolist(), strict=True)) % MODULUS
    assert CHECKSUMS.compute(3, numbers) == plain
    monkeypatch.setattr(checksums, "_PIECE", 7)
    assert CHECKSUMS.compute(3, numbers) == plain


def test_checksums_add_up_and_differ_by_step_key_and_agreement() -> None:
    one, other = draw(1) >> 2, draw(2) >> 2
    parts = CHECKSUMS.compute(0, one) + CHECKSUMS.compute(0, other)
    assert parts % MODULUS == CHECKSUMS.compute(0, one + other)
    changed = one + other
    changed[17] += 1
    others = [
        CHECKSUMS.compute(0, changed),
        CHECKSUMS.compute(1, one + other),
        Checksums(b"another key", AGREEMENT).compute(0, one + other),
        Checksums(b"a key that all offices have", bytes(31) + b"1").compute(0, one + other),
    ]
    assert len({parts % MODULUS, *others}) == 5


def test_a_checksum_is_sealed_for_its_place() -> None:
    sealed = CHECKSUMS.seal(2, 1, draw(1))
    assert CHECKSUMS.open(2, 1, sealed) == CHECKSUMS.compute(2, draw(1))
    assert CHECKSUMS.compute(2, draw(1)).to_bytes(16, "big") not in sealed
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for step, office, content in ((1, 1, sealed), (2, 0, sealed), (2, 1, changed), (2, 1, b"")):
        assert CHECKSUMS.open(step, office, content) is None


@pytest.mark.parametrize("added", [(0, 1), (0,)])
def test_a_record_of_an_earlier_version_without_checksums_is_still_read(added: tuple[int, ...]) -> None:
    """What all have signed before this version; with checksums, a sum that lacks an upload is refused."""
    signers = [Signer.create() for _ in range(3)]
    now = datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC)
    certificates = tuple(Certificate.from_pem(one.certify("court", now)) for one in signers)
    parties, scheme, keys = Parties(AGREEMENT, certificates, 5), SumScheme(5, 2**30, 2), SumKeys.generate()
    checksums = Checksums(keys.to_bytes(), AGREEMENT)
    uploads = [np.arange(5) + office for office in range(2)]
    encrypted = [keys.encrypt(scheme, upload) for upload in uploads]

    def sign(kind: str, sender: int, payload: bytes) -> bytes:
        return signers[sender].sign(Place(AGREEMENT, kind, 0, sender), payload)

    receipts = [make_receipt(sign("encrypted upload", office, encrypted[office])) for office in range(2)]
    total = sign("encrypted sum", 2, scheme.add([scheme.read(encrypted[office]) for office in added]))
    sealed = [checksums.seal(0, office, uploads[office]) for office in range(2)]
    signed = [sign("checksum of an upload", office, sealed[office]) for office in range(2)]
    handed = [receipt + checksum for receipt, checksum in zip(receipts, signed, strict=True)]
    summing = EncryptedSumming(parties, [2**60] * 2, scheme, keys, None, None)

    def build(opened: tuple[bytes, ...]) -> Evidence:
        seen = [sign("list of uploads", party, digest_all(opened)) for party in range(3)]
        return Evidence(opened, tuple(seen))

    found = summing.recompute(0, build((*receipts, total)))
    assert (found == sum(uploads[office] for office in added)).all()
    if added == (0, 1):
        assert (summing.recompute(0, build((*handed, total))) == uploads[0] + uploads[1]).all()
    else:
        with pytest.raises(SumRefusedError) as raised:
            summing.recompute(0, build((*handed, total)))
        assert raised.value.lacking == 1
