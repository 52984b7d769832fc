"""The files that results are written to: records as JSON, JSON Lines, CSV, TSV or Parquet, or one text."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

import zstandard

from lexveil.nlp.readers.compression import split_name

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = "txt"
FORMATS: Mapping[str, tuple[str, ...]] = {
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "csv": (".csv",),
    "tsv": (".tsv",),
    "parquet": (".parquet",),
    TEXT: (".txt", ".text", ".md", ".markdown"),
}
"""The suffixes of each format; the first one is that of new files."""
_BATCH = 256  # rows per row group of Parquet, as many as are in memory

Write = Callable[[Mapping[str, Any]], None]


def find_format(name: str) -> str:
    """Return the format of the file with this name, which may end with the suffix of a codec, or ""."""
    suffix, codec = split_name(name)
    found = next((kind for kind, suffixes in FORMATS.items() if suffix in suffixes), "")
    return "" if found == "parquet" and codec else found


@contextmanager
def open_results(
    raw: IO[bytes], kind: str, codec: str | None, columns: Sequence[str], schema: pa.Schema | None = None
) -> Generator[Write]:
    """Yield a function that writes a result.

    Args:
        raw: the file.
        kind: one of `FORMATS`. As a text, the field `text` of the results is written.
        codec: codec to compress with, as `split_name` returns it.
        columns: columns of a table. In JSON, each result has its own fields.
        schema: types of the columns; for Parquet only.
    """
    with ExitStack() as stack:
        sink: Any = raw
        if codec is not None:
            sink = stack.enter_context(_compress(raw, codec))
        if kind == "parquet":
            assert schema is not None
            yield stack.enter_context(_write_parquet(sink, schema))
            return
        text = io.TextIOWrapper(sink, encoding="utf-8", newline="", write_through=True)
        stack.callback(text.detach)  # whoever opened the sink closes it
        if kind == TEXT:
            yield lambda result: _ignore(text.write(result["text"]))
        elif kind == "jsonl":
            yield lambda result: _ignore(text.write(_to_json(result) + "\n"))
        elif kind == "json":
            yield stack.enter_context(_write_array(text))
        else:
            yield _write_table(text, columns, "\t" if kind == "tsv" else ",")
        text.flush()


def _compress(raw: IO[bytes], codec: str) -> Any:
    match codec:
        case "gzip":
            return gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)
        case "zstd":
            return zstandard.ZstdCompressor().stream_writer(raw, closefd=False)
        case "bzip2":
            return bz2.BZ2File(raw, "wb")
        case _:
            return lzma.LZMAFile(raw, "wb")


def _ignore(_: object) -> None:
    return None


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


@contextmanager
def _write_array(text: IO[str]) -> Generator[Write]:
    before = "[\n"

    def write(result: Mapping[str, Any]) -> None:
        nonlocal before
        text.write(before + _to_json(result))
        before = ",\n"

    yield write
    text.write("[]\n" if before == "[\n" else "\n]\n")


def _write_table(text: IO[str], columns: Sequence[str], delimiter: str) -> Write:
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)

    def write(result: Mapping[str, Any]) -> None:
        writer.writerow([_to_cell(result.get(column)) for column in columns])

    return write


def _to_cell(value: object) -> object:
    return _to_json(value) if isinstance(value, list | tuple | dict | bool) else value


@contextmanager
def _write_parquet(sink: IO[bytes], schema: pa.Schema) -> Generator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[Mapping[str, Any]] = []
    with pq.ParquetWriter(sink, schema) as writer:

        def flush() -> None:
            columns = [_to_array(field, [row.get(field.name) for row in rows]) for field in schema]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            rows.clear()

        def write(result: Mapping[str, Any]) -> None:
            rows.append(result)
            if len(rows) >= _BATCH:
                flush()

        yield write
        if rows:
            flush()


def _to_array(field: pa.Field[Any], values: Sequence[Any]) -> Any:
    import pyarrow as pa

    if pa.types.is_string(field.type):
        values = [None if value is None else _to_string(value) for value in values]
    return pa.array(values, field.type)


def _to_string(value: object) -> str:
    return (
        value if isinstance(value, str) else _to_json(value) if isinstance(value, list | dict) else str(value)
    )


def infer_types(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, pa.DataType]:
    """Return a type of Arrow for each column that holds all its values: text where they are of several."""
    import pyarrow as pa

    types: dict[str, Any] = dict.fromkeys(columns, pa.null())
    batch: list[Mapping[str, Any]] = []

    def merge() -> None:
        for column in columns:
            types[column] = _merge_types(types[column], [row.get(column) for row in batch])
        batch.clear()

    for row in rows:
        batch.append(row)
        if len(batch) >= _BATCH:
            merge()
    merge()
    return {name: pa.string() if pa.types.is_null(kind) else kind for name, kind in types.items()}


def _merge_types(known: Any, values: Sequence[Any]) -> Any:
    import pyarrow as pa

    if pa.types.is_string(known):
        return known
    try:
        fields = [pa.field("", kind) for kind in (known, pa.array(values).type)]
        merged = pa.unify_schemas([pa.schema([one]) for one in fields], promote_options="permissive")
        return merged.field(0).type
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return pa.string()
