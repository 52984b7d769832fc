"""DOC, of Word 97 to 2003, to text: headers, body with tables, notes, text boxes ([MS-DOC]).

As in DOCX, deleted and hidden text, comments and field codes are not text, and embedded documents are
separate documents if they are in a current format; others are counted, like pictures. Antiword reads older
files, if it is installed.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from lexveil.nlp.readers import tools
from lexveil.nlp.readers.contract import Content, Limits, Note, Reason, UnreadableError
from lexveil.nlp.readers.ole_object import count_pictures, list_embedded, read_stream
from lexveil.nlp.readers.plain import OLE_MAGIC

_WORD = "WordDocument"
_MAGIC, _MAGIC_OF_WORD_6 = 0xA5EC, 0xA5DC
_WORD_97 = 0xC1
_ENCRYPTED, _SECOND_TABLE = 0x0100, 0x0200  # flags at 0x0A
_STORIES_AT = 0x4C  # numbers of characters: body, footnotes, headers, macros, comments, endnotes, boxes (2)
_PIECES_AT, _RUNS_AT = 0x1A2, 0xFA  # place and size of the tables of pieces, and of pages of runs
_DRAWINGS_AT = 0x22A  # and of what holds for all drawings
_COMPRESSED = 1 << 30  # a piece of one byte for a character
_PAGE = 512
_HIDDEN, _DELETED = 0x083C, 0x0800  # properties of a run
_OPERANDS = {0: 1, 1: 1, 2: 2, 3: 4, 4: 2, 5: 2, 7: 3}
_FIELD, _FIELD_RESULT, _FIELD_END = "\x13", "\x14", "\x15"
_ROW_END, _CELL_END = "\x07\x07", "\x07"
_CHARACTERS = str.maketrans(
    {"\r": "\n", "\v": "\n", "\f": "\n", "\x1e": "-", "\x1f": None}
    | {chr(code): None for code in (*range(1, 7), 8, *range(14, 19), *range(22, 30))}
)
_POOL = "ObjectPool"
_PICTURE = "\1"
_LONGEST_FIELD = 2000

Ranges = list[tuple[int, int]]


def read(data: bytes, limits: Limits) -> Content:
    """Read a DOC file.

    Raises:
        UnreadableError: wrong_suffix, encrypted, broken, decompression_bomb, unsupported (Word 6 or 95, and
            antiword is not installed).
    """
    import olefile

    if not data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        if not container.exists(_WORD):
            raise UnreadableError(Reason.wrong_suffix)
        try:
            text, pictures = _read_text(container, limits)
        except (struct.error, IndexError):
            raise UnreadableError(Reason.broken) from None
        if text is None:
            text = tools.run(("antiword", "-m", "UTF-8.txt", "-w", "0"), data, ".doc", limits)
        objects = _list_objects(container)
        parts, unread = list_embedded(container, objects)
        # Each object shows a picture of itself.
        notes = {Note.unread_attachment: unread, Note.unread_picture: max(0, pictures - len(objects))}
        notes = {note: count for note, count in notes.items() if count}
        return Content(text, parts, notes, _read_properties(container))


def _read_text(container: Any, limits: Limits) -> tuple[str | None, int]:
    """Return the text, None if the file is older than Word 97, and the number of pictures."""
    main = read_stream(container, _WORD)
    magic, version = struct.unpack_from("<HH", main)
    (flags,) = struct.unpack_from("<H", main, 0x0A)
    if magic == _MAGIC_OF_WORD_6 or (magic == _MAGIC and version < _WORD_97):
        return None, 0
    if magic != _MAGIC:
        raise UnreadableError(Reason.broken)
    if flags & _ENCRYPTED:
        raise UnreadableError(Reason.encrypted)
    name = "1Table" if flags & _SECOND_TABLE else "0Table"
    if not container.exists(name):
        raise UnreadableError(Reason.broken)
    table = read_stream(container, name)
    characters = _decode_pieces(main, table, limits)
    sizes = struct.unpack_from("<8i", main, _STORIES_AT)
    place, size = struct.unpack_from("<II", main, _DRAWINGS_AT) if len(main) > _DRAWINGS_AT + 8 else (0, 0)
    pictures = count_pictures(table[place : place + size])
    stories: list[str] = []
    start = 0
    for size in sizes:
        shown = _drop_codes("".join(characters[start : start + max(0, size)]))
        pictures += shown.count(_PICTURE)
        stories.append(_clean(shown))
        start += max(0, size)
    body, footnotes, headers, _, _, endnotes, boxes, header_boxes = stories
    headers = "\n".join(dict.fromkeys(line for line in headers.split("\n") if line.strip()))
    pieces = (headers, header_boxes, body, footnotes, endnotes, boxes)
    return "\n".join(stripped for piece in pieces if (stripped := piece.strip("\n"))), pictures


def _decode_pieces(main: bytes, table: bytes, limits: Limits) -> list[str]:
    """Return the characters of all stories; of a hidden one, "".

    Raises:
        UnreadableError: decompression_bomb, broken.
    """
    hidden = _find_hidden(main, table)
    characters: list[str] = []
    for count, place, is_wide in _iter_pieces(main, table):
        width = 2 if is_wide else 1
        data = main[place : place + count * width]
        text = data.decode("utf-16-le", "surrogatepass") if is_wide else data.decode("cp1252", "replace")
        if len(characters) + len(text) > limits.max_text_bytes:
            raise UnreadableError(Reason.decompression_bomb)
        shown = [*text]
        if is_wide and len(text) != len(data) // 2:  # characters of two units keep two positions
            shown = [data[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(data), 2)]
        for first, last in _overlap(hidden, place, place + len(data)):
            for number in range((first - place) // width, min(len(shown), -(-(last - place) // width))):
                shown[number] = ""
        characters += shown
    return characters


def _iter_pieces(main: bytes, table: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield number of characters, place in the file, and width of each piece of text."""
    place, size = struct.unpack_from("<II", main, _PIECES_AT)
    end = min(place + size, len(table))
    while place < end and table[place] == 1:  # properties that the pieces share
        place += 3 + struct.unpack_from("<H", table, place + 1)[0]
    if place >= end or table[place] != 2:
        raise UnreadableError(Reason.broken)
    (size,) = struct.unpack_from("<I", table, place + 1)
    count = min(size, end - place) // 12
    positions = struct.unpack_from(f"<{count + 1}I", table, place + 5)
    for number in range(count):
        (start,) = struct.unpack_from("<I", table, place + 5 + 4 * (count + 1) + 8 * number + 2)
        length = positions[number + 1] - positions[number]
        if length < 0:
            raise UnreadableError(Reason.broken)
        is_wide = not start & _COMPRESSED
        start &= _COMPRESSED - 1
        yield min(length, len(main)), start if is_wide else start // 2, is_wide


