"""TODO docstring."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.database import tables_of
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace

_CATALOGUE_GROUP = 4096  # rows


def has_catalogue(workspace: Workspace, settings: Settings) -> bool:
    """Whether anything was ever ingested, be it of no documents."""
    database = tables_of(workspace, settings)
    return workspace.catalogue.exists() if database is None else database.has_catalogue()


def read_catalogue(workspace: Workspace, settings: Settings, shard: int | None = None) -> pa.Table:
    """The kept documents, or those of one shard: ids, keyed owners, labels, and the shard each lies in."""
    database = tables_of(workspace, settings)
    if database is not None:
        return database.read_catalogue(shard)
    if not workspace.catalogue.exists():
        return tables.CATALOGUE.empty_table()
    if shard is None:
        return tables.read_part(workspace.catalogue)
    return tables.read_rows(workspace.catalogue, "shard", shard)


def write_catalogue(workspace: Workspace, settings: Settings, table: pa.Table) -> None:
    """Put a catalogue in place of the one there is, whole or not at all."""
    database = tables_of(workspace, settings)
    if database is not None:
        database.write_catalogue(table)
        return
    sink = pa.BufferOutputStream()
    # In the order of its shards and in small groups, so that a shard's work doesn't read those of the others.
    pq.write_table(table, sink, row_group_size=_CATALOGUE_GROUP)
    write_bytes(workspace.catalogue, sink.getvalue().to_pybytes())
