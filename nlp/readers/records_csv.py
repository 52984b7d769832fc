"""CSV and TSV (RFC 4180): a header, then one record per row; quoted fields may span several lines.

The encoding is detected from the first MiB, and the delimiter (comma, semicolon, tab or bar) from the header,
unless a first line such as `sep=;` names it, as Excel writes it. Values are strings. Repeated names of
columns are numbered (`text`, `text.1`), so that no column is lost.
"""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import BinaryIO

from lexveil.nlp.readers.compression import iter_blocks
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError, has_surrogates
from lexveil.nlp.readers.plain import guess_encoding

_SAMPLE = 1 << 20
_NAMED_DELIMITER = re.compile(r"\"?sep=(.)\"?", re.IGNORECASE)
_SEEKABLE_ENCODINGS = {"utf-8", "cp1252"}
"""Encodings that reproduce the bytes of a text exactly, and in which reading can start at any line."""

Row = tuple[Mapping[str, object] | Reason, int, int]
"""Record, its size in characters, and the byte in the decompressed content where it starts."""


def iter_rows(raw: BinaryIO, codec: str | None, limits: Limits, suffix: str, start: int = 0) -> Iterator[Row]:
    """Iterate over all rows, or over those from byte `start` of the decompressed content on.

    Blank rows are not records.

    Yields:
        The record, its size and its position, which is 0 if unknown, as in encodings in which reading cannot
        start at any line. The record is Reason.broken if the row has undecodable bytes or not as many columns
        as the header. After a line longer than `limits.max_text_bytes`, or a break in the stream, the file
        ends with one last Reason.

    Raises:
        UnreadableError: wrong_suffix, for binary data.
    """
    # One setting for the whole process: every caller needs it at least this large.
    csv.field_size_limit(max(limits.max_text_bytes, csv.field_size_limit()))
    stream = _open_stream(raw, codec, limits, 0)
    encoding = _detect_encoding(stream)
    try:
        lines = _LineReader(stream, encoding, limits, 0)
        first, delimiter = _find_header(lines, suffix)
        if first is None:
            return
        reader = csv.reader(chain([first], lines), delimiter=delimiter)
        header = _number_repeated(next(reader))
        if start:
            raw.seek(0)
            lines = _LineReader(_open_stream(raw, codec, limits, start), encoding, limits, start)
            reader = csv.reader(lines, delimiter=delimiter)
        yield from _iter_records(reader, lines, header)
    except UnreadableError as unreadable:
        yield unreadable.reason, 0, 0
    except (UnicodeDecodeError, csv.Error):
        # Half a character of UTF-16, which cannot be escaped, or an invalid header.
        yield Reason.broken, 0, 0


def _iter_records(reader: Iterator[list[str]], lines: _LineReader, header: list[str]) -> Iterator[Row]:
    if lines.is_exhausted:
        yield Reason.broken, 0, 0
    while not lines.is_exhausted:
        position = lines.position
        try:
            row = next(reader, None)
        except csv.Error:
            yield Reason.broken, 0, position
            continue
        if row:
            # A row that runs into the end of the file has an unclosed quote and has swallowed all rows after
            # it, possibly of other owners.
            is_valid = (
                not lines.is_exhausted and len(row) == len(header) and not any(map(has_surrogates, row))
            )
            record = dict(zip(header, row, strict=True)) if is_valid else Reason.broken
            yield record, sum(map(len, row)), position


def _open_stream(
    raw: BinaryIO, codec: str | None, limits: Limits, start: int
) -> io.BufferedReader[_BlockStream]:
    return io.BufferedReader(_BlockStream(iter_blocks(raw, codec, limits, start)), _SAMPLE)


def _detect_encoding(stream: io.BufferedReader[_BlockStream]) -> str:
    try:
        sample = stream.peek(_SAMPLE)
    except UnreadableError:
        return "utf-8"  # the same error is raised again, and becomes a record, when the header is read
    return guess_encoding(sample)


class _LineReader:
    """The lines of a table, and the position of the next one."""

    def __init__(
        self, stream: io.BufferedReader[_BlockStream], encoding: str, limits: Limits, start: int
    ) -> None:
        has_bom = encoding == "utf-8-sig"
        self._encoding = "utf-8" if has_bom else encoding
        self._counts_bytes = self._encoding in _SEEKABLE_ENCODINGS
        self._max_length = limits.max_text_bytes
        # Undecodable bytes become lone surrogates, which mark their rows.
        used = encoding if start == 0 else self._encoding
        self._text = io.TextIOWrapper(stream, encoding=used, errors="surrogateescape", newline="")
        self.position = start or (len(BOM_UTF8) if has_bom else 0)
        """Byte in the decompressed content where the next line starts."""
        self.is_exhausted = False
        """True once a line was requested after the last one."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._max_length + 1)
        if not line:
            self.is_exhausted = True
            raise StopIteration
        if len(line) > self._max_length:
            raise UnreadableError(Reason.over_size)
        if self._counts_bytes:
            ascii_only = line.isascii()
            self.position += len(line) if ascii_only else len(line.encode(self._encoding, "surrogateescape"))
        return line


def _find_header(lines: _LineReader, suffix: str) -> tuple[str | None, str]:
    """Return the line of the header, and the delimiter; None if there is no line."""
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        return None, ","
    if named := _NAMED_DELIMITER.fullmatch(first.strip()):
        return next((line for line in lines if line.strip()), None), named[1]
    return first, _detect_delimiter(first, suffix)


def _detect_delimiter(header: str, suffix: str) -> str:
    if suffix == ".tsv":
        return "\t"
    columns = {mark: len(next(csv.reader([header], delimiter=mark), [])) for mark in ",;\t|"}
    return max(columns, key=lambda mark: columns[mark])


def _number_repeated(names: list[str]) -> list[str]:
    unique: dict[str, None] = {}
    last_numbers: dict[str, int] = {}  # a spreadsheet may have thousands of columns without a name
    for name in names:
        number, candidate = last_numbers.get(name, 0), name
        while candidate in unique:
            number += 1
            candidate = f"{name}.{number}"
        last_numbers[name] = number
        unique[candidate] = None
    return list(unique)


class _BlockStream(io.RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")
        self._broken: Reason | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        size = 0
        while size < len(buffer):  # filled completely, because the encoding is guessed from a single read
            if not self._rest:
                self._rest = memoryview(self._next_block(size))
            if not self._rest:
                break
            step = min(len(buffer) - size, len(self._rest))
            buffer[size : size + step] = self._rest[:step]
            self._rest = self._rest[step:]
            size += step
        return size

    def _next_block(self, already_read: int) -> bytes:
        """Return the next block; b"" at the end.

        A break in the stream is raised once everything before it was returned, and again on every later read.
        """
        if self._broken is None:
            try:
                return next(self._blocks, b"")
            except UnreadableError as unreadable:
                self._broken = unreadable.reason
        if already_read:
            return b""
        raise UnreadableError(self._broken)
