"""XLS, of Excel 5 to 2003, to text: each sheet with its name, a line per row, then text boxes ([MS-XLS]).

As in `xlsx`, dates are in ISO 8601, hidden sheets and pictures are counted, and a workbook is one document.
Only cells with a value are kept, so memory does not grow with the distance of the sheet's corners.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from lexveil.nlp.readers.contract import Content, Limits, Note, Part, Reason, UnreadableError
from lexveil.nlp.readers.ole_object import count_pictures, list_embedded, read_stream
from lexveil.nlp.readers.plain import OLE_MAGIC
from lexveil.nlp.readers.xlsx import (
    DATE_FORMATS,
    EPOCH,
    EPOCH_OF_MACINTOSH,
    format_date,
    format_number,
    is_date_format,
    join_row,
)

_STREAMS = ("Workbook", "Book")
_HEAD = struct.Struct("<HH")
_CELL = struct.Struct("<HHH")
_BEGIN, _PASSWORD, _CONTINUE, _TEXT_BOX = 0x809, 0x2F, 0x3C, 0x1B6
_LABELS, _SHARED, _NUMBER, _PACKED, _MANY_PACKED = (0x204, 0xD6), 0xFD, 0x203, 0x27E, 0xBD
_BOOLEAN, _FORMULA, _RESULT = 0x205, 0x06, 0x207
_DRAWINGS = 0xEB
_OBJECT = "MBD"  # begins the names of the storages of embedded objects
_VERSION_8 = 0x600
_LENGTH_AT = 10


class _Kind(IntEnum):
    """Records that hold for all sheets."""

    date_mode = 0x22
    code_page = 0x42
    sheet = 0x85
    style = 0xE0
    strings = 0xFC
    format = 0x41E


class _Record(NamedTuple):
    place: int
    kind: int
    body: bytes


@dataclass(slots=True)
class _Workbook:
    """What holds for all sheets."""

    left: int
    is_wide: bool = True
    encoding: str = "cp1252"
    epoch: datetime = EPOCH
    strings: list[str] = field(default_factory=list[str], repr=False)
    formats: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(DATE_FORMATS, True))
    styles: list[int] = field(default_factory=list[int])
    sheets: dict[int, tuple[str, bool]] = field(default_factory=dict[int, "tuple[str, bool]"], repr=False)
    """Name and visibility of each sheet, by the place where it begins."""

    def format(self, style: int, number: float) -> str:
        """Return the text of a cell with a number."""
        shown_as = self.styles[style] if style < len(self.styles) else 0
        return format_date(number, self.epoch) if self.formats.get(shown_as) else format_number(number)

    def decode(self, data: bytes, length_size: int) -> str:
        """Return a string that begins with its length."""
        length = int.from_bytes(data[:length_size], "little")
        if not self.is_wide:
            return data[length_size : length_size + length].decode(self.encoding, "replace")
        is_double = data[length_size : length_size + 1] == b"\1"
        text = data[length_size + 1 :][: length * (2 if is_double else 1)]
        return text.decode("utf-16-le" if is_double else "latin-1", "replace")


def read(data: bytes, limits: Limits) -> Content:
    """Read an XLS file.

    Raises:
        UnreadableError: wrong_suffix, encrypted, broken, decompression_bomb.
    """
    if not data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    records, parts, unread = _open(data)
    if not records or records[0].kind != _BEGIN:
        raise UnreadableError(Reason.broken)
    if any(record.kind == _PASSWORD for record in records):
        raise UnreadableError(Reason.encrypted)
    book = _Workbook(limits.max_text_bytes)
    try:
        _read_globals(book, records)
        texts = [
            text for record in _find_sheets(book, records) if (text := _read_sheet(book, records, record))
        ]
    except (struct.error, IndexError):
        raise UnreadableError(Reason.broken) from None
    texts += _iter_text_boxes(records)
    notes = {
        Note.hidden_text: sum(not is_visible for _, is_visible in book.sheets.values()),
        Note.unread_attachment: unread,
        Note.unread_picture: count_pictures(_find_drawings(records)),
    }
    return Content("\n\n".join(texts), parts, {note: count for note, count in notes.items() if count})


def _find_drawings(records: list[_Record]) -> bytes:
    """Return what holds for all drawings, which may go on in the next records."""
    pieces: list[bytes] = []
    for record in records:
        if record.kind == _DRAWINGS or (pieces and record.kind == _CONTINUE):
            pieces.append(record.body)
        elif pieces:
            break
    return b"".join(pieces)


def _open(data: bytes) -> tuple[list[_Record], list[Part], int]:
    """Return the records, the embedded files, and the number of embedded objects of other kinds."""
    import olefile

    with olefile.OleFileIO(io.BytesIO(data)) as container:
        name = next((name for name in _STREAMS if container.exists(name)), None)
        if name is None:
            raise UnreadableError(Reason.wrong_suffix)
        stream = read_stream(container, name)
        objects = {path[0] for path in container.listdir() if len(path) > 1 and path[0].startswith(_OBJECT)}
        parts, unread = list_embedded(container, [[name] for name in sorted(objects)])
    return list(_iter_records(stream)), parts, unread


def _iter_records(stream: bytes) -> Iterator[_Record]:
    place = 0
    while place + _HEAD.size <= len(stream):
        kind, size = _HEAD.unpack_from(stream, place)
        yield _Record(place, kind, stream[place + _HEAD.size : place + _HEAD.size + size])
        place += _HEAD.size + size


def _read_globals(book: _Workbook, records: list[_Record]) -> None:
    book.is_wide = int.from_bytes(records[0].body[:2], "little") >= _VERSION_8
    for number, (_, kind, body) in enumerate(records):
        match kind:
            case _Kind.code_page:
                page = int.from_bytes(body[:2], "little")
                book.encoding = _find_encoding(page)
            case _Kind.date_mode if body[:1] == b"\1":
                book.epoch = EPOCH_OF_MACINTOSH
            case _Kind.format:
                code = book.decode(body[2:], 2 if book.is_wide else 1)
                book.formats[int.from_bytes(body[:2], "little")] = is_date_format(code)
            case _Kind.style:
                book.styles.append(int.from_bytes(body[2:4], "little"))
            case _Kind.sheet:
                place = int.from_bytes(body[:4], "little")
                book.sheets[place] = (book.decode(body[6:], 1), body[4] & 3 == 0)
            case _Kind.strings:
                book.strings = list(_iter_strings(book, records, number))
            case _:
                pass


def _find_encoding(page: int) -> str:
    try:
        "".encode(name := {1200: "utf-16-le", 32768: "mac_roman", 32769: "cp1252"}.get(page, f"cp{page}"))
    except LookupError:
        return "cp1252"
    return name


def _iter_strings(book: _Workbook, records: list[_Record], number: int) -> Iterator[str]:
    """Yield the strings that cells share; one may go on in the next records, with another width."""
    pieces = [records[number].body]
    for record in records[number + 1 :]:
        if record.kind != _CONTINUE:
            break
        pieces.append(record.body)
    reader = _Pieces(pieces)
    count = int.from_bytes(reader.take(8)[4:], "little")
    for _ in range(count):
        head = reader.take(3)
        if len(head) < 3:
            return
        length, flags = int.from_bytes(head[:2], "little"), head[2]
        runs = int.from_bytes(reader.take(2), "little") if flags & 8 else 0
        extra = int.from_bytes(reader.take(4), "little") if flags & 4 else 0
        text = reader.take_text(length, is_double=bool(flags & 1))
        book.left -= len(text)
        if book.left < 0:
            raise UnreadableError(Reason.decompression_bomb)
        yield text
        reader.take(4 * runs + extra)


class _Pieces:
    """Records that follow each other as one."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._number = self._place = 0

    def take(self, size: int) -> bytes:
        """Return the next bytes; fewer at the end."""
        found = b""
        while len(found) < size and self._number < len(self._pieces):
            part = self._pieces[self._number][self._place : self._place + size - len(found)]
            found += part
            self._place += len(part)
            if self._place >= len(self._pieces[self._number]):
                self._number, self._place = self._number + 1, 0
        return found

    def take_text(self, length: int, is_double: bool) -> str:
        """Return the next characters. In a further record, another byte states their width."""
        text = ""
        while length > 0 and self._number < len(self._pieces):
            width = 2 if is_double else 1
            room = (len(self._pieces[self._number]) - self._place) // width
            here = min(length, room)
            before = self._number
            data = self.take(here * width)
            text += data.decode("utf-16-le" if is_double else "latin-1", "replace")
            length -= here
            if length > 0:
                if self._number == before:  # half a character is left
                    self._number, self._place = self._number + 1, 0
                is_double = self.take(1) == b"\1"
        return text


