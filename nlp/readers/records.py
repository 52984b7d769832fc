"""Files of records (JSON, JSON Lines, CSV, TSV, load files, Parquet), in slices that are read separately.

Unless a field is named, texts are returned as they are in the file, so that offsets are the file's; only
lone surrogates, which have no UTF-8 form, are replaced by U+FFFD, one for one. A record without the field
`text` gets it from where the collections of courts keep it, as it is there: one text, or a list of them.

In place of a record that cannot be read there is its `Reason`. A file that breaks off (truncated, damaged, a
decompression bomb) keeps the records before the break, and one more `Reason` represents all that follows.
`plan_slices` and `read_slice` use the same generators, so they agree on what a record is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import cast

from lexveil.nlp.readers import records_csv, records_json, records_jsonl, records_parquet
from lexveil.nlp.readers.compression import CODECS, check_codec, open_regular, split_name
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.html import strip_markup
from lexveil.nlp.readers.plain import LONGEST_MAGIC, check_is_text
from lexveil.nlp.readers.records_dialect import LOAD_FILE
from lexveil.nlp.readers.records_json_form import Form, detect_form

_JSON = (".json",)
_JSONL = (".jsonl", ".ndjson")
_CSV = (".csv", ".tsv", LOAD_FILE)
RECORD_SUFFIXES = frozenset(
    {f"{suffix}{codec}" for suffix in (*_JSON, *_JSONL, *_CSV) for codec in ("", *CODECS)} | {".parquet"}
)
_OUTLOOK_ATTACHMENT = "winmail.dat"
_TEXT = "text"
_TEXT_PLACES = (
    "casebody.data.opinions.text", "casebody.opinions.text",  # Caselaw Access Project
    "opinions.html_with_citations", "opinions.plain_text",
    "html_with_citations", "plain_text", "html", "html_columbia", "html_lawbox", "html_anon_2020",
    "xml_harvard",  # CourtListener
    "content", "fields.content", "attributes.text", "attributes.content",  # Open Legal Data, JSON:API
)  # fmt: skip
"""Where public collections of judgments keep the text of a record that has no field `text`."""

_FACTS = {
    "kind": ("kind", "type", "document_type", "doc_type"),
    "court": ("court.name", "court.slug", "court", "court_name", "court_id", "fields.court"),
    "date": ("date_filed", "decision_date", "date", "dateFiled", "judgment_date", "fields.date"),
    "number": (
        "docket_number", "docketNumber", "docket.docket_number", "file_number", "case_number", "reference",
        "number", "fields.file_number",
    ),
    "title": ("case_name", "caseName", "name", "name_abbreviation", "title", "fields.title"),
    "parties": ("parties.name", "parties", "party_name"),
}  # fmt: skip
"""Where public collections of judgments keep the facts about a record."""
_LONGEST_FACT = 2000

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive records of one file.

    Attributes:
        first: Index of the first record.
        count: Number of records.
        offset: Byte in the decompressed content where the first record starts (of JSON in UTF-16: in its
            UTF-8); 0 for Parquet, and for CSV in UTF-16, GB 18030 and similar encodings.
        digest: SHA-256 of the records, so that a file that has grown keeps its slices; empty for Parquet.
    """

    first: int
    count: int
    offset: int = 0
    digest: str = field(default="", compare=False)


def is_record_file(path: Path) -> bool:
    """Return True if the name ends with one of `RECORD_SUFFIXES`, in upper or lower case."""
    name = path.name.lower()
    return name.endswith(tuple(RECORD_SUFFIXES)) and name != _OUTLOOK_ATTACHMENT


def plan_slices(
    path: Path, limits: Limits | None = None, max_records: int = 256, max_bytes: int = 8 << 20
) -> Iterator[Slice]:
    """Divide a file into slices that cover every record once, in order.

    Reads the file once, in bounded memory.

    Args:
        path: File of records.
        limits: Bounds on what is accepted; None for the defaults.
        max_records: Maximum number of records per slice.
        max_bytes: Approximate maximum size of a slice. A larger record is a slice by itself.

    Raises:
        UnreadableError: Before the first slice, if the file as a whole cannot be read: inaccessible, empty
            (no record), wrong_suffix, encrypted, broken, unsupported.
    """
    limits = limits or Limits()
    first = count = size = start = 0
    digest, is_hashed = hashlib.sha256(), False
    for offset, length, content in _iter_sizes(path, limits):
        if count and (count >= max_records or size + length > max_bytes):
            yield Slice(first, count, start, digest.hexdigest() if is_hashed else "")
            first, count, size, digest = first + count, 0, 0, hashlib.sha256()
        if not count:
            start = offset
        count, size = count + 1, size + length
        digest.update(content)
        is_hashed = bool(content)
    if not first and not count:
        raise UnreadableError(Reason.empty)
    if count:
        yield Slice(first, count, start, digest.hexdigest() if is_hashed else "")


def read_slice(
    path: Path,
    piece: Slice,
    limits: Limits | None = None,
    start: int = 0,
    text_field: str | None = None,
) -> Iterator[Record | Reason]:
    """Read the records of a slice.

    Args:
        path: File of records.
        piece: The slice.
        limits: Bounds on what is accepted; None for the defaults.
        start: Number of records to leave out, which are not parsed where the format allows it.
        text_field: Field whose text, or texts, become one text: of HTML, what it shows. None for texts as
            they are in the file.

    Yields:
        Exactly `piece.count - start` items, in order: a record, or the reason why it cannot be read. If the
        file has changed since it was planned, missing records are Reason.broken.

    Raises:
        UnreadableError: As `plan_slices`.
    """
    limits = limits or Limits()
    given = start
    with closing(_iter_records(path, piece, limits, start)) as records:
        for record in islice(records, piece.count - start):
            yield record if isinstance(record, Reason) else _complete(record, text_field)
            given += 1
    for _ in range(piece.count - given):
        yield Reason.broken


