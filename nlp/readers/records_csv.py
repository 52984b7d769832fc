"""CSV and TSV (RFC 4180): a header, then one record a row, quoted fields over several lines included.

The encoding is found out on the first MiB and the delimiter (comma or semicolon) on the header. Values are
strings. A column name that comes twice is numbered (`text`, `text.1`), so that no column is lost.
"""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import BinaryIO

from lexveil.nlp.readers.compression import chunks
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.plain import guess_encoding

_SAMPLE = 1 << 20
_ENTERED_ANYWHERE = {"utf-8", "cp1252"}
"""Encodings whose text gives back its bytes exactly, and whose lines can be read without those before."""


Row = tuple[Mapping[str, object] | Reason, int, int]


def rows(raw: BinaryIO, codec: str | None, limits: Limits, suffix: str, start: int = 0) -> Iterator[Row]:
    """(record, its size in characters, where it begins), of all rows or of those from `start` on.

    Where: the byte in the decompressed content; 0 when it isn't known, as in encodings that can't be entered
    anywhere. Blank rows are no records. Reason.broken for a row with another number of columns than the
    header, or of undecodable bytes. A line above `limits.max_text_bytes`, or a break in the stream, ends the
    file with one last Reason. Raises UnreadableError(wrong_suffix) for binary data.
    """
    # One setting for the whole process; every caller wants it at least this wide.
    csv.field_size_limit(max(limits.max_text_bytes, csv.field_size_limit()))
    stream = _stream(raw, codec, limits, 0)
    encoding = _encoding(stream)
    try:
        lines = _Lines(stream, encoding, limits, 0)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            return
        delimiter = _delimiter(first, suffix)
        reader = csv.reader(chain([first], lines), delimiter=delimiter)
        header = _unique(next(reader))
        if start:
            raw.seek(0)
            lines = _Lines(_stream(raw, codec, limits, start), encoding, limits, start)
            reader = csv.reader(lines, delimiter=delimiter)
        yield from _records(reader, lines, header)
    except UnreadableError as unreadable:
        yield unreadable.reason, 0, 0
    except (UnicodeDecodeError, csv.Error):
        # Half a character of UTF-16, for which there is no escape; or a header that is none.
        yield Reason.broken, 0, 0


def _records(reader: Iterator[list[str]], lines: _Lines, header: list[str]) -> Iterator[Row]:
    if lines.ended:
        yield Reason.broken, 0, 0
    while not lines.ended:
        position = lines.position
        try:
            row = next(reader, None)
        except csv.Error:
            yield Reason.broken, 0, position
            continue
        if row:
            # A row that runs into the end of the file has a quote that was never closed: it has swallowed all
            # the rows behind it, of other owners perhaps.
            sound = not lines.ended and len(row) == len(header) and not any(map(_is_undecodable, row))
            record = dict(zip(header, row, strict=True)) if sound else Reason.broken
            yield record, sum(map(len, row)), position


def _stream(raw: BinaryIO, codec: str | None, limits: Limits, start: int) -> io.BufferedReader[_Stream]:
    return io.BufferedReader(_Stream(chunks(raw, codec, limits, start)), _SAMPLE)


def _encoding(stream: io.BufferedReader[_Stream]) -> str:
    try:
        sample = stream.peek(_SAMPLE)
    except UnreadableError:
        return "utf-8"  # the same break comes again, as the first record, when the header is read
    return guess_encoding(sample)


class _Lines:
    """The lines of a table one after the other, with the place where the next one begins."""

    def __init__(self, stream: io.BufferedReader[_Stream], encoding: str, limits: Limits, start: int) -> None:
        marked = encoding == "utf-8-sig"
        self._encoding = "utf-8" if marked else encoding
        self._counts = self._encoding in _ENTERED_ANYWHERE
        self._longest = limits.max_text_bytes
        # Undecodable bytes come out as lone surrogates, by which their rows are known.
        used = encoding if start == 0 else self._encoding
        self._text = io.TextIOWrapper(stream, encoding=used, errors="surrogateescape", newline="")
        self.position = start or (len(BOM_UTF8) if marked else 0)
        self.ended = False
        """Whether a line was asked for behind the last one."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._longest + 1)
        if not line:
            self.ended = True
            raise StopIteration
        if len(line) > self._longest:
            raise UnreadableError(Reason.over_size)
        if self._counts:
            ascii_only = line.isascii()
            self.position += len(line) if ascii_only else len(line.encode(self._encoding, "surrogateescape"))
        return line


def _delimiter(header: str, suffix: str) -> str:
    if suffix == ".tsv":
        return "\t"
    columns = {mark: len(next(csv.reader([header], delimiter=mark), [])) for mark in ",;\t"}
    return max(columns, key=lambda mark: columns[mark])


def _unique(names: list[str]) -> list[str]:
    unique: list[str] = []
    for name in names:
        number, candidate = 0, name
        while candidate in unique:
            number += 1
            candidate = f"{name}.{number}"
        unique.append(candidate)
    return unique


def _is_undecodable(value: str) -> bool:
    return not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value)


class _Stream(io.RawIOBase):
    """The chunks of a stream as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")
        self._broken: Reason | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        size = 0
        while size < len(buffer):  # filled up, as the encoding is guessed on what one read gives
            if not self._rest:
                self._rest = memoryview(self._next(size))
            if not self._rest:
                break
            step = min(len(buffer) - size, len(self._rest))
            buffer[size : size + step] = self._rest[:step]
            self._rest = self._rest[step:]
            size += step
        return size

    def _next(self, given: int) -> bytes:
        """The next chunk. A break is raised when all before it was given, and again on every later read."""
        if self._broken is None:
            try:
                return next(self._blocks, b"")
            except UnreadableError as unreadable:
                self._broken = unreadable.reason
        if given:
            return b""
        raise UnreadableError(self._broken)
