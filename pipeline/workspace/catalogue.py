"""The catalogue: the documents that are kept, and the shard of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexveil.pipeline.records import ShardResult
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.database import WorkspaceTables
from lexveil.pipeline.workspace.storage import write_bytes

_ROWS_PER_GROUP = 4096
_BASIS = "basis"


def digest_parts(results: Iterable[ShardResult]) -> str:
    """Return the digest of the parts that a catalogue is made from: its basis."""
    return tables.compute_digest([[one.index, one.key, one.rows, one.digest] for one in results])


class Catalogue:
    """The kept documents: ids, keyed owners, labels, splits, and the shard of each.

    It is stored in a database where one is configured, and otherwise in a Parquet file.
    """

    def __init__(self, file: Path, database: WorkspaceTables | None) -> None:
        self._file, self._database = file, database

    def exists(self) -> bool:
        """Return True if an ingest has finished, even one without documents."""
        return self._file.exists() if self._database is None else self._database.has_catalogue()

    def read(self, shard: int | None = None, columns: list[str] | None = None) -> pa.Table:
        """Return all kept documents, or those of one shard: all columns of `tables.CATALOGUE`, or some."""
        names = columns or tables.CATALOGUE.names
        if self._database is not None:
            return self._database.read_catalogue(shard).select(names)
        if not self._file.exists():
            return tables.CATALOGUE.empty_table().select(names)
        if shard is None:
            return tables.read_part(self._file, names)
        return tables.read_rows(self._file, "shard", shard).select(names)

    def read_owners(self, owners: Collection[str]) -> pa.Table:
        """Return the kept documents of some owners, without converting the rows of others."""
        table = self.read()
        return table.filter(pc.is_in(table.column("owner"), pa.array(sorted(owners), pa.string())))

    def read_basis(self) -> str | None:
        """Return the digest of the parts that it was made from (`digest_parts`); None if it is not known."""
        if self._database is not None or not self._file.exists():
            return None
        return tables.read_notes(self._file).get(_BASIS)

    def write(self, table: pa.Table, basis: str | None = None) -> None:
        """Replace the catalogue, whole or not at all.

        Args:
            table: the kept documents, schema `tables.CATALOGUE`.
            basis: digest of the parts that it was made from, for `read_basis`. A database does not keep it.
        """
        if self._database is not None:
            self._database.write_catalogue(table)
            return
        table = table.replace_schema_metadata({} if basis is None else {f"lexveil.{_BASIS}": basis})
        sink, repeated = pa.BufferOutputStream(), cast(Any, ["label", "split"])  # ids are all different
        # In small groups, in the order of the shards: who reads one shard reads few rows of others.
        pq.write_table(
            table,
            sink,
            row_group_size=_ROWS_PER_GROUP,
            use_dictionary=repeated,
            write_statistics=["shard"],
        )
        write_bytes(self._file, sink.getvalue().to_pybytes())
