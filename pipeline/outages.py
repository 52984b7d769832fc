"""Detection of outages: failures of an object store or the database, as opposed to missing files."""

from __future__ import annotations

import errno

# Packages of the object stores' clients: an error of a type that they define comes from a store.
_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "s3fs", "fsspec", "gcsfs", "adlfs", "azure", "google")

_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "ProfileNotFound",
}

# No space, no quota, or a file larger than is allowed.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

STORAGE_FAILED = "the storage of the workspace cannot be used:"


def describe_outage(error: BaseException) -> str | None:
    """Describe a failure of an object store or the database in one line that names nothing.

    Returns:
        The line; None for other errors. A file that is missing, or that already exists, is not an outage.
    """
    from lexveil.privacy.vault import VaultError  # loads cryptography, which `lexveil --help` does not need

    if isinstance(error, VaultError) and error.code == "store":
        return str(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        return "the disk is full"
    causes = [cause for cause in (error, error.__cause__) if _is_from_client(cause)]
    names = {type(cause).__name__ for cause in causes}
    if "NoSuchBucket" in names:
        return "there is no such bucket"
    if not causes or isinstance(error, FileNotFoundError | FileExistsError):
        return None
    if names & _NO_CREDENTIALS:
        return "no credentials are known; for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, PermissionError):
        return "it refuses these credentials"
    if any("Connect" in name or "Timeout" in name for name in names):
        return "it cannot be reached"
    return f"it answers with an error ({type(causes[-1]).__name__})"


def _is_from_client(error: BaseException | None) -> bool:
    return type(error).__module__.partition(".")[0] in _CLIENTS
