"""ZIP archives: the members are separate documents. Nothing is written, so names are harmless.

Members with a password are refused one by one. Hidden files, links and system files are counted.
"""

from __future__ import annotations

import io
import posixpath
import stat
import zipfile
from collections.abc import Iterator

from lexveil.nlp.readers.contract import BOMB_FLOOR, Content, Limits, Note, Part, Reason, UnreadableError

_MAX_ENTRIES = 200_000
_ENCRYPTED = 1
_UTF8 = 0x800
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
_SYSTEM_FOLDER = "__macosx/"


def read(data: bytes, limits: Limits) -> Content:
    """Read a ZIP archive.

    Raises:
        UnreadableError: wrong_suffix, broken, too_many_parts, decompression_bomb (all members together).
    """
    if not data.startswith(b"PK"):
        raise UnreadableError(Reason.wrong_suffix)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        raise UnreadableError(Reason.broken) from None
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _MAX_ENTRIES:
        raise UnreadableError(Reason.too_many_parts)
    size = sum(entry.file_size for entry in entries)
    if size > BOMB_FLOOR and size > len(data) * limits.max_ratio:
        raise UnreadableError(Reason.decompression_bomb)
    members = [entry for entry in entries if _is_document(entry)]
    skipped = len(entries) - len(members)
    notes = {Note.unread_member: skipped} if skipped else {}
    return Content("", _iter_members(archive, members, limits), notes, is_archive=True)


def _is_document(entry: zipfile.ZipInfo) -> bool:
    """Return False for links, hidden files, and what macOS and Windows add."""
    mode = entry.external_attr >> 16
    is_file = not stat.S_IFMT(mode) or stat.S_ISREG(mode)
    return is_file and not is_system_file(entry.filename)


def is_system_file(path: str) -> bool:
    """Return True for the path of a hidden file, or of what macOS and Windows add."""
    name = path.replace("\\", "/").lower()
    base = posixpath.basename(name)
    return base.startswith(".") or base in _SYSTEM_FILES or _SYSTEM_FOLDER in name


def _iter_members(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], limits: Limits) -> Iterator[Part]:
    with archive:
        for entry in members:
            yield Part(_read_name(entry), read_member(archive, entry, limits.max_bytes, limits.max_ratio))


def _read_name(entry: zipfile.ZipInfo) -> str:
    """Return the name of a member: UTF-8, also where the archive does not say so, or of code page 437."""
    if entry.flag_bits & _UTF8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def is_encrypted(entry: zipfile.ZipInfo) -> bool:
    """Return True if a member needs a password."""
    return bool(entry.flag_bits & _ENCRYPTED)


def read_member(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, max_bytes: int, max_ratio: int
) -> bytes | Reason:
    """Return a document in a ZIP file, or why it cannot be read: the others are still read.

    Args:
        archive: the ZIP file.
        entry: its entry of the document.
        max_bytes: maximum size of the document.
        max_ratio: as in `Limits`.
    """
    if is_encrypted(entry):
        return Reason.encrypted
    # The declared size may be false, but no more than it is read.
    if entry.file_size > max_bytes:
        return Reason.over_size
    if entry.file_size > BOMB_FLOOR and entry.file_size > entry.compress_size * max_ratio:
        return Reason.decompression_bomb
    try:
        with archive.open(entry) as stream:
            return stream.read(entry.file_size)
    except NotImplementedError:
        return Reason.unsupported
    except MemoryError:
        raise
    except Exception:  # each compression method has its own errors
        return Reason.broken
