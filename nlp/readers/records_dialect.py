"""The dialect of a table, from the first MiB of a CSV, TSV or load file.

It consists of the encoding, title lines before the header, the delimiter (comma, semicolon, tab or bar; or a
first line such as `sep=;` names it, as Excel writes it), and how quotes are escaped: doubled, or by a
backslash, as PostgreSQL and MySQL export them. `.dat` are Concordance load files, of e-discovery: fields in
thorn signs, with U+0014 or a pilcrow between them, and registered signs for line ends.
"""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF16_BE
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from lexveil.nlp.readers.contract import Reason, UnreadableError
from lexveil.nlp.readers.plain import guess_encoding

LOAD_FILE = ".dat"
_THORN, _FIELD_END, _PILCROW, _LINE_END = b"\xfe", b"\x14", b"\xb6", b"\xae"
_NAMED_DELIMITER = re.compile(r"\"?sep=(.)\"?", re.IGNORECASE)
_MOST_TITLES = 20  # lines before the header
_LONGEST_NAME = 60  # of a column, after titles
_HEAD = 256
_LOOKED_AT = 1 << 16
_WORD = re.compile(r"[\w.-]{1,30}")
_NUMBER = re.compile(r"[\d.,:/%-]+")
# In a table by RFC 4180, a quote after a backslash ends its cell or is doubled.
_ESCAPED_QUOTE = re.compile(r"\\\"[^\"\r\n,;|\t]")
_COPIED_NULL = re.compile(r"(?:^|\t)\\N(?=\t|\r|$)", re.MULTILINE)  # PostgreSQL's COPY, in its text format
_COPIED_ESCAPE = re.compile(r"\\(.)")
_COPIED = {"N": "", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written.

    Attributes:
        encoding: Python codec.
        skipped: Number of lines before the header.
        options: Arguments of `csv.reader`.
        line_end: Character that represents a line end within a cell, if any.
        is_copied: Backslashes escape, as in PostgreSQL's COPY.
    """

    encoding: str
    skipped: int = 0
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    line_end: str = ""
    is_copied: bool = False

    def decode(self, cell: str) -> str:
        """Return the value of a cell."""
        if self.is_copied and "\\" in cell:
            return _COPIED_ESCAPE.sub(lambda mark: _COPIED.get(mark[1], mark[1]), cell)
        return cell.replace(self.line_end, "\n") if self.line_end else cell


def detect_dialect(sample: bytes, suffix: str) -> Dialect:
    """Detect how a table is written from its first bytes.

    Raises:
        UnreadableError: wrong_suffix, for binary data; unsupported, for a `.dat` file that is not a load
            file.
    """
    if suffix == LOAD_FILE:
        return _detect_load_file(sample)
    encoding = guess_encoding(sample)
    text = sample.decode(encoding, "ignore")
    lines = list(islice(io.StringIO(text, newline=""), _MOST_TITLES + 2))
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if lines and (named := _NAMED_DELIMITER.fullmatch(lines[first].strip())):
        return Dialect(encoding, first + 1, _add_escape({"delimiter": named[1]}, text))
    first += _count_titles(lines[first:], suffix)
    delimiter = _detect_delimiter(lines[first], suffix) if lines else ","
    if delimiter == "\t" and _COPIED_NULL.search(text):
        return Dialect(encoding, first, {"delimiter": "\t", "quoting": csv.QUOTE_NONE}, is_copied=True)
    return Dialect(encoding, first, _add_escape({"delimiter": delimiter}, text))


def _add_escape(options: dict[str, Any], text: str) -> dict[str, Any]:
    return {**options, "escapechar": "\\"} if _ESCAPED_QUOTE.search(text) else options


def _detect_load_file(sample: bytes) -> Dialect:
    is_bytes = sample.startswith(_THORN) and not sample.startswith(BOM_UTF16_BE)
    # Its marks look like binary data, and the thorns, if they are a byte each, like Icelandic.
    marks = _THORN + _FIELD_END + _PILCROW + _LINE_END if is_bytes else _FIELD_END
    encoding = guess_encoding(sample if b"\0" in sample[:_HEAD] else sample.translate(None, marks))
    if is_bytes and encoding == "utf-8":
        encoding = "cp1252"
    kept = encoding if is_bytes else "cp1252"
    thorn, line_end = (mark.decode(kept, "ignore") or mark.decode("latin-1") for mark in (_THORN, _LINE_END))
    text = sample.decode(encoding, "ignore")[:_LOOKED_AT].lstrip("\ufeff")
    first, field_end = text.partition("\n")[0], _FIELD_END.decode()
    if first.startswith(thorn):
        delimiter = first[1:].partition(thorn)[2][:1].strip("\r") or field_end
        return Dialect(encoding, 0, {"delimiter": delimiter, "quotechar": thorn}, line_end)
    if field_end in first:
        return Dialect(encoding, 0, {"delimiter": field_end, "quoting": csv.QUOTE_NONE}, line_end)
    raise UnreadableError(Reason.unsupported)


def _count_titles(lines: list[str], suffix: str) -> int:
    """Return the number of lines before the header, such as the title of a report; mostly 0.

    The header has names in two cells or more, and the line after it as many cells. Titles fill one cell, or
    fewer cells than the header if a blank line ends them. A single word, which may be the name of a column,
    is a title only if a blank line follows.
    """
    rows = [_split(line, _detect_delimiter(line, suffix)) for line in lines]
    filled = [[cell for cell in row if cell.strip()] for row in rows]
    for number, line in enumerate(lines):
        delimiter = _detect_delimiter(line, suffix)
        after = next(
            (_split(other, delimiter) for other in lines[number + 1 :] if other.strip()), rows[number]
        )
        # A cell of several lines shows only a part of its row here.
        is_table = len(after) == len(rows[number]) or any('"' in cell for cell in after)
        if not (is_table and _are_names(filled[number])):
            continue
        return number if _are_titles(filled[:number], len(filled[number])) else 0
    return 0


def _are_names(cells: list[str]) -> bool:
    return (
        len(cells) > 1
        and len(set(cells)) == len(cells)
        and all(
            len(cell) <= _LONGEST_NAME and not cell[0].isspace() and not _NUMBER.fullmatch(cell)
            for cell in cells
        )
    )


def _are_titles(filled: list[list[str]], columns: int) -> bool:
    """Return True if rows with these filled cells can be nothing but titles."""
    last_blank = max((number for number, cells in enumerate(filled) if not cells), default=-1)
    return all(
        not cells
        or (len(cells) == 1 and not _WORD.fullmatch(cells[0].strip()))
        or (number < last_blank and len(cells) < columns)
        for number, cells in enumerate(filled)
    )


def _detect_delimiter(header: str, suffix: str) -> str:
    if suffix == ".tsv":
        return "\t"
    columns = {mark: len(_split(header, mark)) for mark in ",;\t|"}
    return max(columns, key=lambda mark: columns[mark])


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
