"""Part files: their Arrow schemas, and how they are written and read.

A part describes itself: its Parquet metadata contains the shard's key, digest and counts. So the rename that
puts it into place is the only commit point of a shard; `_manifest.json` is an index that is made from it.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexveil.pipeline.outages import describe_outage
from lexveil.pipeline.records import Document, Shard, ShardResult
from lexveil.pipeline.workspace.storage import is_remote, replace_file

SCHEMA_VERSION = 1
_META = b"lexveil"
_LEVEL = 9  # of zstd, as for sealed texts
_TAIL = 1 << 16  # bytes at the end of a part, which contain the footer of nearly every one

_DOCUMENT = [
    pa.field("doc_id", pa.string(), nullable=False),
    pa.field("owner", pa.string(), nullable=False),
    pa.field("label", pa.string()),
    pa.field("split", pa.string()),
]

RAW = pa.schema(
    [
        *_DOCUMENT,
        pa.field("source_key", pa.string(), nullable=False),  # keyed hash of the document's own id
        pa.field("n_chars", pa.int64(), nullable=False),
        pa.field("payload", pa.large_binary(), nullable=False),  # text, AES-GCM under the document's key
        # These are null in parts of earlier versions:
        pa.field("item", pa.string()),  # id of the source item
        pa.field("variant", pa.string()),  # of duplicates, the row with the least one is kept
        pa.field("copies", pa.list_(pa.string())),  # ids of the other items with the same document
    ]
)
QUARANTINE = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),  # keyed hash of its location
        pa.field("content", pa.string(), nullable=False),  # keyed hash of its bytes
        pa.field("reason", pa.string(), nullable=False),
        pa.field("where", pa.binary(), nullable=False),  # its location, AES-GCM under the source item's key
        pa.field("source", pa.string()),  # id of the source item; null, and no such key, in earlier versions
    ]
)
CATALOGUE = pa.schema(
    [
        *_DOCUMENT,
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
    ]
)
FOUND = pa.schema(  # one row per piece of a document, in order
    [
        *_DOCUMENT,
        pa.field("start", pa.int64(), nullable=False),  # of the piece, in characters of the document
        pa.field("end", pa.int64(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("served", pa.bool_(), nullable=False),  # True if a learned detector knows the language
        pa.field("spans", pa.large_binary(), nullable=False),  # AES-GCM, the document's key
        pa.field(
            "names", pa.large_binary(), nullable=False
        ),  # names of entities, AES-GCM, the document's key
    ]
)
MASKED = pa.schema(
    [
        *_DOCUMENT,
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("n_spans", pa.int32(), nullable=False),
        pa.field("spans", pa.string(), nullable=False),  # counts by type, JSON
        pa.field("verdict", pa.string(), nullable=False),  # of the second pass: PASS or REVIEW
        pa.field("reasons", pa.string(), nullable=False),  # counts by reason, JSON
    ]
)
HELD_BACK = pa.schema(  # documents that failed the second pass
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("reasons", pa.string(), nullable=False),  # counts by reason, JSON
    ]
)
VAULT = pa.schema(  # one row per piece of a document, in order
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # of the piece, in characters of the document
        pa.field("payload", pa.large_binary(), nullable=False),  # replacements, AES-GCM, the document's key
    ]
)
ENCODED = pa.schema(
    [
        *_DOCUMENT,
        pa.field("embedding", pa.list_(pa.float32())),
        pa.field("tokens", pa.list_(pa.list_(pa.int32()))),
        pa.field("topics", pa.list_(pa.float32())),
        pa.field("chunks", pa.int32(), nullable=False),  # of the document
        pa.field("chunks_used", pa.int32(), nullable=False),  # at most the chunk limit
    ]
)
ASSESSED = pa.schema(
    [
        *_DOCUMENT,
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("held_out", pa.bool_(), nullable=False),  # by the split field, or by its owner
        pa.field("guess", pa.list_(pa.int32())),  # classes that the model gives it, if it is held out
        pa.field("losses", pa.list_(pa.float32())),  # or the model's and the uniform one's losses
    ]
)


def build_features_schema(dimension: int) -> pa.Schema:
    """Return the schema of the features table: one row per document, `features` of `dimension` float32."""
    return pa.schema(
        [
            pa.field("doc_id", pa.string(), nullable=False),
            pa.field("owner", pa.string(), nullable=False),
            pa.field("features", pa.list_(pa.float32(), dimension), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("created", pa.timestamp("us", tz="UTC"), nullable=False),
        ]
    )


def compute_digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form, 32 hex digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def part_path(folder: Path, index: int) -> Path:
    """Return the path of the part of shard `index`."""
    return folder / f"part-{index:05d}.parquet"


def part_index(path: Path) -> int:
    """Return the index of the shard of a part: the inverse of `part_path`."""
    return int(path.name.removeprefix("part-").removesuffix(".parquet"))


def write_part(
    folder: Path,
    shard: Shard,
    table: pa.Table,
    counts: Mapping[str, int] | None = None,
    notes: Mapping[str, str] | None = None,
) -> ShardResult:
    """Write one part durably, whole or not at all.

    Args:
        folder: folder of the parts.
        shard: shard of the part.
        table: rows of the part.
        counts: what the stage counted; stored in the part's metadata.
        notes: further metadata, such as the privacy statement and the name of the model.

    Returns:
        The result. Its digest covers the shard's key, and the ids, owners, labels and splits that the table
        has.
    """
    columns = [name for name in ("doc_id", "owner", "label", "split") if name in table.column_names]
    logical = [table.column(name).to_pylist() for name in columns]
    result = ShardResult(
        shard.index, shard.key, table.num_rows, compute_digest([shard.key, logical]), counts or {}
    )
    meta = {_META: json.dumps({"schema": SCHEMA_VERSION, **result.to_json()}).encode()}
    meta.update({f"lexveil.{name}".encode(): value.encode() for name, value in (notes or {}).items()})
    path = part_path(folder, shard.index)
    described = table.replace_schema_metadata(meta)
    # The least and the greatest of texts and ciphertexts serve no reader, and take the memory of two more.
    small = [field.name for field in table.schema if field.type not in (pa.large_string(), pa.large_binary())]
    vectors = [field.name for field in table.schema if _is_vector(field.type)]
    with replace_file(path) as sink:
        pq.write_table(
            described,
            sink,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=False,  # one of numbers that are all different would be larger than the numbers
            write_statistics=small,
            # First bytes of all numbers, then second bytes, and so on: signs and exponents compress.
            column_encoding={f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in vectors},
        )
    return result


def _is_vector(kind: Any) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and pa.types.is_floating(kind.value_type)


def read_result(path: Path) -> ShardResult | None:
    """Read the result in a part's metadata; None if there is no whole part of this schema version."""
    try:
        with _open_part(path, _TAIL) as part:
            meta = part.metadata.metadata or {}
        data = json.loads(meta[_META])
    except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
        if describe_outage(error) is not None:
            raise  # an outage is not a missing part
        return None
    return ShardResult.from_json(data) if data.get("schema") == SCHEMA_VERSION else None


