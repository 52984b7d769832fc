"""Services that keep the key that wraps a workspace's master key: HashiCorp Vault's transit engine, AWS KMS.

Envelope encryption: the service creates the master key and returns it twice, in clear and wrapped. The
wrapped form is stored with the documents' keys; each process has it unwrapped once and holds it in memory.
The key that wraps never leaves the service, which can refuse, log and end every use of it.

Protects against: anyone who copies workspace, database and their backups; a key file left somewhere; a
dismissed operator, once the service refuses them. Does not protect against: anyone who may query the service,
or reads the memory of a running process; an unwrapped master key that somebody kept, until it is rotated. A
wrapped master key in an old backup can be opened as long as the service has the version of the key that
wrapped it (Vault: `min_decryption_version`; KMS: until the key itself is deleted).
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
# KMS binds it to the wrapped key, which opens for this purpose only, and writes it to its log.
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
    """A service that creates a master key, opens a wrapped one, and wraps it again.

    Every call may raise `MasterKeyError` with one of the codes `service_package`, `service_unreachable`,
    `service_refused`, `service_no_key` and `service_wrong_key`.
    """

    @property
    def address(self) -> str:
        """URL of the service and its key; it contains no secret."""
        ...

    def generate(self) -> tuple[bytes, str]:
        """Return a new key of 32 bytes, and the same key wrapped."""
        ...

    def unwrap(self, wrapped: str) -> bytes:
        """Return the key in clear."""
        ...

    def rewrap(self, wrapped: str) -> str:
        """Return the same key, wrapped by the newest version of the service's key."""
        ...


def key_service(address: str) -> KeyService:
    """Return the service at `vault://<transit mount>/<key>` or `aws-kms://<key id, ARN or alias/name>`.

    Endpoint and credentials come from the environment, as for the service's library: VAULT_ADDR, VAULT_TOKEN;
    AWS_REGION, credentials or a role.

    Raises:
        MasterKeyError: `service_unknown` for another address.
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
    """Return the master key, unwrapped once per process.

    Raises:
        MasterKeyError: The service does not unwrap it.
    """
    return MasterKey(service.unwrap(wrapped))


@dataclass(frozen=True, slots=True)
class VaultTransit:
    """A key of the transit secrets engine of HashiCorp Vault (or OpenBao), through hvac.

    Attributes:
        mount: Path at which the engine is mounted.
        key: Name of the key.
    """

    mount: str
    key: str

    @property
    def address(self) -> str:
        """URL of the key."""
        return f"vault://{self.mount}/{self.key}"

    def generate(self) -> tuple[bytes, str]:
        """Return a new key of 32 bytes, and the same key wrapped."""
        with _translate_vault_errors("service_no_key"):
            created = self._transit().generate_data_key(
                self.key, "plaintext", bits=8 * KEY_BYTES, mount_point=self.mount
            )["data"]
            return base64.b64decode(created["plaintext"], validate=True), str(created["ciphertext"])

    def unwrap(self, wrapped: str) -> bytes:
        """Return the key in clear."""
        with _translate_vault_errors("service_wrong_key"):
            opened = self._transit().decrypt_data(self.key, wrapped, mount_point=self.mount)["data"]
            return base64.b64decode(opened["plaintext"], validate=True)

    def rewrap(self, wrapped: str) -> str:
        """Return the same key, wrapped by the newest version of the engine's key."""
        with _translate_vault_errors("service_wrong_key"):
            renewed = self._transit().rewrap_data(self.key, wrapped, mount_point=self.mount)["data"]
            return str(renewed["ciphertext"])

    @staticmethod
    def _transit() -> Any:
        import hvac

        return hvac.Client(timeout=_SECONDS).secrets.transit


@dataclass(frozen=True, slots=True)
class AwsKms:
    """A symmetric key of AWS KMS, through boto3.

    Attributes:
        key: Key id, ARN or `alias/name`.
    """

    key: str

    @property
    def address(self) -> str:
        """URL of the key."""
        return f"aws-kms://{self.key}"

    def generate(self) -> tuple[bytes, str]:
        """Return a new key of 32 bytes, and the same key wrapped."""
        with _translate_kms_errors():
            created = self._client().generate_data_key(
                KeyId=self.key, NumberOfBytes=KEY_BYTES, EncryptionContext=_KMS_CONTEXT
            )
            return created["Plaintext"], base64.b64encode(created["CiphertextBlob"]).decode()

    def unwrap(self, wrapped: str) -> bytes:
        """Return the key in clear."""
        with _translate_kms_errors():
            blob = base64.b64decode(wrapped)
            return self._client().decrypt(
                KeyId=self.key, CiphertextBlob=blob, EncryptionContext=_KMS_CONTEXT
            )["Plaintext"]

    def rewrap(self, wrapped: str) -> str:
        """Return the same key, wrapped by the newest version of the KMS key."""
        with _translate_kms_errors():
            renewed = self._client().re_encrypt(
                CiphertextBlob=base64.b64decode(wrapped),
                SourceEncryptionContext=_KMS_CONTEXT,
                DestinationKeyId=self.key,
                DestinationEncryptionContext=_KMS_CONTEXT,
            )
            return base64.b64encode(renewed["CiphertextBlob"]).decode()

    @staticmethod
    def _client() -> Any:
        from boto3.session import Session
        from botocore.config import Config

        attempts = {"total_max_attempts": 3, "mode": "standard"}
        # A separate session: the default one is not safe for threads.
        return Session().client(
            "kms", config=Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries=attempts)
        )


@contextmanager
def _translate_vault_errors(invalid: str) -> Generator[None, None, None]:
    """Raise errors as `MasterKeyError`, without their messages, which quote requests.

    Args:
        invalid: Code of a request that Vault calls invalid.
    """
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
    except (KeyError, TypeError, ValueError):  # something answers that is not Vault
        raise MasterKeyError("service_unreachable") from None


@contextmanager
def _translate_kms_errors() -> Generator[None, None, None]:
    """Raise errors as `MasterKeyError`, without their messages, which quote requests."""
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
    except ValueError:  # AWS_ENDPOINT_URL is not a URL
        raise MasterKeyError("service_unreachable") from None
