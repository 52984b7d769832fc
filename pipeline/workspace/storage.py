"""Storage of files: folders of this machine, or any fsspec URL such as `s3://bucket/prefix`.

A remote path has pathlib's interface (`lexveil.pipeline.workspace.remote`), so most code need not distinguish
the two. This module has what differs: how a location becomes a path, and how a file is written durably.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, TypeGuard, cast
from urllib.parse import unquote

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.outages import describe_outage
from lexveil.privacy.files import sync_folder

# One slash is enough: pathlib folds two into one.
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,2}(?P<rest>.*)", re.DOTALL)
_EXTRAS = {"s3": "aws", "s3a": "aws"}

if TYPE_CHECKING:

    class StoredPath(Path):
        """A path on an object store, as type checkers see it; at run time it is a `remote.RemotePath`.

        Attributes:
            fs: the fsspec file system.
            path: bucket and key, as the file system takes them.
        """

        fs: Any
        path: str

        def write_new(self, data: bytes) -> None:
            """Write a file that must not exist yet."""

        def delete_old_versions(self) -> int:
            """Delete the former versions of all files below this prefix."""
            ...


class UnknownStorageError(Exception):
    """A URL is of an unknown kind, or its package is not installed. The message is for people."""


def locate(location: str | Path) -> Path:
    """Return the path of a location that a user or a schedule names.

    Args:
        location: a folder, a file, or a URL.

    Returns:
        The path. A remote one only resembles a `pathlib.Path`: it has its methods, but no `os.fspath`.

    Raises:
        UnknownStorageError: the URL is of an unknown kind, or its package is not installed.
    """
    if not isinstance(location, str) and is_remote(location):
        return location
    url = _URL.fullmatch(str(location))
    if url is None:
        return Path(location)
    scheme, rest = url["scheme"], url["rest"].rstrip("/")
    if scheme in ("file", "local"):
        return Path("/" + unquote(rest).lstrip("/"))
    return _to_remote_path(scheme, rest.lstrip("/"))


def _to_remote_path(scheme: str, key: str) -> Path:
    from fsspec.registry import known_implementations

    if scheme not in known_implementations:
        raise UnknownStorageError(f"{scheme}:// is not a known kind of storage")
    from lexveil.pipeline.workspace.remote import RemotePath

    try:
        # Listings are never cached: other machines write too.
        return cast(Path, RemotePath(f"{scheme}://{key}", use_listings_cache=False))
    except ImportError:
        extra = _EXTRAS.get(scheme)
        package = f"lexveil[{extra}]" if extra else "the fsspec package for it"
        raise UnknownStorageError(f"{scheme}:// needs {package}, which is not installed") from None
    except ValueError:
        raise UnknownStorageError(f"a {scheme}:// URL must name a bucket") from None


def is_remote(path: Path) -> TypeGuard[StoredPath]:
    """Return True if a path is on an object store instead of this machine."""
    return not isinstance(cast(object, path), PurePath)


def to_url(path: Path) -> str:
    """Return the URL or the absolute path, which `locate` accepts from any working folder."""
    return str(path) if is_remote(path) else str(path.resolve())


def read_files(paths: Sequence[Path]) -> list[bytes]:
    """Read all of these files; those on an object store concurrently.

    Raises:
        FileNotFoundError: one of them does not exist.
    """
    stored = [path for path in paths if is_remote(path)]
    if not stored or len(stored) < len(paths):
        return [path.read_bytes() for path in paths]
    names = [path.path for path in stored]
    contents: dict[str, bytes] = stored[0].fs.cat(names)
    return [contents[name] for name in names]


@contextmanager
def replace_file(path: Path, mode: int = 0o666) -> Generator[IO[bytes], None, None]:
    """Open a file that takes the place of `path` when the block ends: durably, and whole or not at all.

    If the block raises, `path` stays as it was. On an object store the content is uploaded at the end of the
    block; a bucket has no modes.

    Args:
        path: the file; missing folders are created.
        mode: permission bits, restricted by the umask.
    """
    if is_remote(path):
        buffer = io.BytesIO()
        yield buffer
        path.write_bytes(buffer.getvalue())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        # The mode at creation: set afterwards, others could have opened the file in between.
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as sink:
            yield sink
            sync_file(sink)
        partial.replace(path)
    except BaseException:  # on a full disk, a partial file would use the space that the work needs
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file durably, whole or not at all; `mode` is restricted by the umask."""
    if is_remote(path):
        path.write_bytes(content)
        return
    with replace_file(path, mode) as sink:
        sink.write(content)


def put_if_absent(path: Path, content: bytes) -> None:
    """Write a file like `write_bytes`; on a bucket the first writer wins, and later ones change nothing."""
    if is_remote(path):
        with suppress(FileExistsError):
            path.write_new(content)
    else:
        write_bytes(path, content)


def delete_old_versions(folder: Path) -> int:
    """Delete the former versions that a bucket keeps of the files below a prefix.

    A bucket with versioning keeps what was overwritten and what was deleted.

    Returns:
        The number of versions deleted.

    Raises:
        WorkspaceError: the credentials may not list versions, or not delete them.
    """
    if not is_remote(folder):
        return 0
    try:
        return folder.delete_old_versions()
    except PermissionError:
        raise WorkspaceError(
            "the bucket may keep older versions of what was erased, and these credentials may not delete "
            "them: grant s3:ListBucketVersions and s3:DeleteObjectVersion, and erase again"
        ) from None


def sync_file(file: IO[bytes]) -> None:
    """Make what was written to a file survive a power cut."""
    file.flush()
    os.fsync(file.fileno())


def locate_state_folder(name: str) -> Path:
    """Return `$XDG_STATE_HOME/lexveil/<name>`, by default in `~/.local/state`. It need not exist.

    Raises:
        WorkspaceError: this user has no home, and nothing names another place.
    """
    base = os.environ.get("XDG_STATE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".local" / "state") / "lexveil" / name
    except RuntimeError:
        raise WorkspaceError("this user has no home folder; set XDG_STATE_HOME to another place") from None


def make_state_folder(name: str) -> Path:
    """Create the folder of `locate_state_folder`, such that only this user can open it.

    Raises:
        WorkspaceError: it cannot be created.
    """
    folder = locate_state_folder(name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise WorkspaceError(f"cannot create {folder}; XDG_STATE_HOME names another place") from None
    return folder


def write_json(path: Path, value: Any) -> None:
    """Write JSON durably, whole or not at all."""
    write_bytes(path, to_json(value))


def to_json(value: Any) -> bytes:
    """Encode a value as `write_json` writes it: indented, with sorted keys."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if describe_outage(error) is not None:
            raise  # an outage is not a missing file
        return None