def _find_sheets(book: _Workbook, records: list[_Record]) -> Iterator[int]:
    """Yield the numbers of the records with which visible sheets begin, in the order of the workbook."""
    begins = {record.place: number for number, record in enumerate(records) if record.kind == _BEGIN}
    for place, (_, is_visible) in book.sheets.items():
        if is_visible and place in begins:
            yield begins[place]


def _read_sheet(book: _Workbook, records: list[_Record], begin: int) -> str:
    name, _ = book.sheets[records[begin].place]
    rows: dict[int, dict[int, str]] = {}
    for row, column, text in _iter_cells(book, records, begin + 1):
        shown = " ".join(text.split())
        book.left -= len(shown) + 1
        if book.left < 0:
            raise UnreadableError(Reason.decompression_bomb)
        if shown:
            rows.setdefault(row, {})[column] = shown
    lines = [join_row(rows[row]) for row in sorted(rows)]
    return "\n".join([name, *lines]) if lines else ""


def _iter_cells(book: _Workbook, records: list[_Record], start: int) -> Iterator[tuple[int, int, str]]:
    formula = (0, 0)  # whose result is a string, which follows
    for _, kind, body in records[start:]:
        if kind == _BEGIN:
            return
        if kind == _RESULT:
            yield formula[0], formula[1], book.decode(body, 2)
        elif kind == _MANY_PACKED:
            row, first = struct.unpack_from("<HH", body)
            for number in range((len(body) - 6) // 6):
                style, packed = struct.unpack_from("<HI", body, 4 + 6 * number)
                yield row, first + number, book.format(style, unpack_number(packed))
        elif kind == _FORMULA or kind in _LABELS or kind in (_SHARED, _NUMBER, _PACKED, _BOOLEAN):
            row, column, style = _CELL.unpack_from(body)
            formula = (row, column)
            yield row, column, _read_cell(book, kind, style, body[_CELL.size :])


def _read_cell(book: _Workbook, kind: int, style: int, value: bytes) -> str:
    if kind in _LABELS:
        return book.decode(value, 2)
    if kind == _SHARED:
        number = int.from_bytes(value[:4], "little")
        return book.strings[number] if number < len(book.strings) else ""
    if kind == _PACKED:
        return book.format(style, unpack_number(int.from_bytes(value[:4], "little")))
    if kind == _BOOLEAN:
        return "" if value[1:2] == b"\1" else _name_boolean(value[0])
    if kind == _FORMULA and value[6:8] == b"\xff\xff":
        return _name_boolean(value[2]) if value[0] == 1 else ""
    return book.format(style, struct.unpack_from("<d", value)[0])


def _name_boolean(value: int) -> str:
    return "TRUE" if value else "FALSE"


def unpack_number(packed: int) -> float:
    """Return the number that 32 bits stand for ([MS-XLS] 2.5.217)."""
    if packed & 2:
        number = float((packed >> 2) - (1 << 30 if packed & 0x80000000 else 0))
    else:
        number = struct.unpack("<d", struct.pack("<Q", (packed & 0xFFFFFFFC) << 32))[0]
    return number / 100 if packed & 1 else number


def _iter_text_boxes(records: list[_Record]) -> Iterator[str]:
    """Yield the texts of boxes, which stand in the records after those that announce them."""
    length = 0
    for _, kind, body in records:
        if kind == _TEXT_BOX:
            length = int.from_bytes(body[_LENGTH_AT : _LENGTH_AT + 2], "little")
        elif kind == _CONTINUE and length and body:
            text = body[1:].decode("utf-16-le" if body[0] & 1 else "latin-1", "replace")[:length]
            length = 0
            if text.strip():
                yield text.replace("\r", "\n")
        elif kind != _CONTINUE:
            length = 0
