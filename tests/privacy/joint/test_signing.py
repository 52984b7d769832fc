"""A signature holds for one message in one place, and shares tell nothing that they should not."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from lexveil.privacy.joint.secret_sharing import Field, InconsistentSharesError, JoinExtraMissingError
from lexveil.privacy.joint.signing import Certificate, ForgedError, Place, Signer
from tests.privacy.joint.offices import AGREEMENT, NOW

PLACES = [
    Place(AGREEMENT, "upload", 3, 1),
    Place(AGREEMENT[::-1], "upload", 3, 1),
    Place(AGREEMENT, "list", 3, 1),
    Place(AGREEMENT, "upload", 4, 1),
    Place(AGREEMENT, "upload", 3, 2),
    Place(AGREEMENT, "upload", 3, 1, 0),
    Place(AGREEMENT, "upload", 3, 1, 1),
]


def test_a_signature_holds_in_its_place_only() -> None:
    signer = Signer.create()
    certificate = Certificate.from_pem(signer.certify("court", NOW))
    for signed_in, opened_in in itertools.product(PLACES, PLACES):
        signed = signer.sign(signed_in, b"payload")
        if signed_in == opened_in:
            assert certificate.open(opened_in, signed) == b"payload"
        else:
            with pytest.raises(ForgedError) as raised:
                certificate.open(opened_in, signed)
            assert raised.value.office == opened_in.sender


def test_a_flipped_bit_or_another_key_is_refused() -> None:
    signer, other = Signer.create(), Signer.create()
    certificate = Certificate.from_pem(signer.certify("court", NOW))
    signed = signer.sign(PLACES[0], b"some payload")
    for position in range(len(signed)):
        changed = signed[:position] + bytes([signed[position] ^ 1]) + signed[position + 1 :]
        with pytest.raises(ForgedError):
            certificate.open(PLACES[0], changed)
    for wrong in (other.sign(PLACES[0], b"some payload"), signed[:40], b"", signed + b"x"):
        with pytest.raises(ForgedError):
            certificate.open(PLACES[0], wrong)


def test_a_changed_certificate_is_none() -> None:
    pem = Signer.create().certify("court", NOW)
    der = bytearray(Certificate.from_pem(pem).der)
    import ssl

    for position in (len(der) // 2, len(der) - 3):
        changed = der.copy()
        changed[position] ^= 1
        with pytest.raises(ValueError):
            Certificate.from_pem(ssl.DER_cert_to_PEM_cert(bytes(changed)).encode())


def test_a_key_opens_with_its_password_only() -> None:
    signer = Signer.create()
    pem = signer.to_pem(b"password")
    again = Signer.from_pem(pem, b"password")
    assert again.certify("court", NOW) is not None
    assert b"PRIVATE" in pem
    assert b"ENCRYPTED" in pem
    with pytest.raises(ValueError):
        Signer.from_pem(pem, b"wrong")
    assert "PrivateKey" not in repr(signer)


@pytest.mark.parametrize(("offices", "threshold"), [(3, 1), (5, 2), (6, 2)])
def test_all_shares_give_the_numbers_and_no_wrong_share_goes_unseen(offices: int, threshold: int) -> None:
    field = Field(70, offices, threshold)
    numbers = np.array([0, 1, -1, 2**40, -(2**40)], dtype=np.int64)
    shares = [field.read(share, numbers.size) for share in field.split(numbers)]
    assert (field.combine(shares) == numbers).all()
    for index in range(offices):
        wrong = [share.copy() for share in shares]
        wrong[index][2] = (wrong[index][2] + 1) % field.modulus
        with pytest.raises(InconsistentSharesError):
            field.combine(wrong)
    for bad in (b"", b"\xff" * 5 * field.elements.byte_length, b"\0"):
        with pytest.raises(ValueError, match="not a share"):
            field.read(bad, numbers.size)


def test_shares_of_as_many_offices_as_the_threshold_look_the_same_whatever_is_shared() -> None:
    from scipy.stats import kstest

    field = Field(70, 5, 2)
    for number in (0, 2**50):
        shares = [field.read(share, 2000) for share in field.split(np.full(2000, number, np.int64))]
        first, second = (np.array(shares[index] / field.modulus, dtype=float) for index in (0, 3))
        for seen in (first, second, (first + second) % 1, (first + 3 * second) % 1):
            assert kstest(seen, "uniform").pvalue > 1e-4


def test_too_few_offices_for_a_secret_sum_are_refused() -> None:
    for offices, threshold in ((2, 1), (2, 0), (3, 0), (4, 2)):
        with pytest.raises(ValueError, match="threshold"):
            Field(70, offices, threshold)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "mpyc"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mpyc", None)
    with pytest.raises(JoinExtraMissingError, match=r"pip install lexveil\[join\]"):
        Field(70, 3, 1)
