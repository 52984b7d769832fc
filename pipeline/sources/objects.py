"""Documents on an object store: listed with a question a folder, read into memory or from a nameless copy.

An object whose size and version (entity tag, or time where there is none) are known is not fetched again.
One that is gone or forbidden is no failure of the store: it goes to the quarantine.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from lexveil.nlp.readers import Reason, UnreadableError
from lexveil.pipeline.errors import SourceMissingError
from lexveil.pipeline.outages import describe_outage
from lexveil.pipeline.workspace.storage import locate, to_url

_CHUNK = 1 << 20
# What stores call the version of an object, in the order in which it is believed.
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
_DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object. `version` is a number that changes with its content."""

    path: Path = field(repr=False)
    size: int
    version: int


def walk_objects(source: Path) -> Iterator[tuple[list[StoredFile], list[Path]]]:
    """The objects and the folders of each folder at or below a prefix, in order, workspaces left out.

    The caller may take folders out of the list, as with `os.walk`. A prefix may be that of one object.

    Raises:
        SourceMissingError: there is no such bucket, or the store can't be reached or refuses.
    """
    waiting = [source]
    while waiting:
        here = waiting.pop()
        files: list[StoredFile] = []
        folders: list[Path] = []
        for entry in _entries(here):
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            path = here if _is_itself(entry, here) else here / name
            if entry["type"] == "directory":
                folders.append(path)
            elif entry.get("size") is not None and not str(entry["name"]).endswith("/"):
                files.append(StoredFile(path, int(entry["size"]), _version(entry)))
        if here != source and _is_workspace(files, folders):
            continue
        files.sort(key=lambda file: file.path.name)
        folders.sort(key=lambda folder: folder.name, reverse=True)
        yield files, folders
        waiting += folders


def fetch_objects(files: Sequence[str]) -> dict[str, bytes | UnreadableError]:
    """The content of each of these small objects, many at once; UnreadableError(inaccessible) where there is none.

    Raises whatever the store's client does when the store fails.
    """
    paths = {locate(file): file for file in files}
    if not paths:
        return {}
    names = {cast(Any, path).path: file for path, file in paths.items()}
    answers: dict[str, Any] = cast(Any, next(iter(paths))).fs.cat(list(names), on_error="return")
    found: dict[str, bytes | UnreadableError] = {}
    for name, file in names.items():
        answer = answers[name]
        found[file] = _unreadable(answer) if isinstance(answer, Exception) else answer
    return found


@contextmanager
def copy_object(path: Path, version: int) -> Generator[Path, None, None]:
    """A copy on this machine of an object, to be read by its path; kept until another one is asked for.

    The copy has no name in any folder, so nothing of it is left when the process ends, however it does. It
    takes its room where temporary files lie (TMPDIR).

    Raises:
        UnreadableError: the object is gone or forbidden.
    """
    global _last
    key = (to_url(path), version)
    if _last is None or _last[0] != key:
        discard_copy()
        with ExitStack() as stack:
            copy = _copy(path, stack)
            _last = (key, stack.pop_all(), copy)
    yield _last[2]


# Slices of one file of records follow each other: each would fetch all of it.
_last: tuple[tuple[str, int], ExitStack, Path] | None = None


def discard_copy() -> None:
    """Give the room of the last copy back."""
    global _last
    if _last is not None:
        _last[1].close()
        _last = None


def _copy(path: Path, stack: ExitStack) -> Path:
    sink = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    try:
        with path.open("rb") as source:
            shutil.copyfileobj(source, sink, _CHUNK)
    except Exception as error:
        raise _unreadable(error) from None
    sink.flush()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-")))
    # Readers go by the suffix, and open the path more than once. The name itself may name people.
    link = folder / f"object{''.join(path.suffixes[-2:])}"
    link.symlink_to(_DESCRIPTORS / str(sink.fileno()))
    return link


def _entries(folder: Path) -> list[dict[str, Any]]:
    place = cast(Any, folder)
    try:
        return place.fs.ls(place.path.rstrip("/"), detail=True)
    except Exception as error:
        told = describe_outage(error)
        if told is None and isinstance(error, FileNotFoundError):
            return []  # an inbox that was emptied: a bucket has no folders
        if told is None:
            raise
        raise SourceMissingError(f"can't read {folder}: {told}") from None


def _is_itself(entry: dict[str, Any], folder: Path) -> bool:
    return str(entry["name"]).rstrip("/") == cast(Any, folder).path.rstrip("/")


def _is_workspace(files: list[StoredFile], folders: list[Path]) -> bool:
    """Whether a folder is a workspace, whose masked texts and features would come in as documents."""
    return any(file.path.name == "workspace.json" for file in files) and any(
        folder.name == "protected" for folder in folders
    )


def _version(entry: dict[str, Any]) -> int:
    told = next((str(entry[name]) for name in _VERSIONS if entry.get(name)), "")
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8]) >> 1


def _unreadable(error: Exception) -> UnreadableError:
    """What an error means for one object. Raises the error where it is the store's own."""
    response: Any = getattr(error.__cause__, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    gone = isinstance(error, FileNotFoundError) and describe_outage(error) is None
    forbidden = isinstance(error, PermissionError) and (code is None or code in _FORBIDDEN)
    if gone or forbidden or type(error).__name__ == "FileExpired":  # written over while it was read
        return UnreadableError(Reason.inaccessible)
    raise error
