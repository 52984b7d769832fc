"""Units of a worker's work: some small documents, or a slice of a file of records, read and converted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from lexveil.nlp.readers import Reason, UnreadableError, isolation
from lexveil.nlp.readers import records as record_files
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.stated_names import list_stated_names
from lexveil.pipeline.settings import IngestSettings
from lexveil.pipeline.sources.documents import reader_limits

FACTS = "\0facts"
"""Field of a result that carries counts, and is not written."""
NAMES = "\0names"
"""Field of a record with the names that its format states, which is not written."""
BATCH_BYTES = 1 << 16
"""Size of what is read at once."""
_BATCH_FILES = 8
_MOST_NAMES = 500
_CONTAINED = 50  # characters: a shorter text may be a part of any value

Records = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with texts.

    Attributes:
        convert: makes the results of records.
        column: the field of a result that holds it.
        document_format: format of the result of a single document.
        counted: names of the counts besides documents.
    """

    convert: Callable[[Records], Records]
    column: str
    document_format: str
    counted: tuple[str, ...]


class Unit(NamedTuple):
    """A document, or a slice of a file of records.

    Attributes:
        number: number of its file.
        path: where it can be read.
        document_id: id of the document.
        piece: the slice.
    """

    number: int
    path: Path
    document_id: str | int
    piece: record_files.Slice | None


def process_units(
    task: Task, ingest: IngestSettings, keep: Sequence[str], units: Sequence[Unit]
) -> list[tuple[int, dict[str, Any]]]:
    """Read and convert some units; return the number of its file with each result."""
    numbers: list[int] = []
    records: Records = []
    for unit in units:
        for record in _read_unit(unit, ingest, keep):
            numbers.append(unit.number)
            records.append(record)
    return list(zip(numbers, task.convert(records), strict=True))


def _read_unit(unit: Unit, ingest: IngestSettings, keep: Sequence[str]) -> Iterator[dict[str, Any]]:
    limits = reader_limits(ingest)
    if unit.piece is None:
        try:
            text, stated = isolation.read_whole(unit.path, limits)
            names = [name for facts in stated for name in list_stated_names(facts)]
            yield {"id": unit.document_id, "text": text, NAMES: names[:_MOST_NAMES]}
        except UnreadableError as error:
            yield {"id": unit.document_id, "error": error.reason.value}
        return
    records = isolation.read_slice(unit.path, unit.piece, limits)
    for number, record in enumerate(records, unit.piece.first):
        if isinstance(record, Reason):
            yield {"id": number, "error": record.value}
            continue
        name = record_files.get_field(record, ingest.id_field)
        text = record_files.get_field(record, ingest.text_field)
        usable: dict[str, Any] = {"error": Reason.missing_text.value}
        if isinstance(text, str):
            usable = {"text": text, NAMES: list_stated_names(record_files.find_fields(record))}
        kept = select_fields(record, keep)
        for kept_field, value in kept.items():
            if isinstance(text, str) and _holds_text(value, text):
                raise SourceError(
                    f"--keep {kept_field}: its value contains the text, which would not be masked"
                )
        yield {"id": number if name is None else name, **usable, **kept}


def select_fields(record: record_files.Record, names: Iterable[str]) -> dict[str, object]:
    """Return the fields that a record has."""
    values = ((name, record_files.get_field(record, name)) for name in names)
    return {name: value for name, value in values if value is not None or name in record}


def _holds_text(value: object, text: str) -> bool:
    if isinstance(value, str):
        return bool(text.strip()) and (value == text or (len(text) >= _CONTAINED and text in value))
    inner: Iterable[object] = ()
    if isinstance(value, Mapping):
        inner = cast("Mapping[object, object]", value).values()
    elif isinstance(value, list | tuple):
        inner = cast("Sequence[object]", value)
    return any(_holds_text(one, text) for one in inner)


def batch_units(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Group small documents; a slice of records is a batch by itself."""
    batch: list[Unit] = []
    size = 0
    for unit in units:
        if unit.piece is not None:
            yield from filter(None, (batch, [unit]))
            batch, size = [], 0
            continue
        batch.append(unit)
        size += unit.path.stat().st_size if unit.path.exists() else 0
        if size >= BATCH_BYTES or len(batch) >= _BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
