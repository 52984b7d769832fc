"""The catalogue in a file; test_database.py has it in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.catalogue import Catalogue


def rows(count: int, per_shard: int = 2) -> pa.Table:
    numbers = range(count)
    return pa.table(
        {
            "doc_id": [f"{number:06d}" for number in numbers],
            "owner": [f"o{number}" for number in numbers],
            "label": [None if number % 2 else "tax" for number in numbers],
            "split": [None] * count,
            "source_key": [f"s{number}" for number in numbers],
            "shard": [number // per_shard for number in numbers],
        },
        schema=tables.CATALOGUE,
    )


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "protected" / "catalogue.parquet", None)


def test_before_anything_was_ingested(catalogue: Catalogue) -> None:
    assert not catalogue.exists()
    for shard in (None, 0):
        table = catalogue.read(shard)
        assert (table.num_rows, table.schema) == (0, tables.CATALOGUE)


def test_an_empty_one_is_not_a_missing_one(catalogue: Catalogue) -> None:
    catalogue.write(rows(0))
    assert catalogue.exists()
    assert catalogue.read().num_rows == catalogue.read(0).num_rows == 0


def test_what_was_written_comes_back(catalogue: Catalogue) -> None:
    catalogue.write(rows(5))
    assert catalogue.read().to_pylist() == rows(5).to_pylist()
    assert tables.to_strings(catalogue.read(1), "doc_id") == ["000002", "000003"]
    assert tables.to_strings(catalogue.read(2), "doc_id") == ["000004"]
    assert catalogue.read(3).num_rows == 0


def test_another_one_takes_its_place(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.write(rows(5))
    catalogue.write(rows(2))
    assert catalogue.read().num_rows == 2
    assert [path.name for path in (tmp_path / "protected").iterdir()] == ["catalogue.parquet"]


def test_one_shard_is_read_without_the_others(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.write(rows(20_000, per_shard=100))
    path = tmp_path / "protected" / "catalogue.parquet"
    groups = pq.ParquetFile(path).num_row_groups
    assert groups > 3
    assert catalogue.read(150).num_rows == 100
    # Spoil the groups of other shards: they are not looked at.
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    assert catalogue.read(150).num_rows == 100
    with pytest.raises(Exception, match=r"."):
        catalogue.read(0)
