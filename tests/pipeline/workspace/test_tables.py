"""Parts: wholly there or not at all, and each says what it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexveil.pipeline.records import Document, Shard, ShardResult
from lexveil.pipeline.workspace import tables

IDS = st.lists(st.text("0123456789abcdef", min_size=8, max_size=8), unique=True, max_size=8)
COUNTS = st.dictionaries(st.text(min_size=1, max_size=8), st.integers(0, 1 << 40), max_size=4)
fast = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def masked_table(ids: list[str]) -> pa.Table:
    documents = [Document(name, f"o{name}", None, None, f"text {name}") for name in ids]
    texts = {"text": [d.text for d in documents], "n_spans": [0] * len(ids), "spans": ["{}"] * len(ids)}
    texts |= {"verdict": ["PASS"] * len(ids), "reasons": ["{}"] * len(ids)}
    return pa.table({**tables.build_document_columns(documents), **texts}, schema=tables.MASKED)


@fast
@given(ids=IDS, counts=COUNTS, note=st.text(max_size=20), index=st.integers(0, 99_999))
def test_a_part_says_what_it_is(
    tmp_path: Path, ids: list[str], counts: dict[str, int], note: str, index: int
) -> None:
    table = masked_table(ids)
    result = tables.write_part(tmp_path, Shard(index, "key"), table, counts, {"note": note})
    path = tables.part_path(tmp_path, index)
    assert tables.read_result(path) == result
    assert (result.rows, result.counts, result.key) == (len(ids), counts, "key")
    assert tables.read_part(path).select(table.column_names).to_pylist() == table.to_pylist()
    metadata = pq.read_metadata(path).metadata
    assert metadata is not None
    assert metadata[b"lexveil.note"].decode() == note
    assert not list(tmp_path.glob("*.partial"))


@given(counts=COUNTS)
def test_results_come_back_from_json(counts: dict[str, int]) -> None:
    result = ShardResult(3, "key", 7, "digest", counts)
    assert ShardResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_the_digest_is_of_content_and_key_alone(tmp_path: Path) -> None:
    first = tables.write_part(tmp_path, Shard(0, "key"), masked_table(["a", "b"]))
    again = tables.write_part(tmp_path, Shard(1, "key"), masked_table(["a", "b"]))
    other_key = tables.write_part(tmp_path, Shard(2, "another"), masked_table(["a", "b"]))
    other_rows = tables.write_part(tmp_path, Shard(3, "key"), masked_table(["a"]))
    assert first.digest == again.digest
    assert len({first.digest, other_key.digest, other_rows.digest}) == 3


def test_a_failed_write_leaves_the_part_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables.write_part(tmp_path, Shard(0, "key"), masked_table(["a"]))

    def fail(handle: int) -> None:
        raise OSError(handle)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError):
        tables.write_part(tmp_path, Shard(0, "new"), masked_table(["b"]))
    assert tables.read_result(tables.part_path(tmp_path, 0)) == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    pq.write_table(pa.table({"doc_id": ["a"]}), path)


def newer(path: Path) -> None:
    meta = {b"lexveil": json.dumps({"schema": 99, **ShardResult(0, "k", 0, "", {}).to_json()}).encode()}
    pq.write_table(pa.table({"doc_id": ["a"]}).replace_schema_metadata(meta), path)


@pytest.mark.parametrize("damage", [cut, empty, foreign, newer, Path.unlink])
def test_what_is_no_whole_part_of_ours_has_no_result(tmp_path: Path, damage: Any) -> None:
    tables.write_part(tmp_path, Shard(0, "key"), masked_table(["a"]))
    damage(tables.part_path(tmp_path, 0))
    assert tables.read_result(tables.part_path(tmp_path, 0)) is None


@fast
@given(data=st.data(), ids=IDS)
def test_dropped_documents_are_gone_and_the_rest_stands(
    tmp_path: Path, data: st.DataObject, ids: list[str]
) -> None:
    gone = data.draw(st.lists(st.sampled_from([*ids, "unknown"]), unique=True))
    before = tables.write_part(
        tmp_path, Shard(0, "key"), masked_table(ids), {"documents": len(ids)}, {"privacy_statement": "none"}
    )
    path = tables.part_path(tmp_path, 0)
    kept = [name for name in ids if name not in gone]
    assert tables.drop_rows(path, gone) == len(ids) - len(kept)
    after = tables.read_result(path)
    assert after is not None
    assert tables.to_strings(tables.read_part(path), "doc_id") == kept
    assert (after.rows, after.key, after.counts) == (len(kept), "key", {"documents": len(kept)})
    assert (after.digest == before.digest) == (kept == ids)
    metadata = pq.read_metadata(path).metadata
    assert metadata is not None
    assert metadata[b"lexveil.privacy_statement"] == b"none"


def test_records_show_no_text() -> None:
    document = Document("id", "owner", "secret label", "train", "secret text")
    assert "secret" not in repr(document)
