"""Documents on an object store: listed with one request per folder, and read into memory or from a copy.

The copy is a temporary file without a name. An object whose size and version (entity tag, or time if there is
none) are known is not fetched again. An object that is missing or forbidden is not an outage: it is
quarantined.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexveil.nlp.readers import Reason, UnreadableError
from lexveil.pipeline.errors import SourceMissingError
from lexveil.pipeline.outages import describe_outage
from lexveil.pipeline.sources.copies import copy_to_nameless_file
from lexveil.pipeline.workspace.storage import is_remote, locate, to_url

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.storage import StoredPath

# Names of an object's version in the listings of various stores, the most reliable first.
_VERSIONS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "LastModified",
    "mtime",
    "updated",
    "last_modified",
    "created",
)
_FORBIDDEN = {"AccessDenied", "AllAccessDisabled", "InvalidObjectState", "403"}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object.

    Attributes:
        path: path of the object.
        size: number of bytes.
        version: number that changes with the content.
    """

    path: Path = field(repr=False)
    size: int
    version: int


def walk_objects(source: StoredPath) -> Iterator[tuple[list[StoredFile], list[StoredPath]]]:
    """Walk the folders at and below a prefix, in order, without workspaces.

    Args:
        source: a prefix, or a single object.

    Yields:
        The objects and the folders of each folder. The caller may remove folders from the list, as with
        `os.walk`.

    Raises:
        SourceMissingError: there is no such bucket, or the store cannot be reached or refuses access.
    """
    waiting = [source]
    while waiting:
        folder = waiting.pop()
        files: list[StoredFile] = []
        folders: list[StoredPath] = []
        for entry in _list_entries(folder):
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            path = folder if _is_same(entry, folder) else folder / name
            if entry["type"] == "directory":
                folders.append(path)
            elif entry.get("size") is not None and not str(entry["name"]).endswith("/"):
                files.append(StoredFile(path, int(entry["size"]), _read_version(entry)))
        if folder != source and _is_workspace(files, folders):
            continue
        files.sort(key=lambda file: file.path.name)
        folders.sort(key=lambda path: path.name, reverse=True)
        yield files, folders
        waiting += folders


def fetch_objects(files: Sequence[str]) -> dict[str, bytes | UnreadableError]:
    """Fetch small objects concurrently.

    Errors of the store itself are those of its client.

    Args:
        files: URLs of objects of one store.

    Returns:
        The content by URL; `UnreadableError` ("inaccessible") for an object that is missing or forbidden.
    """
    paths = {path: file for file in files if is_remote(path := locate(file))}
    if not paths:
        return {}
    answers: dict[str, Any] = next(iter(paths)).fs.cat([path.path for path in paths], on_error="return")
    contents: dict[str, bytes | UnreadableError] = {}
    for path, file in paths.items():
        answer = answers[path.path]
        contents[file] = _to_unreadable(answer) if isinstance(answer, Exception) else answer
    return contents


class _CopyCache:
    """The last copy of an object: without it, each slice of a file of records would fetch all of it."""

    def __init__(self) -> None:
        self._key: tuple[str, int] | None = None
        self._path = Path()
        self._stack = ExitStack()

    def get(self, path: Path, version: int) -> Path:
        key = (to_url(path), version)
        if self._key != key:
            self.clear()
            with ExitStack() as stack:
                self._path = _copy_to_nameless_file(path, stack)
                self._key, self._stack = key, stack.pop_all()
        return self._path

    def clear(self) -> None:
        self._key = None
        self._stack.close()


_copies = _CopyCache()


@contextmanager
def copy_object(path: Path, version: int) -> Generator[Path, None, None]:
    """Yield the path of a copy of an object on this machine, which is kept until another one is needed.

    The copy has no name in any folder, so nothing of it is left when the process ends, however it ends. It
    takes disk space where temporary files are (TMPDIR).

    Args:
        path: path of the object.
        version: version of the object.

    Raises:
        UnreadableError: the object is missing or forbidden.
    """
    yield _copies.get(path, version)


def discard_copy() -> None:
    """Delete the last copy and free its disk space."""
    _copies.clear()


def _copy_to_nameless_file(path: Path, stack: ExitStack) -> Path:
    try:
        with path.open("rb") as source:
            return copy_to_nameless_file(source, path.suffixes[-2:], stack)
    except Exception as error:
        raise _to_unreadable(error) from None


def _list_entries(folder: StoredPath) -> list[dict[str, Any]]:
    try:
        return folder.fs.ls(folder.path.rstrip("/"), detail=True)
    except Exception as error:
        outage = describe_outage(error)
        if outage is None and isinstance(error, FileNotFoundError):
            return []  # an inbox that was emptied: a bucket has no folders
        if outage is None:
            raise
        raise SourceMissingError(f"cannot read {folder}: {outage}") from None


def _is_same(entry: dict[str, Any], folder: StoredPath) -> bool:
    return str(entry["name"]).rstrip("/") == folder.path.rstrip("/")


def _is_workspace(files: Sequence[StoredFile], folders: Sequence[Path]) -> bool:
    """Return True for a workspace, whose masked texts and features must not be read as documents."""
    return any(file.path.name == "workspace.json" for file in files) and any(
        folder.name == "protected" for folder in folders
    )


def _read_version(entry: dict[str, Any]) -> int:
    version = next((str(entry[name]) for name in _VERSIONS if entry.get(name)), "")
    return int.from_bytes(hashlib.sha256(version.encode()).digest()[:8]) >> 1


def _to_unreadable(error: Exception) -> UnreadableError:
    """Return the error of a single object; raises the error again if it is the store's own."""
    response: Any = getattr(error.__cause__, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    missing = isinstance(error, FileNotFoundError) and describe_outage(error) is None
    forbidden = isinstance(error, PermissionError) and (code is None or code in _FORBIDDEN)
    if missing or forbidden or type(error).__name__ == "FileExpired":  # overwritten while it was read
        return UnreadableError(Reason.inaccessible)
    raise error