def get_field(record: Record, dotted: str) -> object | None:
    """Return the value of a field, or None if the record lacks it.

    Dots reach into nested mappings, and into each mapping of a list: the value is the list of theirs then. At
    every level, a key that equals the whole rest of the name takes precedence.
    """
    while True:
        if dotted in record:
            return record[dotted]
        head, dot, dotted = dotted.partition(".")
        inner = record.get(head)
        if not dot:
            return None
        if isinstance(inner, list):
            members = [one for one in cast("list[object]", inner) if isinstance(one, Mapping)]
            values = [get_field(cast("Record", one), dotted) for one in members]
            return [value for value in values if value is not None] or None
        if not isinstance(inner, Mapping):
            return None
        record = cast("Record", inner)


def find_fields(record: Record) -> dict[str, str]:
    """Return the facts that a record states where the collections of courts keep them.

    They are kind, court, date, number, title and parties, if they are words or numbers.
    """
    found = {
        field: next((fact for place in places if (fact := _to_fact(get_field(record, place)))), "")
        for field, places in _FACTS.items()
    }
    return {field: fact for field, fact in found.items() if fact}


def _to_fact(value: object) -> str:
    values = cast("list[object]", value) if isinstance(value, list | tuple) else [value]
    words = [str(one).strip() for one in values if isinstance(one, str | int | date)]
    return "; ".join(filter(None, words))[:_LONGEST_FACT]


def _complete(record: Record, text_field: str | None) -> Record | Reason:
    record = _add_text(record)
    if text_field is None:
        return record
    text = get_field(record, text_field)
    pieces = cast("list[object]", text) if isinstance(text, list) else [text]
    if not all(isinstance(piece, str) for piece in pieces):
        return record
    try:
        return {**record, text_field: "\n\n".join(strip_markup(str(piece)) for piece in pieces)}
    except UnreadableError as error:  # only this record is lost
        return error.reason


def _add_text(record: Record) -> Record:
    """Add the text of a record that has no field `text`, if it is in one of the known places."""
    if _TEXT in record:
        return record
    found = (get_field(record, place) for place in _TEXT_PLACES)
    text = next((text for text in found if _is_text(text)), None)
    return record if text is None else {**record, _TEXT: text}


def _is_text(value: object) -> bool:
    texts = cast("list[object]", value) if isinstance(value, list) else [value]
    return all(isinstance(text, str) for text in texts) and any(texts)


def _iter_sizes(path: Path, limits: Limits) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, approximate size and bytes to hash of each record (b"" for Parquet, never read)."""
    suffix = _check_file(path)
    if suffix == ".parquet":
        yield from ((0, size, b"") for size in records_parquet.iter_sizes(path))
        return
    _, codec = split_name(path.name)
    with open_regular(path) as raw:
        if suffix in (*_JSON, *_JSONL):
            form = detect_form(raw, codec, limits, suffix in _JSONL)
            for offset, line in _iter_json(form)(raw, codec, limits, 0, form):
                is_line = isinstance(line, bytes)
                content = line.strip() if is_line else line.encode()
                yield offset, len(line) if is_line else 0, content + b"\n"
        else:
            for row, size, position in records_csv.iter_rows(raw, codec, limits, suffix):
                yield position, size, json.dumps(row).encode() + b"\n"


def _iter_records(path: Path, piece: Slice, limits: Limits, start: int) -> Generator[Record | Reason]:
    suffix = _check_file(path)
    if suffix == ".parquet":
        yield from records_parquet.iter_records(path, piece.first + start, piece.count - start)
        return
    _, codec = split_name(path.name)
    with open_regular(path) as raw:
        if suffix in (*_JSON, *_JSONL):
            form = detect_form(raw, codec, limits, suffix in _JSONL)
            lines = _iter_json(form)(raw, codec, limits, piece.offset, form)
            for _, line in islice(lines, start, None):
                yield records_jsonl.parse_record(line, form) if isinstance(line, bytes) else line
        else:
            rows = records_csv.iter_rows(raw, codec, limits, suffix, piece.offset)
            for row, _, _ in islice(rows, start if piece.offset else piece.first + start, None):
                yield row


def _iter_json(form: Form) -> Callable[..., Iterator[tuple[int, bytes | Reason]]]:
    return records_jsonl.iter_lines if form.is_lines else records_json.iter_objects


def _check_file(path: Path) -> str:
    """Return the suffix without the codec.

    Raises:
        UnreadableError: The name or the first bytes are not those of a record file.
    """
    suffix, codec = split_name(path.name)
    if not is_record_file(path):
        raise UnreadableError(Reason.unsupported)
    with open_regular(path) as raw:
        head = raw.read(LONGEST_MAGIC)
    if not head:
        raise UnreadableError(Reason.empty)
    if suffix == ".parquet":
        records_parquet.check_head(head)
        return suffix
    check_codec(head, codec)
    if codec is None:
        check_is_text(head)
    return suffix
