"""Durable, atomic writes of small files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_atomically(
    path: Path,
    content: bytes | Iterable[bytes],
    mode: int = 0o600,
    *,
    overwrite: bool = True,
    partial: Path | None = None,
) -> None:
    """Write a file so that it is on disk completely or not at all, whatever fails and whenever.

    The content goes to a temporary file in the same folder, which is fsynced and then takes the name, and the
    folder is fsynced. Readers see the old file or the new one.

    Args:
        path: The file. Its folder must exist.
        content: Bytes, or pieces that are written one after the other.
        mode: Mode of the new file at its creation, cut by the umask.
        overwrite: False keeps an existing file; of two processes that write at once, the first one wins.
        partial: Name of the temporary file, of which a leftover is replaced; None for a unique name.

    Raises:
        FileExistsError: The file exists and `overwrite` is False.
        OSError: The file cannot be written. The old one is unchanged.
    """
    if partial is None:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    else:
        partial.unlink(missing_ok=True)
    # The mode at creation: if it were set afterwards, others could open the file in between.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as sink:
            for piece in (content,) if isinstance(content, bytes) else content:
                sink.write(piece)
            sink.flush()
            os.fsync(sink.fileno())
        if overwrite:
            partial.replace(path)
        else:
            # A hard link fails where a rename would overwrite what another process has just written.
            path.hardlink_to(partial)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Fsync a folder, so that the names of new files survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
