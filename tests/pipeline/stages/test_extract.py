"""Extract: the table that analysts read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.card import describe_learning
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.extract import extract
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.features import find_current_features
from lexveil.pipeline.workspace.workspace import Workspace

if TYPE_CHECKING:
    from tests.conftest import Finished


def parts(workspace: Workspace) -> list[Path]:
    return sorted(find_current_features(workspace).glob("part-*.parquet"))


def test_the_schema_is_the_documented_one(finished_once: Finished) -> None:
    for path in parts(finished_once.workspace):
        schema = pq.read_schema(path)
        assert schema.names == ["doc_id", "owner", "features", "model", "created"]
        features = schema.field("features").type
        assert pa.types.is_fixed_size_list(features)
        assert features.value_type == pa.float32()
        assert schema.field("created").type == pa.timestamp("us", tz="UTC")


def test_the_file_says_what_is_and_is_not_private(finished_once: Finished) -> None:
    card = finished_once.first["card"]
    for path in parts(finished_once.workspace):
        metadata = pq.read_metadata(path).metadata
        assert metadata is not None
        assert json.loads(metadata[b"lexveil"])["schema"] == tables.SCHEMA_VERSION
        assert metadata[b"lexveil.privacy_statement"].decode() == card["statement"]
        assert metadata[b"lexveil.model"].decode() == card["name"]
        assert metadata[b"lexveil.learned"].decode() == describe_learning(card["kind"])
    assert "not differentially private" in card["statement"]


def select(query: str) -> list[tuple[Any, ...]]:
    relation = duckdb.sql(query)
    assert relation is not None
    return relation.fetchall()


def test_duckdb_reads_it(finished_once: Finished) -> None:
    pattern = f"{finished_once.first['features']}/part-*.parquet"
    query = f"select count(*), count(distinct doc_id), min(len(features)), max(model) from '{pattern}'"
    (found,) = select(query)
    n = finished_once.first["ingested"]
    assert found[:2] == (n, n)
    assert found[2] > 0
    assert found[3] == finished_once.first["model"]
    kinds = dict(select(f"select column_name, column_type from (describe from '{pattern}')"))
    assert kinds["created"] == "TIMESTAMP WITH TIME ZONE"
    assert kinds["features"].startswith("FLOAT[")


def test_the_folder_is_read_as_pandas_and_polars_do(finished_once: Finished) -> None:
    """pandas hands a folder to Arrow's datasets, Polars a pattern to the file system."""
    import pyarrow.dataset as ds

    folder, n = Path(finished_once.first["features"]), finished_once.first["ingested"]
    assert ds.dataset(folder, format="parquet").count_rows() == n
    assert sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet")) == n


def test_one_row_a_document_and_all_finite(finished_once: Finished) -> None:
    workspace = finished_once.workspace
    rows = [row for path in parts(workspace) for row in tables.read_part(path).to_pylist()]
    about = {
        row["doc_id"]: row["owner"]
        for row in workspace.with_settings(Settings()).catalogue.read().to_pylist()
    }
    assert {row["doc_id"]: row["owner"] for row in rows} == about
    values = np.asarray([row["features"] for row in rows])
    assert np.isfinite(values).all()
    assert len(np.unique(values.round(5), axis=0)) == len(rows)


def test_the_same_again_does_nothing(finished_once: Finished) -> None:
    switch = finished_once.workspace.features / "current.json"
    before = switch.read_bytes()
    manifest = extract(finished_once.workspace.with_settings(finished_once.settings))
    assert (manifest.done_now, manifest.rows) == (0, finished_once.first["ingested"])
    assert switch.read_bytes() == before


def test_no_such_model(finished_once: Finished) -> None:
    with pytest.raises(TrainingRefusedError, match="no model 'mlp'"):
        extract(finished_once.workspace.with_settings(finished_once.settings), "mlp")


def test_a_model_that_was_damaged(finished: Finished) -> None:
    workspace: Workspace = finished.workspace
    (workspace.models / finished.first["model"] / "model.safetensors").write_bytes(b"no tensors")
    before = {path.name: path.read_bytes() for path in parts(workspace)}
    with pytest.raises(TrainingRefusedError, match="cannot be used"):
        extract(workspace.with_settings(finished.settings))
    assert {path.name: path.read_bytes() for path in parts(workspace)} == before
