"""Services that keep the key which wraps a workspace's master key: HashiCorp Vault's transit engine, AWS KMS.

Envelope encryption: the service makes the master key and returns it twice, in clear and wrapped. The wrapped
form is stored with the documents' keys; each process has it unwrapped once and holds it in memory. The key
that wraps never leaves the service, which can refuse, log and end every use of it.

Protects against: somebody who copies workspace, database and their backups; a key file that lies about; a
dismissed operator, once the service refuses him. Does not protect against: who may ask the service, or reads
the memory of a running process; an unwrapped master key that somebody kept, until it is rotated. A wrapped
master key in an old backup opens for as long as the service has the version of the key that wrapped it
(Vault: `min_decryption_version`; KMS: until the key itself is deleted).
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from lexveil.privacy.vault import KEY_BYTES, MasterKey, MasterKeyError

_SECONDS = 10
# Bound to the wrapped key by KMS: it opens for this purpose only, and its log names it.
_KMS_CONTEXT = {"purpose": "lexveil-master-key"}
_KMS_WRONG = {"InvalidCiphertextException", "IncorrectKeyException"}
_KMS_NO_KEY = {
    "NotFoundException",
    "DisabledException",
    "KMSInvalidStateException",
    "KeyUnavailableException",
}
_KMS_REFUSED = {
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredTokenException",
    "InvalidSignatureException",
}


class KeyService(Protocol):
    """Makes a master key, opens a wrapped one, and wraps it anew. Every call may raise `MasterKeyError`.

    Codes: `service_package`, `service_unreachable`, `service_refused`, `service_no_key`, `service_wrong_key`.
    """

    @property
    def address(self) -> str:
        """Its URL, which holds no secret."""
        ...

    def generate(self) -> tuple[bytes, str]:
        """A new key of 32 bytes, and the same wrapped."""
        ...

    def unwrap(self, wrapped: str) -> bytes:
        """The key in clear."""
        ...

    def rewrap(self, wrapped: str) -> str:
        """The same key, wrapped by the newest version of the service's key; it never leaves the service."""
        ...


def key_service(address: str) -> KeyService:
    """The service at `vault://<transit mount>/<key>` or `aws-kms://<key id, ARN or alias/name>`.

    Where it is and who asks is taken from the environment as its library does: VAULT_ADDR, VAULT_TOKEN;
    AWS_REGION, credentials or a role. Raises `MasterKeyError("service_package")` without the library.
    """
    kind, _, rest = address.partition("://")
    mount, _, name = rest.rpartition("/")
    if kind == "vault" and mount and name:
        return VaultTransit(mount, name)
    if kind == "aws-kms" and rest:
        return AwsKms(rest)
    raise MasterKeyError("service_unknown")


@functools.cache
def unwrap_master_key(service: KeyService, wrapped: str) -> MasterKey:
    """The master key, unwrapped once a process. Raises `MasterKeyError`."""
    return MasterKey(service.unwrap(wrapped))


@dataclass(frozen=True, slots=True)
class VaultTransit:
    """A key of HashiCorp Vault's transit secrets engine (or OpenBao's), through hvac."""

    mount: str
    key: str

    @property
    def address(self) -> str:
        return f"vault://{self.mount}/{self.key}"

    def generate(self) -> tuple[bytes, str]:
        with _translate_vault_errors("service_no_key"):
            found = self._transit().generate_data_key(
                self.key, "plaintext", bits=8 * KEY_BYTES, mount_point=self.mount
            )["data"]
            return base64.b64decode(found["plaintext"], validate=True), str(found["ciphertext"])

    def unwrap(self, wrapped: str) -> bytes:
        with _translate_vault_errors("service_wrong_key"):
            found = self._transit().decrypt_data(self.key, wrapped, mount_point=self.mount)["data"]
            return base64.b64decode(found["plaintext"], validate=True)

    def rewrap(self, wrapped: str) -> str:
        with _translate_vault_errors("service_wrong_key"):
            found = self._transit().rewrap_data(self.key, wrapped, mount_point=self.mount)["data"]
            return str(found["ciphertext"])

    @staticmethod
    def _transit() -> Any:
        import hvac

        return hvac.Client(timeout=_SECONDS).secrets.transit


@dataclass(frozen=True, slots=True)
class AwsKms:
    """A symmetric key of AWS KMS, through boto3."""

    key: str

    @property
    def address(self) -> str:
        return f"aws-kms://{self.key}"

    def generate(self) -> tuple[bytes, str]:
        with _translate_kms_errors():
            found = self._client().generate_data_key(
                KeyId=self.key, NumberOfBytes=KEY_BYTES, EncryptionContext=_KMS_CONTEXT
            )
            return found["Plaintext"], base64.b64encode(found["CiphertextBlob"]).decode()

    def unwrap(self, wrapped: str) -> bytes:
        with _translate_kms_errors():
            blob = base64.b64decode(wrapped)
            return self._client().decrypt(
                KeyId=self.key, CiphertextBlob=blob, EncryptionContext=_KMS_CONTEXT
            )["Plaintext"]

    def rewrap(self, wrapped: str) -> str:
        with _translate_kms_errors():
            found = self._client().re_encrypt(
                CiphertextBlob=base64.b64decode(wrapped),
                SourceEncryptionContext=_KMS_CONTEXT,
                DestinationKeyId=self.key,
                DestinationEncryptionContext=_KMS_CONTEXT,
            )
            return base64.b64encode(found["CiphertextBlob"]).decode()

    @staticmethod
    def _client() -> Any:
        from boto3.session import Session
        from botocore.config import Config

        attempts = {"total_max_attempts": 3, "mode": "standard"}
        # A session of its own: the module's is not safe for threads.
        return Session().client(
            "kms", config=Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries=attempts)
        )


@contextmanager
def _translate_vault_errors(invalid: str) -> Generator[None, None, None]:
    """Errors without their messages, which quote requests. `invalid`: what a refused request means here."""
    if find_spec("hvac") is None:
        raise MasterKeyError("service_package")
    from hvac import exceptions
    from requests import RequestException

    try:
        yield
    except (exceptions.Forbidden, exceptions.Unauthorized):
        raise MasterKeyError("service_refused") from None
    except exceptions.InvalidPath:
        raise MasterKeyError("service_no_key") from None
    except exceptions.InvalidRequest:
        raise MasterKeyError(invalid) from None
    except (exceptions.VaultError, RequestException):
        raise MasterKeyError("service_unreachable") from None
    except (KeyError, TypeError, ValueError):  # something answers that is no Vault
        raise MasterKeyError("service_unreachable") from None


@contextmanager
def _translate_kms_errors() -> Generator[None, None, None]:
    if find_spec("boto3") is None:
        raise MasterKeyError("service_package")
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code in _KMS_WRONG:
            raise MasterKeyError("service_wrong_key") from None
        if code in _KMS_NO_KEY:
            raise MasterKeyError("service_no_key") from None
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        refused = code in _KMS_REFUSED or status in (401, 403)
        raise MasterKeyError("service_refused" if refused else "service_unreachable") from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.NoRegionError):
        raise MasterKeyError("service_refused") from None
    except exceptions.BotoCoreError:
        raise MasterKeyError("service_unreachable") from None
    except ValueError:  # AWS_ENDPOINT_URL is no URL
        raise MasterKeyError("service_unreachable") from None
