"""CSV, TSV and load files: a header, then one record per row; quoted fields may span several lines.

`records_dialect` finds how the table is written. Values are strings. Repeated names of columns are numbered
(`text`, `text.1`), so that no column is lost. At the end of a row, empty cells may be too many, and cells of
columns without a name may be missing.
"""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from lexveil.nlp.readers.compression import iter_blocks
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError, has_surrogates
from lexveil.nlp.readers.records_dialect import Dialect, detect_dialect

_SAMPLE = 1 << 20
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
        UnreadableError: wrong_suffix, for binary data; unsupported, for a `.dat` file that is not a load
            file.
    """
    # One setting for the whole process: every caller needs it at least this large.
    csv.field_size_limit(max(limits.max_text_bytes, csv.field_size_limit()))
    dialect = _detect_dialect(_open_stream(raw, codec, limits, 0), suffix)
    try:
        raw.seek(0)
        lines = _LineReader(_open_stream(raw, codec, limits, 0), dialect.encoding, limits, 0)
        for _ in range(dialect.skipped):
            next(lines, None)
        reader = csv.reader(lines, **dialect.options)
        names = next((row for row in reader if row), None)
        if names is None:
            return
        header = _Header([dialect.decode(name) for name in names])
        if start:
            raw.seek(0)
            stream = _open_stream(raw, codec, limits, start)
            lines = _LineReader(stream, dialect.encoding, limits, start)
            reader = csv.reader(lines, **dialect.options)
        yield from _iter_records(reader, lines, header, dialect)
    except UnreadableError as unreadable:
        yield unreadable.reason, 0, 0
    except (UnicodeDecodeError, csv.Error):
        # Half a character of UTF-16, which cannot be escaped, or an invalid header.
        yield Reason.broken, 0, 0


def _iter_records(
    reader: Iterator[list[str]], lines: _LineReader, header: _Header, dialect: Dialect
) -> Iterator[Row]:
    if lines.is_exhausted:
        yield Reason.broken, 0, 0
    while not lines.is_exhausted:
        position = lines.position
        try:
            row = next(reader, None)
        except csv.Error:
            yield Reason.broken, 0, position
            continue
        except MemoryError:  # a process of little memory reads it
            yield Reason.over_memory, 0, position
            continue
        if row:
            # A row that runs into the end of the file has an unclosed quote and has swallowed all rows after
            # it, possibly of other owners.
            is_whole = not lines.is_exhausted and not any(map(has_surrogates, row))
            record = header.name(row, dialect) if is_whole else None
            yield Reason.broken if record is None else record, sum(map(len, row)), position


class _Header:
    """The names of the columns."""

    def __init__(self, names: list[str]) -> None:
        self._names = _number_repeated(names)
        self._fewest = max(1, next((i for i in range(len(names), 0, -1) if names[i - 1]), 0))

    def name(self, row: list[str], dialect: Dialect) -> dict[str, str] | None:
        """Return the record of a row; None if the row has too few or too many cells."""
        missing = len(self._names) - len(row)
        if len(row) < self._fewest or any(row[len(self._names) :]):
            return None
        cells = row + [""] * missing if missing > 0 else row[: len(self._names)]
        return dict(zip(self._names, map(dialect.decode, cells), strict=True))


def _open_stream(
    raw: BinaryIO, codec: str | None, limits: Limits, start: int
) -> io.BufferedReader[_BlockStream]:
    return io.BufferedReader(_BlockStream(iter_blocks(raw, codec, limits, start)), _SAMPLE)


def _detect_dialect(stream: io.BufferedReader[_BlockStream], suffix: str) -> Dialect:
    try:
        sample = stream.peek(_SAMPLE)
    except UnreadableError:
        return Dialect(
            "utf-8"
        )  # the same error is raised again, and becomes a record, when the header is read
    return detect_dialect(sample, suffix)


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
