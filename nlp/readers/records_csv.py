"""CSV and TSV (RFC 4180): a header, then one record a row, quoted fields over several lines included.

The encoding is found out on the first MiB and the delimiter (comma or semicolon) on the header. Values are
strings. A column name that comes twice is numbered (`text`, `text.1`), so that no column is lost.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from nlp.readers.compression import chunks
from nlp.readers.contract import Limits, Reason, Unreadable
from nlp.readers.plain import guess_encoding

_SAMPLE = 1 << 20


def rows(
    raw: BinaryIO, codec: str | None, limits: Limits, suffix: str
) -> Iterator[tuple[Mapping[str, object] | Reason, int]]:
    """(record, its size in characters); blank rows are none.

    Reason.broken for a row with another number of columns than the header or of undecodable bytes. A line
    above `limits.max_text_bytes`, or a break in the stream, ends the file with one last Reason.
    """
    stream = io.BufferedReader(_Stream(chunks(raw, codec, limits)), _SAMPLE)
    try:
        encoding = _encoding(stream)
        # Undecodable bytes come out as lone surrogates, by which their rows are known.
        text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")
        yield from _rows(_lines(text, limits.max_text_bytes), limits.max_text_bytes, suffix)
    except Unreadable as unreadable:
        yield unreadable.reason, 0
    except UnicodeDecodeError:  # half a character of UTF-16, for which there is no escape
        yield Reason.broken, 0


def _encoding(stream: io.BufferedReader[_Stream]) -> str:
    try:
        sample = stream.peek(_SAMPLE)
    except Unreadable:
        return "utf-8"  # the same break comes again, as the first record, when the header is read
    return guess_encoding(sample)


def _rows(
    lines: Iterator[str], longest: int, suffix: str
) -> Iterator[tuple[Mapping[str, object] | Reason, int]]:
    # One setting for the whole process; every caller wants it at least this wide.
    csv.field_size_limit(max(longest, csv.field_size_limit()))
    header: list[str] | None = None
    first = next(lines, None)
    while first is not None and not first.strip():
        first = next(lines, None)
    if first is None:
        return
    ended: list[bool] = []
    reader = csv.reader(_chain(first, lines, ended), delimiter=_delimiter(first, suffix))
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            yield Reason.broken, 0
            continue
        if row is None:
            return
        if header is None:
            header = _unique(row)
        elif row:
            size = sum(map(len, row))
            # A row that runs into the end of the file has a quote that was never closed: it has swallowed all
            # the rows behind it, of other owners perhaps.
            sound = not ended and len(row) == len(header) and not any(map(_is_undecodable, row))
            yield (dict(zip(header, row, strict=True)) if sound else Reason.broken), size


def _chain(first: str, lines: Iterator[str], ended: list[bool]) -> Iterator[str]:
    """All lines; `ended` is filled once a line is asked for behind the last."""
    yield first
    yield from lines
    ended.append(True)


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


def _lines(text: io.TextIOWrapper, longest: int) -> Iterator[str]:
    while line := text.readline(longest + 1):
        if len(line) > longest:
            raise Unreadable(Reason.over_size)
        yield line


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
            except Unreadable as unreadable:
                self._broken = unreadable.reason
        if given:
            return b""
        raise Unreadable(self._broken)
