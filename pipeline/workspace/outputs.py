"""Files and folders that a command writes where a user tells it, outside of the workspace.

A file or folder appears complete or not at all, and its user alone may read it. A link stays a link: what it
points to is written. A pipe, a device or an open file such as /dev/stdout is never replaced, but written to.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.workspace.storage import replace_file

STANDARD_STREAM = Path("-")
"""As a source: standard input. As a target: standard output."""
_STREAMS = {Path("/dev/stdout"): 1, Path("/dev/stderr"): 2, STANDARD_STREAM: 1}
_MOST_LINKS = 40  # as many as Linux follows
_CHUNK = 1 << 20  # bytes


def find_kind(path: Path) -> Literal["file", "folder", "stream", ""]:
    """Return what a path leads to; "" if nothing is there, or nothing that this user may see."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "stream"


def is_written_through(target: Path) -> bool:
    """Return True for a pipe, a device or an open file: it is written to, not replaced."""
    return _find_descriptor(target) is not None or find_kind(target) == "stream"


def is_standard_output(target: Path) -> bool:
    """Return True if what is written to a target goes to standard output."""
    return _find_descriptor(target) == 1


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Refuse to replace a file that a command would write, before any work is done.

    Raises:
        SourceError: it exists, and `overwrite` is False.
    """
    if find_kind(target) == "file" and not overwrite and not is_written_through(target):
        raise SourceError(f"{target} exists; --overwrite replaces it")


@contextmanager
def open_output(target: Path, mode: int = 0o600) -> Generator[IO[bytes]]:
    """Open the output file of a command.

    Args:
        target: the file; `STANDARD_STREAM` is standard output.
        mode: permission bits of a new file, restricted by the umask. By default nobody else may read it: most
            of what is written comes from private documents.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = _find_descriptor(target)
    if descriptor is not None:
        sys.stdout.flush()
        # The same open file: opened again by its name, a file would be written from its start.
        with os.fdopen(os.dup(descriptor), "wb") as sink:
            yield sink
    elif is_written_through(target):
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_NOCTTY), "wb") as sink:
            yield sink
    else:
        real = Path(os.path.realpath(target))
        if real.is_dir() or not real.parent.is_dir():
            raise NotADirectoryError
        with replace_file(real, mode) as sink:
            yield sink


def write_output(target: Path, content: bytes | bytearray, mode: int = 0o600) -> None:
    """Write a file as `open_output` opens it.

    Raises:
        SourceError: the file cannot be written.
    """
    try:
        with open_output(target, mode) as sink:
            sink.write(content)
    except OSError:
        raise SourceError(f"cannot write {target}") from None


@contextmanager
def place_output(target: Path, is_folder: bool, overwrite: bool) -> Generator[Path]:
    """Yield a new file or folder beside the target, which takes the target's place at the end.

    Raises:
        SourceError: the target exists and is not to be replaced, is of the other kind, or cannot be written.
    """
    streamed, kind = is_written_through(target), find_kind(target)
    if streamed and is_folder:
        raise SourceError(f"{target} is not a folder")
    if kind and not overwrite and not streamed:
        raise SourceError(f"{target} exists; --overwrite replaces it")
    if kind and (kind == "folder") != is_folder:
        raise SourceError(f"{target} is {'not ' if is_folder else ''}a folder")
    found = Path(os.path.realpath(target))
    folder = Path(tempfile.gettempdir()) if streamed else found.parent
    place = folder / f".{secrets.token_hex(8)}.partial"
    try:
        if is_folder:
            place.mkdir(mode=0o700, parents=False)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield place
        if streamed:
            with place.open("rb") as written, open_output(target) as sink:
                shutil.copyfileobj(written, sink, _CHUNK)
        else:
            _replace(found, place)
    except OSError:
        raise SourceError(f"cannot write {target}") from None
    finally:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _replace(target: Path, place: Path) -> None:
    """Put what was written in the place of a target, which is deleted last."""
    if not target.is_dir():
        place.replace(target)
        return
    aside = place.with_name(f"{place.name}.old")
    target.rename(aside)
    try:
        place.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside)


def _find_descriptor(path: Path) -> int | None:
    """Return the number of the open file that a path names, as /dev/fd/3 and links to it do, or None."""
    own = f"/proc/{os.getpid()}/fd"
    for _ in range(_MOST_LINKS):
        if path in _STREAMS:
            return _STREAMS[path]
        if os.path.realpath(path.parent) == own and path.name.isdecimal():
            return int(path.name)
        with suppress(OSError):
            path = path.parent / path.readlink()
            continue
        return None
    return None
