"""Files of records: JSON Lines, CSV, TSV and Parquet, cut into slices that any process can read on its own.

Texts are given as they are in the file, so that offsets are the file's; only lone surrogates, which have no
UTF-8 form, become U+FFFD, one for one.

A record that can't be read is given as its `Reason`, in place. A file that breaks off (cut short, damaged,
a decompression bomb) keeps the records before the break, and one more `Reason` stands for all that follows.
`plan_slices` and `read_slice` walk through the same generators, so that they agree on what a record is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from dataclasses import field as attribute
from itertools import islice
from pathlib import Path

from lexveil.nlp.readers import records_csv, records_jsonl, records_parquet
from lexveil.nlp.readers.compression import check_codec, open_regular, split_name
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.plain import check_text

_JSONL = (".jsonl", ".ndjson")
_CSV = (".csv", ".tsv")
RECORD_SUFFIXES = frozenset(
    {f"{suffix}{codec}" for suffix in (*_JSONL, *_CSV) for codec in ("", ".gz", ".zst")} | {".parquet"}
)

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive records of one file.

    first: index of the first record. count: how many records. offset: the byte, in the decompressed content,
    where the first record begins; 0 for Parquet, and for CSV in UTF-16, GB 18030 and the like. digest:
    SHA-256 of the records, so that a file that has grown keeps the slices it had; empty for Parquet.
    """

    first: int
    count: int
    offset: int = 0
    digest: str = attribute(default="", compare=False)


def is_record_file(path: Path) -> bool:
    """Whether the name ends in one of `RECORD_SUFFIXES`, in upper or lower case."""
    return path.name.lower().endswith(tuple(RECORD_SUFFIXES))


def plan_slices(
    path: Path, limits: Limits | None = None, max_records: int = 256, max_bytes: int = 8 << 20
) -> Iterator[Slice]:
    """Slices that cover every record once, in order, of at most `max_records` and about `max_bytes` each.

    Reads the file once, in bounded memory. A record above `max_bytes` makes a slice of its own.
    Raises UnreadableError, before the first slice, when the file as a whole is none of its kind: inaccessible,
    empty (no record in it), wrong_suffix, encrypted, broken, unsupported.
    """
    limits = limits or Limits()
    first = count = size = start = 0
    digest, hashed = hashlib.sha256(), False
    for offset, length, content in _sizes(path, limits):
        if count and (count >= max_records or size + length > max_bytes):
            yield Slice(first, count, start, digest.hexdigest() if hashed else "")
            first, count, size, digest = first + count, 0, 0, hashlib.sha256()
        if not count:
            start = offset
        count, size = count + 1, size + length
        digest.update(content)
        hashed = bool(content)
    if not first and not count:
        raise UnreadableError(Reason.empty)
    if count:
        yield Slice(first, count, start, digest.hexdigest() if hashed else "")


def read_slice(path: Path, piece: Slice, limits: Limits | None = None) -> Iterator[Record | Reason]:
    """Exactly `piece.count` items in order: the record, or why it can't be read.

    Raises UnreadableError as `plan_slices` does. Should the file have changed since it was planned, what is
    missing is given as Reason.broken.
    """
    limits = limits or Limits()
    given = 0
    with closing(_records(path, piece, limits)) as records:
        for record in islice(records, piece.count):
            yield record
            given += 1
    for _ in range(piece.count - given):
        yield Reason.broken


def get_field(record: Record, dotted: str) -> object | None:
    """The value under `dotted`, `None` where there is none.

    Dots reach into nested mappings; at every level a key that holds the whole rest of the name wins.
    """
    while True:
        if dotted in record:
            return record[dotted]
        head, dot, dotted = dotted.partition(".")
        inner = record.get(head)
        if not dot or not isinstance(inner, Mapping):
            return None
        record = inner


def _sizes(path: Path, limits: Limits) -> Iterator[tuple[int, int, bytes]]:
    """(offset, size in bytes, about, what to hash) of every record; b"" for Parquet, which isn't read."""
    suffix = _check(path)
    if suffix == ".parquet":
        yield from ((offset, size, b"") for offset, size in records_parquet.sizes(path))
        return
    _, codec = split_name(path.name)
    with open_regular(path) as raw:
        if suffix in _JSONL:
            for offset, line in records_jsonl.lines(raw, codec, limits, 0):
                known = isinstance(line, bytes)
                yield offset, len(line) if known else 0, (line.strip() if known else line.encode()) + b"\n"
        else:
            for row, size, position in records_csv.rows(raw, codec, limits, suffix):
                yield position, size, json.dumps(row).encode() + b"\n"


def _records(path: Path, piece: Slice, limits: Limits) -> Generator[Record | Reason]:
    suffix = _check(path)
    if suffix == ".parquet":
        yield from records_parquet.records(path, piece.first, piece.count)
        return
    _, codec = split_name(path.name)
    with open_regular(path) as raw:
        if suffix in _JSONL:
            for _, line in records_jsonl.lines(raw, codec, limits, piece.offset):
                yield records_jsonl.parse(line) if isinstance(line, bytes) else line
        else:
            rows = records_csv.rows(raw, codec, limits, suffix, piece.offset)
            for row, _, _ in rows if piece.offset else islice(rows, piece.first, None):
                yield row


def _check(path: Path) -> str:
    """The suffix without the codec. Raises UnreadableError when the name or the first bytes speak against it."""
    suffix, codec = split_name(path.name)
    if not is_record_file(path):
        raise UnreadableError(Reason.unsupported)
    with open_regular(path) as raw:
        head = raw.read(8)
    if not head:
        raise UnreadableError(Reason.empty)
    if suffix == ".parquet":
        records_parquet.check(head)
        return suffix
    check_codec(head, codec)
    if codec is None:
        check_text(head)
    return suffix
