"""The Arrow schema of every shard on disk, and how a part file is written and read.

A part describes itself: its Parquet metadata holds the shard's key, digest and counts. The rename that puts
it into place is therefore the one commit point of a shard; `_manifest.json` is an index made from it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexveil.pipeline.outages import describe_outage
from lexveil.pipeline.records import Document, Shard, ShardResult
from lexveil.pipeline.workspace.storage import is_remote, sync_folder, write_bytes

SCHEMA_VERSION = 1
_META = b"lexveil"
_TAIL = 1 << 16  # holds the footer of nearly every part

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
        pa.field("item", pa.string()),  # keyed hash of the source item; null in parts of earlier versions
    ]
)
QUARANTINE = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),  # keyed hash of where it lies
        pa.field("content", pa.string(), nullable=False),  # keyed hash of its bytes
        pa.field("reason", pa.string(), nullable=False),
        pa.field("where", pa.binary(), nullable=False),  # where it lies, encrypted under the master key
    ]
)
CATALOGUE = pa.schema(
    [
        *_DOCUMENT,
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
    ]
)
FOUND = pa.schema(  # one row a piece of a document, in order
    [
        *_DOCUMENT,
        pa.field("start", pa.int64(), nullable=False),  # of the piece, in characters of the document
        pa.field("end", pa.int64(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("served", pa.bool_(), nullable=False),  # whether a learnt detector speaks the language
        pa.field("spans", pa.large_binary(), nullable=False),  # AES-GCM, the document's key
        pa.field("names", pa.large_binary(), nullable=False),  # who is named, AES-GCM, the document's key
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
VAULT = pa.schema(  # one row a piece of a document, in order
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


def build_features_schema(dimension: int) -> pa.Schema:
    """The features table: one row a document, `features` of `dimension` float32."""
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
    """SHA-256 of a JSON value in canonical form, 32 hex digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def part_path(folder: Path, index: int) -> Path:
    """Where the part of shard `index` lies."""
    return folder / f"part-{index:05d}.parquet"


def write_part(
    folder: Path,
    shard: Shard,
    table: pa.Table,
    counts: Mapping[str, int] | None = None,
    notes: Mapping[str, str] | None = None,
) -> ShardResult:
    """Write one part so that it is either wholly there or not at all.

    `notes` go into the file's metadata beside the shard's own (privacy statement, model name).
    The digest covers ids, owners, labels and splits where the table has them, else every column.
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
    if is_remote(path):
        sink = pa.BufferOutputStream()
        pq.write_table(described, sink, compression="zstd")
        write_bytes(path, sink.getvalue().to_pybytes())
        return result
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{path.stem}.*.partial"):  # of a worker that was killed over this shard
        leftover.unlink(missing_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as sink:
        pq.write_table(described, sink, compression="zstd")
        sink.flush()
        os.fsync(sink.fileno())
    partial.replace(path)
    sync_folder(folder)
    return result


def read_result(path: Path) -> ShardResult | None:
    """What a part says of itself; None where there is no whole part of this schema version."""
    try:
        with _opened(path, _TAIL) as part:
            meta = part.metadata.metadata or {}
        data = json.loads(meta[_META])
    except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
        if describe_outage(error) is not None:
            raise  # an outage is no missing part
        return None
    return ShardResult.from_json(data) if data.get("schema") == SCHEMA_VERSION else None


def read_notes(path: Path) -> dict[str, str]:
    """The notes in a part's metadata, by their names without the prefix."""
    with _opened(path, _TAIL) as part:
        meta = part.metadata.metadata or {}
    prefix = _META + b"."
    return {k.removeprefix(prefix).decode(): v.decode() for k, v in meta.items() if k.startswith(prefix)}


def read_part(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read one part, or some of its columns."""
    with _opened(path) as part:
        return part.read(columns=columns)


def read_rows(path: Path, column: str, value: int) -> pa.Table:
    """The rows of a file whose `column` of integers has a value. Reads only row groups that may hold it."""
    with _opened(path) as part:
        place = part.schema_arrow.get_field_index(column)
        bounds: list[Any] = [
            part.metadata.row_group(n).column(place).statistics for n in range(part.num_row_groups)
        ]
        groups = [n for n, found in enumerate(bounds) if found is None or found.min <= value <= found.max]
        table = part.read_row_groups(groups)
    found = table.column(column)
    return table.filter(pc.equal(found, pa.scalar(value, found.type)))


def read_column_names(path: Path) -> list[str]:
    """The names of a part's columns."""
    with _opened(path, _TAIL) as part:
        return part.schema_arrow.names


@contextmanager
def _opened(path: Path, block: int | None = None) -> Generator[pq.ParquetFile, None, None]:
    """A part; one on a bucket is fetched whole, or in blocks of `block` bytes where its end is enough."""
    if not is_remote(path):
        with pq.ParquetFile(path) as part:
            yield part
    elif block is None:
        yield pq.ParquetFile(pa.BufferReader(path.read_bytes()))
    else:
        with path.open("rb", block) as file, pq.ParquetFile(file) as part:
            yield part


def drop_documents(path: Path, doc_ids: Iterable[str]) -> int:
    """Rewrite a part without the given documents, atomically. Returns how many rows went."""
    wanted = pa.array(list(doc_ids), pa.string())
    gone = pc.is_in(read_part(path, ["doc_id"]).column("doc_id"), value_set=wanted)
    if not pc.any(gone).as_py():  # most parts, of which no more than the ids are read
        return 0
    result = read_result(path)
    if result is None:
        return 0
    table, notes = read_part(path), read_notes(path)
    kept = table.filter(pc.invert(gone))
    dropped = table.num_rows - kept.num_rows
    counts = dict(result.counts)
    if "documents" in counts:
        counts["documents"] -= dropped
    write_part(path.parent, Shard(result.index, result.key), kept, counts, notes)
    return dropped


def to_strings(table: pa.Table, column: str) -> list[str]:
    """A column of strings that holds no nulls."""
    return [str(value) for value in table.column(column).to_pylist()]


def build_document_columns(documents: Iterable[Document]) -> dict[str, list[Any]]:
    """The columns that every table of documents begins with."""
    rows = list(documents)
    return {
        "doc_id": [row.doc_id for row in rows],
        "owner": [row.owner for row in rows],
        "label": [row.label for row in rows],
        "split": [row.split for row in rows],
    }
