"""XLS and XLSB to text, by calamine: each visible sheet with its name, a line per row, then text boxes.

As in `xlsx`, dates are in ISO 8601, hidden sheets are counted, and a workbook is one document. That strings
which many cells share do not fill the memory is left to the limits of the reader's process.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time

from lexveil.nlp.readers.contract import Content, Limits, Note, Reason, UnreadableError
from lexveil.nlp.readers.plain import OLE_MAGIC
from lexveil.nlp.readers.xlsx import format_number

_RECORD = struct.Struct("<HH")
_PASSWORD, _CONTINUE, _TEXT_BOX = 0x2F, 0x3C, 0x1B6  # [MS-XLS] 2.4.117, 2.4.58 and 2.4.329
_LENGTH_AT = 10
_STREAMS = ("Workbook", "Book")


def read(data: bytes, limits: Limits) -> Content:
    """Read an XLS or XLSB file.

    Raises:
        UnreadableError: encrypted, broken, decompression_bomb.
    """
    from python_calamine import CalamineError

    try:
        texts, hidden = _read_sheets(data, limits.max_text_bytes)
    except CalamineError:
        is_encrypted = any(kind == _PASSWORD for kind, _ in _iter_records(data))
        raise UnreadableError(Reason.encrypted if is_encrypted else Reason.broken) from None
    texts += _iter_text_boxes(data)
    return Content("\n\n".join(texts), notes={Note.hidden_text: hidden} if hidden else {})


def _read_sheets(data: bytes, left: int) -> tuple[list[str], int]:
    """Return the texts of the visible sheets, and the number of hidden ones."""
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    texts: list[str] = []
    with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
        sheets = workbook.sheets_metadata
        names = [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible]
        for name in names:
            lines = list(_iter_lines(workbook.get_sheet_by_name(name).iter_rows(), left))
            left -= sum(map(len, lines))
            if lines:
                texts.append("\n".join([name, *lines]))
    return texts, len(sheets) - len(names)


def _iter_lines(rows: Iterable[Sequence[object]], left: int) -> Iterator[str]:
    for row in rows:
        line = "\t".join(map(_format, row)).rstrip("\t")
        left -= len(line)
        if left < 0:
            raise UnreadableError(Reason.decompression_bomb)
        if line:
            yield line


def _format(value: object) -> str:
    match value:
        case bool():
            return str(value).upper()
        case float():
            return format_number(value)
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime():
            return value.isoformat(" ", "seconds")
        case date() | time():
            return value.isoformat()
        case _:
            return " ".join(str(value).split())


def _iter_text_boxes(data: bytes) -> Iterator[str]:
    """Yield the texts of boxes, which stand in the records after those that announce them."""
    length = 0
    for kind, body in _iter_records(data):
        if kind == _TEXT_BOX:
            length = int.from_bytes(body[_LENGTH_AT : _LENGTH_AT + 2], "little")
        elif kind == _CONTINUE and length and body:
            text = body[1:].decode("utf-16-le" if body[0] & 1 else "latin-1", "replace")[:length]
            length = 0
            if text.strip():
                yield text.replace("\r", "\n")
        elif kind != _CONTINUE:
            length = 0


def _iter_records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of the records of an XLS file."""
    import olefile

    if not data.startswith(OLE_MAGIC):
        return
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        name = next((name for name in _STREAMS if container.exists(name)), None)
        stream = container.openstream(name).read() if name else b""
    place = 0
    while place + _RECORD.size <= len(stream):
        kind, size = _RECORD.unpack_from(stream, place)
        place += _RECORD.size + size
        yield kind, stream[place - size : place]
