"""XLSX to text: each sheet with its name, a line per row, tabs between cells, then its text boxes.

Values are as they are stored: dates in ISO 8601, numbers without their format, formulas by their last result.
Hidden sheets are not text: they are counted, as pictures are. Embedded files are separate documents.
Comments, headers and footers of the printed page are not text. A workbook is one document: save a sheet as
CSV if its rows are to be documents.

Rows are written as they are parsed, so memory does not grow with the distance of the sheet's corners.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from lexveil.nlp.readers.contract import Content, Limits, Note, Reason, UnreadableError
from lexveil.nlp.readers.office_package import OfficePackage, PartTarget, open_package
from lexveil.nlp.readers.pptx import EMBEDDED, read_drawing

_COLUMN = re.compile(r"[A-Z]{1,3}")
DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_NO_DATE = re.compile(r"\"[^\"]*\"|\\.|_.|\*.|\[(?!h|m|s)[^\]]*\]", re.IGNORECASE)
_DATE = re.compile(r"[ymdhs]", re.IGNORECASE)
EPOCH, EPOCH_OF_MACINTOSH = datetime(1899, 12, 30), datetime(1904, 1, 1)
_LAST_DAY = 2_958_465  # the year 9999
_SECOND = 1 / 86_400
MOST_TABS = 32
_LARGEST_WHOLE = 1e16  # beyond it, a cell's number does not represent every digit
_BOOLEANS = {"1": "TRUE", "0": "FALSE"}


def read(data: bytes, limits: Limits) -> Content:
    """Read an XLSX file.

    Raises:
        UnreadableError: encrypted, wrong_suffix, broken, decompression_bomb.
    """
    with open_package(data, limits) as package:
        main = package.find_main("xl/workbook.xml")
        workbook = _Workbook()
        package.parse(main, workbook)
        if not workbook.is_workbook:
            raise UnreadableError(Reason.wrong_suffix)
        parts = dict(package.find_related(main).values())
        cells = _Cells(limits.max_text_bytes, workbook.epoch)
        if "sharedStrings" in parts:
            package.parse(parts["sharedStrings"], cells.strings)
        if "styles" in parts:
            package.parse(parts["styles"], cells.styles)

        def read_rows(part: str) -> list[str]:
            sheet = _Sheet(cells)
            package.parse(part, sheet)
            return sheet.lines

        return read_sheets(package, main, workbook.sheets, read_rows)


def read_sheets(
    package: OfficePackage,
    main: str,
    sheets: Sequence[tuple[str, str, bool]],
    read_rows: Callable[[str], list[str]],
) -> Content:
    """Read the sheets of a workbook, and what is drawn on them or embedded.

    Args:
        package: The workbook.
        main: Name of its main part.
        sheets: Name, id of the relationship, and whether it is hidden, of each sheet.
        read_rows: Returns the rows of a sheet, by the name of its part.
    """
    related = package.find_related(main)
    visible = [
        (name, related[identifier][1])
        for name, identifier, is_hidden in sheets
        if not is_hidden and identifier in related
    ]
    texts = [_read_sheet(package, name, part, read_rows) for name, part in visible]
    hidden = sum(is_hidden for _, _, is_hidden in sheets)
    missing = len(sheets) - hidden - len(visible)
    shown = [one for _, part in visible for one in _list_shown(package, part)]
    pictures = {name for kind, name in shown if kind == "image"}
    embedded = dict.fromkeys(name for kind, name in shown if kind in EMBEDDED)
    properties = package.read_properties()
    parts = [package.read_embedded(name) for name in embedded]
    notes = {Note.hidden_text: hidden, Note.unread_page: missing, Note.unread_picture: len(pictures)}
    return Content(
        "\n\n".join(text for text in texts if text),
        parts,
        {note: count for note, count in notes.items() if count},
        properties,
    )


def join_row(cells: Mapping[int, str]) -> str:
    """Return the line of a row.

    Args:
        cells: What its cells say, by their columns from 0 on.
    """
    line, last = "", 0
    for column in sorted(cells):
        line += "\t" * min(column - last, MOST_TABS) + cells[column]
        last = column
    return line


def _list_shown(package: OfficePackage, sheet: str) -> Iterator[tuple[str, str]]:
    """Yield kind and name of what a sheet, and the drawing on it, show."""
    for kind, name in package.find_related(sheet).values():
        if kind == "drawing":
            yield from package.find_related(name).values()
        yield kind, name


def _read_sheet(package: OfficePackage, name: str, part: str, read_rows: Callable[[str], list[str]]) -> str:
    rows = read_rows(part)
    drawings = [inner for kind, inner in package.find_related(part).values() if kind == "drawing"]
    lines = [*rows, *(read_drawing(package, drawing) for drawing in drawings)]
    lines = [line for line in lines if line.strip()]
    return "\n".join([name, *lines]) if lines else ""


class _Workbook(PartTarget):
    """Collects name, id of the relationship and visibility of the sheets."""

    def __init__(self) -> None:
        self.is_workbook = False
        self.epoch = EPOCH
        self.sheets: list[tuple[str, str, bool]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self.is_workbook = self.is_workbook or name == "workbook"
        if name == "sheet":
            identifier = next((value for key, value in attributes.items() if key.endswith("}id")), "")
            is_hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append((attributes.get("name", ""), identifier, is_hidden))
        elif name == "workbookPr" and attributes.get("date1904") in ("1", "true"):
            self.epoch = EPOCH_OF_MACINTOSH


class _Strings(PartTarget):
    """Collects the strings that cells share, without phonetic guides."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._parts: list[str] = []
        self._is_text = False
        self._guides = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self._guides += name == "rPh"
        self._is_text = name == "t" and not self._guides

    def data(self, text: str) -> None:
        if self._is_text:
            self._parts.append(text)

    def end(self, tag: str) -> None:
        name = tag.rpartition("}")[2]
        self._is_text = False
        self._guides -= name == "rPh"
        if name == "si":
            self.all.append("".join(self._parts))
            self._parts = []


