"""Where files lie: a folder of this machine, or any fsspec URL such as `s3://bucket/prefix`.

A remote path has pathlib's interface (`pipeline.remote`), so most code need not know. This is for the rest:
how a file is put in place at once, what to print, what an outage is called.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, cast
from urllib.parse import unquote

from pipeline.errors import WorkspaceError

# One slash is enough: pathlib folds two into one.
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,2}(?P<rest>.*)", re.DOTALL)
_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "s3fs", "fsspec", "gcsfs", "adlfs", "azure", "google")
_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "ProfileNotFound",
}
_EXTRAS = {"s3": "aws", "s3a": "aws"}


STORAGE_FAILED = "the storage of the workspace can't be used:"


class StorageUnknown(Exception):
    """A URL of a kind that isn't known, or whose package isn't installed; its message is for people."""


def located(place: str | Path) -> Path:
    """The path that a user or a schedule names: a folder, or a URL.

    A remote one only looks like a `pathlib.Path`: it has its methods, but no `os.fspath`.
    Raises: StorageUnknown.
    """
    if not isinstance(place, str) and is_remote(place):
        return place
    url = _URL.fullmatch(str(place))
    if url is None:
        return Path(place)
    scheme, rest = url["scheme"], url["rest"].rstrip("/")
    if scheme in ("file", "local"):
        return Path("/" + unquote(rest).lstrip("/"))
    from fsspec.registry import known_implementations

    if scheme not in known_implementations:
        raise StorageUnknown(f"{scheme}:// is no kind of storage that is known")
    from pipeline.remote import RemotePath

    try:
        # Listings are never cached: other machines write too.
        return cast(Path, RemotePath(f"{scheme}://{rest.lstrip('/')}", use_listings_cache=False))
    except ImportError:
        extra = _EXTRAS.get(scheme)
        wanted = f"lexveil[{extra}]" if extra else "the fsspec package for it"
        raise StorageUnknown(f"{scheme}:// needs {wanted}, which isn't installed") from None
    except ValueError:
        raise StorageUnknown(f"a {scheme}:// URL must name a bucket") from None


def is_remote(path: Path) -> bool:
    """Whether a path lies on an object store instead of this machine."""
    return not isinstance(cast(Any, path), PurePath)


def url_of(path: Path) -> str:
    """What to print, and what `located` takes again from any folder: a URL, or an absolute path."""
    return str(path) if is_remote(path) else str(path.resolve())


def read_all(paths: Sequence[Path]) -> list[bytes]:
    """The content of each of these files; from an object store, many at once. Raises FileNotFoundError."""
    if not paths or not is_remote(paths[0]):
        return [path.read_bytes() for path in paths]
    names = [cast(Any, path).path for path in paths]
    found: dict[str, bytes] = cast(Any, paths[0]).fs.cat(names)
    return [found[name] for name in names]


def put(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file so that it is either wholly there or not at all; `mode` is cut by the umask.

    A bucket takes an object whole, and knows no modes.
    """
    if is_remote(path):
        path.write_bytes(content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        # The mode at creation: set afterwards, others could have opened the file in between.
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(path)
    except OSError:  # on a full disk half a file would take the room that is wanted
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def put_first(path: Path, content: bytes) -> None:
    """Like `put`; on a bucket the first writer wins, and a later one leaves what is there."""
    if is_remote(path):
        with suppress(FileExistsError):
            cast(Any, path).write_new(content)
    else:
        put(path, content)


def forget_versions(folder: Path) -> int:
    """Delete the older versions that a bucket keeps of what lies below a prefix. Returns how many there were.

    A bucket with versioning keeps what was written over and what was deleted.

    Raises:
        WorkspaceError: the credentials may not look at versions, or not delete them.
    """
    if not is_remote(folder):
        return 0
    try:
        return cast(Any, folder).forget_versions()
    except PermissionError:
        raise WorkspaceError(
            "the bucket may keep older versions of what was erased, and these credentials may not delete "
            "them: grant s3:ListBucketVersions and s3:DeleteObjectVersion, and erase again"
        ) from None


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def trouble(error: BaseException) -> str | None:
    """What a failure of an object store or the database means, in one line without a name; None for others.

    A file that is missing, or there already, is none.
    """
    from privacy.vault import VaultError  # loads cryptography, which `lexveil --help` can do without

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


def state_folder(name: str) -> Path:
    """A folder of this machine that only we can open: `$XDG_STATE_HOME/lexveil/<name>`."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "state") / "lexveil" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