def _find_hidden(main: bytes, table: bytes) -> Ranges:
    """Return the places of hidden and deleted runs in the file, in order."""
    place, size = struct.unpack_from("<II", main, _RUNS_AT)
    count = max(0, min(size, len(table) - place) - 4) // 8
    pages = struct.unpack_from(f"<{count}I", table, place + 4 * (count + 1)) if count else ()
    found: Ranges = []
    for number in pages:
        page = main[(number & 0x3FFFFF) * _PAGE :][:_PAGE]
        if len(page) < _PAGE:
            continue
        runs = min(page[-1], 101)
        starts = struct.unpack_from(f"<{runs + 1}I", page)
        for run in range(runs):
            at = page[4 * (runs + 1) + run] * 2
            if at and _is_hidden(page[at + 1 : at + 1 + page[at]]):
                found.append((starts[run], starts[run + 1]))
    return sorted(found)


def _is_hidden(properties: bytes) -> bool:
    place = 0
    while place + 3 <= len(properties):
        (name,) = struct.unpack_from("<H", properties, place)
        if name in (_HIDDEN, _DELETED) and properties[place + 2] & 1:
            return True
        size = _OPERANDS.get(name >> 13)
        place += 2 + (properties[place + 2] + 1 if size is None else size)
    return False


def _overlap(ranges: Ranges, start: int, end: int) -> Iterator[tuple[int, int]]:
    for first, last in ranges[max(0, bisect_right(ranges, (start, 0)) - 1) :]:
        if first >= end:
            return
        if last > start:
            yield max(first, start), min(last, end)


def _clean(story: str) -> str:
    """Return a story with a tab after each cell, and a line for each row."""
    text = story.replace(_ROW_END, "\n").replace(_CELL_END, "\t").translate(_CHARACTERS)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _drop_codes(story: str) -> str:
    """Return a story without field codes."""
    kept: list[str] = []
    fields: list[bool] = []  # for each open field, whether its code is over
    for mark in story:
        if mark == _FIELD:
            fields.append(False)
        elif mark == _FIELD_RESULT and fields:
            fields[-1] = True
        elif mark == _FIELD_END and fields:
            fields.pop()
        elif all(fields):
            kept.append(mark)
    return "".join(kept)


def _list_objects(container: Any) -> list[list[str]]:
    """Return the paths of the storages with embedded documents."""
    names = {path[1] for path in container.listdir() if len(path) > 2 and path[0] == _POOL}
    return [[_POOL, name] for name in sorted(names)]


def _read_properties(container: Any) -> dict[str, str]:
    try:
        known = container.get_metadata()
    except Exception:  # the document is accepted despite damaged properties
        return {}
    values = {"title": known.title, "author": known.author, "subject": known.subject}
    encoding = f"cp{known.codepage & 0xFFFF}" if known.codepage not in (None, 65001, -535) else "utf-8"
    fields = {"date": known.create_time.isoformat() if known.create_time else ""}
    for name, value in values.items():
        if isinstance(value, bytes):
            try:
                fields[name] = value.decode(encoding, "replace").strip("\0 ")[:_LONGEST_FIELD]
            except LookupError:
                fields[name] = value.decode("cp1252", "replace").strip("\0 ")[:_LONGEST_FIELD]
    return {name: value for name, value in fields.items() if value}
