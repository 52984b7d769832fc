"""Masked documents as JSON Lines, CSV, Parquet, and a folder that Hugging Face's datasets load."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lexveil.pipeline.export.documents import MaskedDocument

_SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("type", pa.string())]))
_TYPES = {"n_spans": pa.int32(), "spans": _SPANS, "text": pa.large_string()}
_BATCH = 256
_CARD = """---
configs:
- config_name: default
  data_files:
{files}
---
Masked texts, written by Lexveil. Masking is not anonymity: read what is guaranteed before you share them.
"""


def write_jsonl(documents: Iterable[MaskedDocument], target: Path, columns: Sequence[str]) -> None:
    """Write an object per document and line."""
    with target.open("w", encoding="utf-8") as out:
        for document in documents:
            out.write(json.dumps(document.select(columns), ensure_ascii=False) + "\n")


def write_csv(documents: Iterable[MaskedDocument], target: Path, columns: Sequence[str]) -> None:
    """Write a row per document; spans are JSON."""
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        for document in documents:
            values = document.select(columns).values()
            writer.writerow(json.dumps(value) if isinstance(value, list) else value for value in values)


def write_parquet(documents: Iterable[MaskedDocument], target: Path, columns: Sequence[str]) -> None:
    """Write a row per document."""
    schema = _make_schema(columns)
    with pq.ParquetWriter(target, schema) as writer:
        for batch in _iter_batches(documents):
            rows = [document.select(columns) for document in batch]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def write_dataset(documents: Iterable[MaskedDocument], target: Path, columns: Sequence[str]) -> None:
    """Write a folder for `datasets.load_dataset`: a Parquet file per split, and a card that names them."""
    (target / "data").mkdir()
    schema = _make_schema(columns)
    writers: dict[str, pq.ParquetWriter] = {}
    try:
        for batch in _iter_batches(documents):
            rows: dict[str, list[dict[str, Any]]] = {}
            for document in batch:
                split = re.sub(r"\W+", "_", document.row["split"] or "train")
                rows.setdefault(split, []).append(document.select(columns))
            for split, some in rows.items():
                if split not in writers:
                    writers[split] = pq.ParquetWriter(target / "data" / f"{split}.parquet", schema)
                writers[split].write_table(pa.Table.from_pylist(some, schema=schema))
    finally:
        for writer in writers.values():
            writer.close()
    lines = [f"  - split: {split}\n    path: data/{split}.parquet" for split in sorted(writers)]
    (target / "README.md").write_text(_CARD.format(files="\n".join(lines)), encoding="utf-8")


def _make_schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([(column, _TYPES.get(column, pa.string())) for column in columns])


def _iter_batches(documents: Iterable[MaskedDocument]) -> Iterator[list[MaskedDocument]]:
    left = iter(documents)
    while batch := list(islice(left, _BATCH)):
        yield batch