def read_notes(path: Path) -> dict[str, str]:
    """Read the notes in a part's metadata, by their names without the prefix."""
    with _open_part(path, _TAIL) as part:
        meta = part.metadata.metadata or {}
    prefix = _META + b"."
    return {k.removeprefix(prefix).decode(): v.decode() for k, v in meta.items() if k.startswith(prefix)}


def read_part(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read one part, or some of its columns."""
    with _open_part(path) as part:
        return part.read(columns=columns)


def read_rows(path: Path, column: str, value: int) -> pa.Table:
    """Read the rows whose `column` of integers has a value, from the row groups that may contain it."""
    with _open_part(path) as part:
        index = part.schema_arrow.get_field_index(column)
        bounds: list[Any] = [
            part.metadata.row_group(n).column(index).statistics for n in range(part.num_row_groups)
        ]
        groups = [n for n, bound in enumerate(bounds) if bound is None or bound.min <= value <= bound.max]
        table = part.read_row_groups(groups)
    values = table.column(column)
    return table.filter(pc.equal(values, pa.scalar(value, values.type)))


def add_missing_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table that an earlier version wrote with all columns of a schema; new ones are null."""
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)


def read_column_names(path: Path) -> list[str]:
    """Read the names of a part's columns."""
    with _open_part(path, _TAIL) as part:
        return part.schema_arrow.names


@contextmanager
def _open_part(path: Path, block: int | None = None) -> Generator[pq.ParquetFile, None, None]:
    """Open a part. One on a bucket is fetched whole, or in blocks of `block` bytes if its end is enough."""
    if not is_remote(path):
        with pq.ParquetFile(path) as part:
            yield part
    elif block is None:
        yield pq.ParquetFile(pa.BufferReader(path.read_bytes()))
    else:
        with path.open("rb", block) as file, pq.ParquetFile(file) as part:
            yield part


def drop_rows(path: Path, values: Iterable[str], column: str = "doc_id") -> int:
    """Rewrite a part without the rows of the given documents, atomically.

    Args:
        path: the part.
        values: ids of the documents.
        column: column of the ids.

    Returns:
        The number of rows removed.
    """
    removed = pa.array(list(values), pa.string())
    is_removed = pc.is_in(read_part(path, [column]).column(column), value_set=removed)
    if not pc.any(is_removed).as_py():  # most parts; only their ids are read
        return 0
    result = read_result(path)
    if result is None:
        return 0
    table, notes = read_part(path), read_notes(path)
    kept = table.filter(pc.invert(is_removed))
    dropped = table.num_rows - kept.num_rows
    counts = dict(result.counts)
    if "documents" in counts:
        counts["documents"] -= dropped
    write_part(path.parent, Shard(result.index, result.key), kept, counts, notes)
    return dropped


def to_strings(table: pa.Table, column: str) -> list[str]:
    """Return a column of strings without nulls as a list."""
    return [str(value) for value in table.column(column).to_pylist()]


def build_text_column(texts: Sequence[bytes | bytearray]) -> Any:
    """Return texts in UTF-8 as a `pyarrow.LargeStringArray`; that of one text holds its bytes, no copy."""
    offsets = array("q", accumulate(map(len, texts), initial=0))
    content = texts[0] if len(texts) == 1 else b"".join(texts)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(content))


def build_document_columns(documents: Iterable[Document]) -> dict[str, list[Any]]:
    """Return the columns that every table of documents begins with."""
    rows = list(documents)
    return {
        "doc_id": [row.doc_id for row in rows],
        "owner": [row.owner for row in rows],
        "label": [row.label for row in rows],
        "split": [row.split for row in rows],
    }
