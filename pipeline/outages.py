"""TODO docstring."""

from __future__ import annotations

_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "s3fs", "fsspec", "gcsfs", "adlfs", "azure", "google")

_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "ProfileNotFound",
}

STORAGE_FAILED = "the storage of the workspace can't be used:"


def describe_outage(error: BaseException) -> str | None:
    """What a failure of an object store or the database means, in one line without a name; None for others.

    A file that is missing, or there already, is none.
    """
    from lexveil.privacy.vault import VaultError  # loads cryptography, which `lexveil --help` can do without

    if isinstance(error, VaultError) and error.code == "store":
        return str(error)
    told = [one for one in (error, error.__cause__) if _of_a_store(one)]
    names = {type(one).__name__ for one in told}
    if "NoSuchBucket" in names:
        return "there is no such bucket"
    if not told or isinstance(error, FileNotFoundError | FileExistsError):
        return None
    if names & _NO_CREDENTIALS:
        return "no credentials are known; for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, PermissionError):
        return "it refuses these credentials"
    if any("Connect" in name or "Timeout" in name for name in names):
        return "it can't be reached"
    return f"it answers with an error ({type(told[-1]).__name__})"


def _of_a_store(error: BaseException | None) -> bool:
    return type(error).__module__.partition(".")[0] in _CLIENTS
