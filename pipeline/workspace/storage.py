"""Where files lie: a folder of this machine, or any fsspec URL such as `s3://bucket/prefix`.

A remote path has pathlib's interface (`lexveil.pipeline.workspace.remote`), so most code need not know. This
is for the rest: how a file is put in place at once, what to print, what an outage is called.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, cast
from urllib.parse import unquote

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.outages import describe_outage

# One slash is enough: pathlib folds two into one.
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,2}(?P<rest>.*)", re.DOTALL)
_EXTRAS = {"s3": "aws", "s3a": "aws"}


class UnknownStorageError(Exception):
    """A URL of a kind that isn't known, or whose package isn't installed; its message is for people."""


def locate(place: str | Path) -> Path:
    """The path that a user or a schedule names: a folder, or a URL.

    A remote one only looks like a `pathlib.Path`: it has its methods, but no `os.fspath`.
    Raises: UnknownStorageError.
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
        raise UnknownStorageError(f"{scheme}:// is no kind of storage that is known")
    from lexveil.pipeline.workspace.remote import RemotePath

    try:
        # Listings are never cached: other machines write too.
        return cast(Path, RemotePath(f"{scheme}://{rest.lstrip('/')}", use_listings_cache=False))
    except ImportError:
        extra = _EXTRAS.get(scheme)
        wanted = f"lexveil[{extra}]" if extra else "the fsspec package for it"
        raise UnknownStorageError(f"{scheme}:// needs {wanted}, which isn't installed") from None
    except ValueError:
        raise UnknownStorageError(f"a {scheme}:// URL must name a bucket") from None


def is_remote(path: Path) -> bool:
    """Whether a path lies on an object store instead of this machine."""
    return not isinstance(cast(Any, path), PurePath)


def to_url(path: Path) -> str:
    """What to print, and what `locate` takes again from any folder: a URL, or an absolute path."""
    return str(path) if is_remote(path) else str(path.resolve())


def read_files(paths: Sequence[Path]) -> list[bytes]:
    """The content of each of these files; from an object store, many at once. Raises FileNotFoundError."""
    if not paths or not is_remote(paths[0]):
        return [path.read_bytes() for path in paths]
    names = [cast(Any, path).path for path in paths]
    found: dict[str, bytes] = cast(Any, paths[0]).fs.cat(names)
    return [found[name] for name in names]


def write_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
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


def put_if_absent(path: Path, content: bytes) -> None:
    """Like `write_bytes`; on a bucket the first writer wins, and a later one leaves what is there."""
    if is_remote(path):
        with suppress(FileExistsError):
            cast(Any, path).write_new(content)
    else:
        write_bytes(path, content)


def delete_old_versions(folder: Path) -> int:
    """Delete the older versions that a bucket keeps of what lies below a prefix. Returns how many there were.

    A bucket with versioning keeps what was written over and what was deleted.

    Raises:
        WorkspaceError: the credentials may not look at versions, or not delete them.
    """
    if not is_remote(folder):
        return 0
    try:
        return cast(Any, folder).delete_old_versions()
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


def make_state_folder(name: str) -> Path:
    """A folder of this machine that only we can open: `$XDG_STATE_HOME/lexveil/<name>`."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "state") / "lexveil" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that it is either wholly there or not at all."""
    write_bytes(path, to_json(value))


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def read_json(path: Path) -> dict[str, Any] | None:
    """Read JSON; None where there is none, or only a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if describe_outage(error) is not None:
            raise  # an outage is no missing file
        return None