class _Styles(PartTarget):
    """Finds which styles of cells show a number as a date."""

    def __init__(self) -> None:
        self.are_dates: list[bool] = []
        self._formats: dict[str, bool] = {str(number): True for number in DATE_FORMATS}
        self._in_cells = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if name == "numFmt":
            self._formats[attributes.get("numFmtId", "")] = is_date_format(attributes.get("formatCode", ""))
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            self.are_dates.append(self._formats.get(attributes.get("numFmtId", ""), False))

    def end(self, tag: str) -> None:
        if tag.endswith("}cellXfs"):
            self._in_cells = False


class _Cells:
    """The texts of a workbook's cells, and the number of characters that may still be written."""

    def __init__(self, longest: int, epoch: datetime) -> None:
        self.strings = _Strings()
        self.styles = _Styles()
        self._left = longest
        self._epoch = epoch

    def read(self, kind: str, style: str, value: str) -> str:
        """Return the text of a cell.

        Raises:
            UnreadableError: decompression_bomb.
        """
        text = self._decode(kind, style, value.strip() if kind != "str" else value)
        self._left -= len(text) + 1
        if self._left < 0:
            raise UnreadableError(Reason.decompression_bomb)
        return " ".join(text.split())

    def _decode(self, kind: str, style: str, value: str) -> str:
        match kind:
            case "s":
                number = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else -1
                return self.strings.all[number] if 0 <= number < len(self.strings.all) else ""
            case "b":
                return _BOOLEANS.get(value, value)
            case "e":
                return ""
            case "n":
                return self._format_number(style, value)
            case _:
                return value

    def _format_number(self, style: str, value: str) -> str:
        try:
            number = float(value)
        except ValueError:
            return value
        place = int(style) if style.isascii() and style.isdigit() and len(style) < 9 else 0
        if place < len(self.styles.are_dates) and self.styles.are_dates[place]:
            return format_date(number, self._epoch)
        return format_number(number) if "." in value or "e" in value.lower() else value


class _Sheet(PartTarget):
    """Collects the rows of a sheet."""

    def __init__(self, cells: _Cells) -> None:
        self.lines: list[str] = []
        self._cells = cells
        self._row: list[str] = []
        self._column = self._last = 0
        self._kind = self._style = ""
        self._value: list[str] = []
        self._is_value = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if name == "row":
            self._row, self._last = [], 0
            self._column = 0
        elif name == "c":
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "")
            self._value = []
            self._column = _find_column(attributes.get("r", "")) or self._column + 1
        self._is_value = name in ("v", "t") and not tag.endswith("}rPh")

    def data(self, text: str) -> None:
        if self._is_value:
            self._value.append(text)

    def end(self, tag: str) -> None:
        name = tag.rpartition("}")[2]
        self._is_value = False
        if name == "c" and self._value:
            text = self._cells.read(self._kind, self._style, "".join(self._value))
            if text:
                self._row.append("\t" * min(self._column - max(self._last, 1), MOST_TABS) + text)
                self._last = self._column
        elif name == "row" and self._row:
            self.lines.append("".join(self._row))


def is_date_format(code: str) -> bool:
    """Return True if a format shows a number as a date or a time."""
    return _DATE.search(_NO_DATE.sub("", code)) is not None


def format_date(number: float, epoch: datetime) -> str:
    """Return the date, or the time, that a number stands for."""
    if not 0 <= number < _LAST_DAY:
        return format_number(number)
    moment = epoch + timedelta(days=number) + timedelta(seconds=0.5)
    if number < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d" if number % 1 < _SECOND else "%Y-%m-%d %H:%M:%S")


def format_number(number: float) -> str:
    """Return a number as it is written in a cell without a format."""
    if number.is_integer() and abs(number) < _LARGEST_WHOLE:
        return str(int(number))
    return f"{number:.15g}"


def _find_column(reference: str) -> int:
    """Return the number of a cell's column, from 1; 0 if its reference has none."""
    letters = _COLUMN.match(reference)
    number = 0
    for letter in letters[0] if letters else "":
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
