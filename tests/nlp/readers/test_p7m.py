"""Signed files."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from lexveil.nlp.readers import Reason
from lexveil.nlp.readers.documents import read_content_documents

Read = Callable[..., str]
Refusal = Callable[..., Reason]


def certify(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "clerk")])
    start = datetime.datetime(2020, 5, 3, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(start).not_valid_after(start.replace(year=2050))
    return builder.sign(key, hashes.SHA256())


@pytest.fixture(scope="module")
def sign() -> Callable[..., bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = certify(key)

    def call(data: bytes, encoding: Encoding = Encoding.DER, detached: bool = False) -> bytes:
        options = [pkcs7.PKCS7Options.Binary]
        options += [pkcs7.PKCS7Options.DetachedSignature] if detached else []
        builder = pkcs7.PKCS7SignatureBuilder().set_data(data).add_signer(certificate, key, hashes.SHA256())
        return builder.sign(encoding, options)

    return call


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_what_is_signed_is_read_by_its_content(
    read: Read, sign: Callable[..., bytes], encoding: Encoding
) -> None:
    for content, text in (
        (b"The order of Judge Abernathy", "The order of Judge Abernathy"),
        (rb"{\rtf1 The order of Judge Abernathy}", "The order of Judge Abernathy"),
        (b"<?xml version='1.0'?><a><p>Judge</p><p>Abernathy</p></a>", "Judge\n\nAbernathy"),
    ):
        assert read("order.pdf.p7m", sign(content, encoding)) == text


def test_a_signature_in_a_signature_in_base64(read: Read, sign: Callable[..., bytes]) -> None:
    twice = base64.encodebytes(sign(sign(b"The order of Judge Abernathy")))
    assert read("a.p7m", twice) == "The order of Judge Abernathy"


def test_a_signed_message(sign: Callable[..., bytes]) -> None:
    message = b"From: a@example.org\r\nContent-Type: text/plain\r\n\r\nThe order of Judge Abernathy"
    (reading,) = read_content_documents("smime.p7m", sign(message))
    assert reading.text is not None
    assert reading.text.endswith("The order of Judge Abernathy")


def test_a_message_that_is_signed_in_the_clear() -> None:
    message = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/signed;\r\n protocol=x; boundary=B\r\n\r\n--B\r\n"
        b"Content-Type: text/plain\r\n\r\nThe order of Judge Abernathy\r\n--B--\r\n"
    )
    for name in ("smime.p7m", "smime.p7s"):
        (reading,) = read_content_documents(name, message)
        assert "Abernathy" in str(reading.text)


def test_what_is_refused(refusal: Refusal, sign: Callable[..., bytes]) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    secret = pkcs7.PKCS7EnvelopeBuilder().set_data(b"secret").add_recipient(certify(key))
    assert refusal("a.p7m", secret.encrypt(Encoding.DER, [])) == Reason.encrypted
    assert (
        refusal("a.p7m", sign(secret.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary]))) == Reason.encrypted
    )
    assert refusal("a.p7s", sign(b"elsewhere", detached=True)) == Reason.empty
    assert refusal("a.p7m", sign(b"x" * 500)[:300]) == Reason.broken
    assert refusal("a.p7m", b"text without a signature") == Reason.wrong_suffix
    assert refusal("a.p7m", b"0" * 400) in (Reason.broken, Reason.wrong_suffix)
