"""TAR archives, packed or not: the members are documents of their own, as in `zip_archive`."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

from lexveil.nlp.readers.contract import Content, Limits, Note, Part, Reason, UnreadableError
from lexveil.nlp.readers.zip_archive import is_system_file

_MAX_ENTRIES = 200_000
_MAGIC, _MAGIC_AT = b"ustar", 257


def is_tar(data: bytes) -> bool:
    """Return True if the data begins with a header of POSIX or GNU."""
    return data[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def read(data: bytes, limits: Limits) -> Content:
    """Read a TAR archive.

    Raises:
        UnreadableError: wrong_suffix, broken, too_many_parts.
    """
    members: list[tarfile.TarInfo] = []
    archive: tarfile.TarFile | None = None
    skipped, is_whole = 0, False
    try:
        archive = tarfile.TarFile(fileobj=io.BytesIO(data))
        for member in archive:
            if member.isfile() and not is_system_file(member.name):
                members.append(member)
            else:
                skipped += not member.isdir()
            if len(members) + skipped > _MAX_ENTRIES:
                raise UnreadableError(Reason.too_many_parts)
        is_whole = True
    except (tarfile.TarError, OSError, ValueError, EOFError):
        if archive is None or not members:
            raise UnreadableError(Reason.broken if is_tar(data) else Reason.wrong_suffix) from None
    notes = {Note.unread_member: skipped} if skipped else {}
    return Content("", _iter_members(archive, members, limits, is_whole), notes, is_archive=True)


def _iter_members(
    archive: tarfile.TarFile, members: list[tarfile.TarInfo], limits: Limits, is_whole: bool
) -> Iterator[Part]:
    for member in members:
        yield Part(member.name, _read_member(archive, member, limits.max_bytes))
    if not is_whole:
        yield Part("rest", Reason.broken)


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo, max_bytes: int) -> bytes | Reason:
    if member.size > max_bytes:  # of a sparse file, what it expands to
        return Reason.over_size
    try:
        stream = archive.extractfile(member)
        data = b"" if stream is None else stream.read(max_bytes + 1)
    except (tarfile.TarError, OSError, ValueError, EOFError):
        return Reason.broken
    return data if len(data) == member.size else Reason.broken
