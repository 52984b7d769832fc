"""An office's certificate and signatures: Ed25519, one key for the connection and for what is signed."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

_SIGNATURE_BYTES = 64
_DOMAIN = b"lexveil/joint/1"
_EVERYBODY = 2**32 - 1
_LIFETIME = datetime.timedelta(days=3650)


class ForgedError(Exception):
    """A message is not what an office has signed.

    Attributes:
        office: Index of the office.
    """

    def __init__(self, office: int, what: str) -> None:
        super().__init__(f"{what} does not bear the signature of its office")
        self.office, self.what = office, what


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message belongs: a signature holds in this place only.

    Attributes:
        agreement: Digest of the agreement, 32 bytes.
        kind: What the message is.
        step: Number of the step.
        sender: Index of the office that signs.
        receiver: Index of the office that it is for; None: all.
    """

    agreement: bytes
    kind: str
    step: int
    sender: int
    receiver: int | None = None

    def to_bytes(self) -> bytes:
        """Return the place as bytes, of which no two places have the same."""
        receiver = _EVERYBODY if self.receiver is None else self.receiver
        numbers = b"".join(number.to_bytes(4, "big") for number in (self.step, self.sender, receiver))
        kind = self.kind.encode()
        return b"".join((_DOMAIN, self.agreement, numbers, len(kind).to_bytes(1, "big"), kind))


@dataclass(frozen=True, slots=True)
class Signer:
    """The private key of an office."""

    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def create(cls) -> Signer:
        """Draw a fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, content: bytes, password: bytes) -> Signer:
        """Return the key that `to_pem` wrote.

        Raises:
            ValueError: It is none, or the password is wrong.
        """
        key = serialization.load_pem_private_key(content, password)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("an office's key is an Ed25519 key")
        return cls(key)

    def to_pem(self, password: bytes) -> bytes:
        """Return the key, encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )

    def certify(self, name: str, now: datetime.datetime) -> bytes:
        """Return a certificate of this key, PEM, signed by itself: agreements name the very certificate."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, None)
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, place: Place, payload: bytes) -> bytes:
        """Return the signature of a message, followed by the message."""
        return self.key.sign(_to_be_signed(place, hashlib.sha256(payload).digest())) + payload


def _to_be_signed(place: Place, digest: bytes) -> bytes:
    # The digest instead of the payload: a transcript can show who signed what without keeping all of it.
    return place.to_bytes() + digest


def make_receipt(signed: bytes) -> bytes:
    """Return what shows who has signed which message without the message: its signature and digest."""
    return signed[:_SIGNATURE_BYTES] + hashlib.sha256(signed[_SIGNATURE_BYTES:]).digest()


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate of an office.

    Attributes:
        der: Its bytes.
        public_key: The key that it certifies.
    """

    der: bytes
    public_key: Ed25519PublicKey = field(repr=False)

    @classmethod
    def from_pem(cls, content: bytes) -> Certificate:
        """Read a certificate.

        Raises:
            ValueError: It is none of an Ed25519 key, or is not signed by its own key.
        """
        certificate = x509.load_pem_x509_certificate(content)
        key = certificate.public_key()
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("an office's certificate has an Ed25519 key")
        try:
            certificate.verify_directly_issued_by(certificate)
        except InvalidSignature:
            raise ValueError("the certificate was changed") from None
        return cls(certificate.public_bytes(serialization.Encoding.DER), key)

    def open(self, place: Place, signed: bytes) -> bytes:
        """Return the message of a signed one.

        Raises:
            ForgedError: The key of this certificate has not signed it, or has signed it for another place.
        """
        self.check_receipt(place, make_receipt(signed))
        return signed[_SIGNATURE_BYTES:]

    def check_receipt(self, place: Place, receipt: bytes) -> None:
        """Check the receipt of a message.

        Raises:
            ForgedError: The key of this certificate has not signed the message, or for another place.
        """
        signature, digest = receipt[:_SIGNATURE_BYTES], receipt[_SIGNATURE_BYTES:]
        try:
            self.public_key.verify(signature, _to_be_signed(place, digest))
        except InvalidSignature:
            raise ForgedError(place.sender, f"the {place.kind} of step {place.step}") from None
