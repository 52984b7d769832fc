"""Encryption at rest: one data key per document, wrapped by one master key; erasure destroys the data key.

Everything is composed of primitives of the `cryptography` package: AES-256-GCM (NIST SP 800-38D), HKDF-SHA256
(RFC 5869) and HMAC-SHA256 (RFC 2104).

Protects against: anyone who copies the disk, the raw folder or the key table without the master key; a file
that was exchanged, truncated or edited (it is refused, never decrypted to something else); a document that
must be forgotten although its ciphertext remains in backups that nobody can reach any more.

Does not protect against: anyone who reads the memory of a running process or has the master key; a backup of
the key table made before an erasure, together with the master key (give such backups a short retention);
copies of the plaintext elsewhere (source folders, swap); the number, size and age of the documents, and how
well each compresses, which stay visible. Flash drives and copy-on-write file systems may keep old blocks of
the key table: keep it on an encrypted volume.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lexveil.privacy.files import write_atomically

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
SEAL_VERSION = 1
COMPRESSED_SEAL_VERSION = 2
CONTENT_ID_LENGTH = 32
# Of zstd: contracts and judgments become 11 % smaller than by its default, 3, for 20 ns a byte more.
_LEVEL = 9


class VaultError(Exception):
    """Base of the errors of encryption at rest. It never carries a key, an id, a path or content.

    Attributes:
        code: Reason code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class MasterKeyError(VaultError):
    """The master key cannot be used.

    Codes: `missing`, `unreadable`, `unwritable`, `mode` (group or others may read the file), `length` (not 32
    bytes or 64 hexadecimal digits), `wrong_key` (the key store was made under another master key),
    `elsewhere` (it is kept by another service than the named one, or by none); and `service_...`, see
    `lexveil.privacy.key_services`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code, f"the master key cannot be used ({code})")


class TamperedError(VaultError):
    """Sealed bytes do not open.

    They were altered, truncated, moved from another document or purpose, or sealed under another key.
    """

    def __init__(self) -> None:
        super().__init__("tampered", "sealed bytes do not match their key and context")


class ErasedError(VaultError):
    """A key was requested for an erased document. It is never made again: its text would come back.

    Attributes:
        count: Number of requested documents that were erased.
    """

    def __init__(self, count: int) -> None:
        super().__init__("erased", f"{count} of the requested documents were erased")
        self.count = count


class MasterKey:
    """The one secret of a workspace: 32 bytes. It cannot be printed or pickled.

    Its bytes never encrypt anything themselves; each use has a separate key (`derive`).
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """Create a key from 32 bytes.

        Raises:
            MasterKeyError: `length`.
        """
        if len(secret) != KEY_BYTES:
            raise MasterKeyError("length")
        self._secret = bytes(secret)

    @classmethod
    def generate(cls) -> MasterKey:
        """Return a new random key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_hex(cls, digits: str) -> MasterKey:
        """Return the key of 64 hexadecimal digits, as in an environment variable.

        Raises:
            MasterKeyError: `length`.
        """
        try:
            return cls(bytes.fromhex(digits.strip()))
        except ValueError:
            raise MasterKeyError("length") from None

    @classmethod
    def from_file(cls, path: Path, create: bool = True) -> MasterKey:
        """Return the key in a file that only its owner may read (64 hexadecimal digits, or 32 raw bytes).

        Args:
            path: The file.
            create: Create a missing file with a new key (mode 0600, complete or not at all; if two processes
                create it at once, both use the first one's key).

        Raises:
            MasterKeyError: `missing`, `unreadable`, `unwritable`, `mode` or `length`.
        """
        try:
            return cls._read(path)
        except FileNotFoundError:
            if not create:
                raise MasterKeyError("missing") from None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):  # another process has just made it
                write_atomically(path, secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n", overwrite=False)
            return cls._read(path)
        except OSError:
            raise MasterKeyError("unwritable") from None

    @classmethod
    def _read(cls, path: Path) -> MasterKey:
        try:
            with path.open("rb") as file:
                # The mode of the opened file, not of the path: nothing can be exchanged in between.
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise MasterKeyError("mode")
                content = file.read(4 * KEY_BYTES)
        except FileNotFoundError:
            raise
        except OSError:
            raise MasterKeyError("unreadable") from None
        if len(content) == KEY_BYTES:
            return cls(content)
        return cls.from_hex(content.decode("ascii", errors="replace"))

    def derive(self, purpose: str) -> bytes:
        """Return the 32-byte key for one purpose.

        HKDF-SHA256 (RFC 5869), no salt, info `lexveil/v1/<purpose>`. A derived key changes when the master
        key is rotated; what must survive rotation (document ids, pseudonyms) uses
        `lexveil.privacy.keystore.KeyStore.purpose_key`.
        """
        return hkdf_sha256(self._secret, salt=None, info=b"lexveil/v1/" + purpose.encode(), length=KEY_BYTES)

    @property
    def key_id(self) -> str:
        """8 hexadecimal digits to distinguish a wrong key from a broken file; they reveal nothing of it."""
        return self.derive("key-id").hex()[:8]

    def __repr__(self) -> str:
        return "MasterKey(...)"

    def __reduce__(self) -> NoReturn:
        # Task runners pickle their arguments into databases and messages.
        raise TypeError("a MasterKey cannot be pickled; open it from its file in each process")


def hkdf_sha256(secret: bytes, *, salt: bytes | None, info: bytes, length: int) -> bytes:
    """Derive a key by HKDF with SHA-256 (RFC 5869, sections 2.2 and 2.3)."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def content_id(key: bytes, content: bytes) -> str:
    """Return a document id: 128 bits of the keyed hash of the content, as 32 hexadecimal digits.

    HMAC-SHA256 (RFC 2104), truncated. It is keyed, because a plain hash would let anyone who guesses a
    document confirm the guess.
    """
    return hmac.digest(key, content, "sha256").hex()[:CONTENT_ID_LENGTH]


def seal(data_key: bytes, plaintext: bytes, context: str, *, compress: bool = False) -> bytes:
    """Encrypt with AES-256-GCM.

    Args:
        data_key: 32 bytes.
        plaintext: Bytes to encrypt.
        context: Document id and purpose. It is authenticated, not stored: bytes that are moved elsewhere do
            not open there.
        compress: Compress with zstd first. The length then tells how well the plaintext compresses: only for
            the content of one document, which nobody can have sealed again and again beside texts of their
            choice to guess the rest from lengths (docs/guarantees.md).

    Returns:
        Version (1 byte) | random nonce (12) | ciphertext | tag (16).

    Formal guarantee:
        Confidentiality, except for the length, and integrity of AES-GCM. Random 96-bit nonces are safe for
        2^32 messages per key (NIST SP 800-38D, section 8.3); a document's key seals only a few.
    """
    version = COMPRESSED_SEAL_VERSION if compress else SEAL_VERSION
    content = zstandard.ZstdCompressor(_LEVEL).compress(plaintext) if compress else plaintext
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(data_key).encrypt(nonce, content, _associated_data(version, context))
    return bytes([version]) + nonce + sealed


def unseal(data_key: bytes, sealed: bytes, context: str) -> bytes:
    """Decrypt what `seal` made under the same key and context, compressed or not.

    Raises:
        TamperedError: Anything else.
    """
    if len(sealed) < 1 + NONCE_BYTES + TAG_BYTES or sealed[0] not in (SEAL_VERSION, COMPRESSED_SEAL_VERSION):
        raise TamperedError
    version, nonce, body = sealed[0], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        content = AESGCM(data_key).decrypt(nonce, body, _associated_data(version, context))
        # Nothing is decompressed that the key's holder has not sealed.
        return zstandard.ZstdDecompressor().decompress(content) if version != SEAL_VERSION else content
    except (InvalidTag, zstandard.ZstdError):
        raise TamperedError from None


def _associated_data(version: int, context: str) -> bytes:
    return f"lexveil/seal/v{version}/".encode() + context.encode()
