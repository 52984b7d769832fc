"""XLSB, the binary form of XLSX, to text ([MS-XLSB]): records in the parts of the same package.

As in `xlsx`, dates are in ISO 8601, hidden sheets and pictures are counted, and nothing is as large as the
sheet's corners are apart.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from lexveil.nlp.readers.contract import Content, Limits, Reason, UnreadableError
from lexveil.nlp.readers.office_package import OfficePackage, open_package
from lexveil.nlp.readers.xls import unpack_number
from lexveil.nlp.readers.xlsx import (
    DATE_FORMATS,
    EPOCH,
    EPOCH_OF_MACINTOSH,
    format_date,
    format_number,
    is_date_format,
    join_row,
    read_sheets,
)


class _Kind(IntEnum):
    """Records that are read."""

    row = 0
    packed = 2
    boolean = 4
    number = 5
    text = 6
    shared = 7
    formula_text = 8
    formula_number = 9
    formula_boolean = 10
    string = 19
    format = 44
    style = 47
    rich_text = 62
    properties = 153
    sheet = 156
    begin_styles = 617
    end_styles = 618


_CELLS = {*range(_Kind.packed, _Kind.formula_boolean + 1), _Kind.rich_text} - {3}  # 3 is an error
_SHORT = 11  # of cells without their column, which is the next: kinds are higher by it
_SHORT_CELLS = range(_Kind.packed + _SHORT, _Kind.shared + _SHORT + 1)
_HEAD, _SHORT_HEAD = 8, 4  # column, style and flags
_LENGTH = 4
_LAST_COLUMN = 16_383


@dataclass(slots=True)
class _Workbook:
    """What holds for all sheets, and the number of characters that may still be written."""

    left: int
    epoch: datetime = EPOCH
    sheets: list[tuple[str, str, bool]] = field(default_factory=list[tuple[str, str, bool]], repr=False)
    strings: list[str] = field(default_factory=list[str], repr=False)
    formats: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(DATE_FORMATS, True))
    styles: list[bool] = field(default_factory=list[bool])

    def format(self, style: int, number: float) -> str:
        """Return what a cell with a number says."""
        is_date = style < len(self.styles) and self.styles[style]
        return format_date(number, self.epoch) if is_date else format_number(number)

    def take(self, text: str) -> str:
        """Return a text of a cell.

        Raises:
            UnreadableError: decompression_bomb.
        """
        shown = " ".join(text.split())
        self.left -= len(shown) + 1
        if self.left < 0:
            raise UnreadableError(Reason.decompression_bomb)
        return shown


def read(data: bytes, limits: Limits) -> Content:
    """Read an XLSB file.

    Raises:
        UnreadableError: encrypted, wrong_suffix, broken, decompression_bomb.
    """
    with open_package(data, limits) as package:
        main = package.find_main("xl/workbook.bin")
        workbook = _Workbook(limits.max_text_bytes)
        try:
            _read_workbook(package, main, workbook)
            rows = functools.partial(_read_rows, package, workbook)
            return read_sheets(package, main, workbook.sheets, rows)
        except (struct.error, IndexError):
            raise UnreadableError(Reason.broken) from None


def _read_workbook(package: OfficePackage, main: str, workbook: _Workbook) -> None:
    for kind, body in _iter_records(package.inflate(main)):
        if kind == _Kind.sheet:
            identifier, end = _read_string(body, 8)
            is_hidden = int.from_bytes(body[:4], "little") != 0
            workbook.sheets.append((_read_string(body, end)[0], identifier, is_hidden))
        elif kind == _Kind.properties and body[:1] and body[0] & 1:
            workbook.epoch = EPOCH_OF_MACINTOSH
    if not workbook.sheets:
        raise UnreadableError(Reason.wrong_suffix)
    parts = dict(package.find_related(main).values())
    if "sharedStrings" in parts:
        records = _iter_records(package.inflate(parts["sharedStrings"]))
        workbook.strings = [_read_string(body, 1)[0] for kind, body in records if kind == _Kind.string]
    if "styles" in parts:
        _read_styles(package.inflate(parts["styles"]), workbook)


def _read_styles(content: bytes, workbook: _Workbook) -> None:
    is_cell = False
    for kind, body in _iter_records(content):
        if kind == _Kind.format:
            code = _read_string(body, 2)[0]
            workbook.formats[int.from_bytes(body[:2], "little")] = is_date_format(code)
        elif kind in (_Kind.begin_styles, _Kind.end_styles):
            is_cell = kind == _Kind.begin_styles
        elif kind == _Kind.style and is_cell:
            workbook.styles.append(workbook.formats.get(int.from_bytes(body[2:4], "little"), False))


def _read_rows(package: OfficePackage, workbook: _Workbook, part: str) -> list[str]:
    rows: dict[int, dict[int, str]] = {}
    row, column = 0, -1
    for kind, body in _iter_records(package.inflate(part)):
        if kind == _Kind.row:
            row, column = int.from_bytes(body[:4], "little"), -1
        elif kind in _CELLS or kind in _SHORT_CELLS:
            is_short = kind in _SHORT_CELLS
            head = _SHORT_HEAD if is_short else _HEAD
            column = column + 1 if is_short else int.from_bytes(body[:4], "little")
            style = int.from_bytes(body[head - 4 : head - 1], "little")
            text = workbook.take(_read_cell(kind - _SHORT * is_short, style, body[head:], workbook))
            if text and 0 <= column <= _LAST_COLUMN:
                rows.setdefault(row, {})[column] = text
    return [join_row(rows[row]) for row in sorted(rows)]


def _read_cell(kind: int, style: int, value: bytes, workbook: _Workbook) -> str:
    match kind:
        case _Kind.packed:
            return workbook.format(style, unpack_number(int.from_bytes(value[:4], "little")))
        case _Kind.number | _Kind.formula_number:
            return workbook.format(style, struct.unpack_from("<d", value)[0])
        case _Kind.boolean | _Kind.formula_boolean:
            return "TRUE" if value[0] else "FALSE"
        case _Kind.shared:
            number = int.from_bytes(value[:4], "little")
            return workbook.strings[number] if number < len(workbook.strings) else ""
        case _:
            return _read_string(value, int(kind == _Kind.rich_text))[0]


def _read_string(body: bytes, place: int) -> tuple[str, int]:
    """Return a string that begins with its length, and where it ends; "" for none (a length of all bits)."""
    length = int.from_bytes(body[place : place + _LENGTH], "little")
    start = place + _LENGTH
    if length == 0xFFFFFFFF:
        return "", start
    return body[start : start + 2 * length].decode("utf-16-le", "replace"), start + 2 * length


def _iter_records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and body of each record. Numbers have seven bits a byte: two for the kind, four at most.

    Raises:
        UnreadableError: broken (cut off).
    """
    place, end = 0, len(content)
    while place < end:
        kind = content[place]
        place += 1
        if kind & 0x80:
            kind = (kind & 0x7F) | (content[place] & 0x7F) << 7
            place += 1
        size = 0
        for shift in (0, 7, 14, 21):
            part = content[place]
            place += 1
            size |= (part & 0x7F) << shift
            if not part & 0x80:
                break
        if place + size > end:
            raise UnreadableError(Reason.broken)
        yield kind, content[place : place + size]
        place += size
