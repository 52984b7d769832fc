"""Where else rows of documents may be: the shards that have or had them, besides the one in the catalogue.

A document that moves to another shard leaves rows in the parts of its old one until these are redone, and in
older versions of the features for good; and an owner's duplicates may be in several encrypted parts, of which
the catalogue names one. With these places, who removes a document opens the parts that may have it, and no
others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.storage import write_bytes

_SCHEMA = pa.schema([tables.CATALOGUE.field(name) for name in ("doc_id", "shard")])


def _name(table: pa.Table) -> pa.Table:
    return table.select(_SCHEMA.names).cast(_SCHEMA).replace_schema_metadata()


def list_elsewhere(catalogue: pa.Table, seen: Iterable[pa.Table]) -> pa.Table:
    """Return the places of kept documents that the catalogue does not name.

    Args:
        catalogue: schema `tables.CATALOGUE`.
        seen: places, with the columns `doc_id` and `shard`.

    Returns:
        Ids and shards, each pair once.
    """
    places = pa.concat_tables([_SCHEMA.empty_table(), *map(_name, seen)])
    kept = catalogue.filter(pc.is_in(catalogue.column("doc_id"), value_set=places.column("doc_id")))
    places = places.filter(pc.is_in(places.column("doc_id"), value_set=kept.column("doc_id")))
    others = places.join(_name(kept), _SCHEMA.names, join_type="left anti", use_threads=False)
    return _name(others.group_by(_SCHEMA.names, use_threads=False).aggregate([]))


class Places:
    """The file of the places. Documents of a workspace that has none are in any part."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def exist(self) -> bool:
        """Return True if all places are known."""
        return self._file.exists()

    def read(self) -> pa.Table:
        """Return the places."""
        return _name(tables.read_part(self._file)) if self.exist() else _SCHEMA.empty_table()

    def add(self, places: pa.Table) -> None:
        """Add places, as ids and shards."""
        known = self.read()
        new = places.join(known, _SCHEMA.names, join_type="left anti", use_threads=False)
        if new.num_rows or not self.exist():
            self._write(pa.concat_tables([known, _name(new)]))

    def drop(self, doc_ids: Collection[str]) -> None:
        """Forget documents of which nothing is left."""
        known = self.read()
        left = known.filter(pc.invert(pc.is_in(known.column("doc_id"), pa.array(doc_ids, pa.string()))))
        if left.num_rows < known.num_rows:
            self._write(left)

    def find_shards(self, catalogue: pa.Table, doc_ids: Collection[str]) -> set[int]:
        """Return the shards whose parts may have rows of documents."""
        wanted = pa.array(doc_ids, pa.string())
        found = set[int]()
        for table in (catalogue, self.read()):
            rows: Any = table.filter(pc.is_in(table.column("doc_id"), value_set=wanted))
            found |= set(rows.column("shard").to_pylist())
        return found

    def _write(self, places: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(places, sink)
        write_bytes(self._file, sink.getvalue().to_pybytes())
